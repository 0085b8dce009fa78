"""Methods beside each other on emoji: R@1 of each question."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.figures.pictures import COLOURS
from experiments.figures.style import MUTED, style


def comparison_figure(scores: pd.DataFrame) -> Figure:
    """R@1 of each question: a line is the mean over seeds, dots are seeds.

    Args:
        scores: held out, asked, reading, seed, R@1 and chance@1 in percent.
    """
    asked = scores["held out"] + "\n" + scores["asked"]
    questions = [(str(name), rows) for name, rows in scores.groupby(asked, sort=False)]
    readings = list(dict.fromkeys(scores["reading"]))
    apart = 0.84 / len(readings)
    colours = dict(zip(readings, COLOURS, strict=False))
    with style():
        figure, axis = plt.subplots(
            figsize=(8.2, 0.8 + 0.85 * len(questions)), layout="constrained"
        )
        for row, (_, rows) in enumerate(questions):
            for place, reading in enumerate(readings):
                height = row + apart * (place - (len(readings) - 1) / 2)
                values = rows.query("reading == @reading")["R@1"].to_numpy()
                colour = colours[reading]
                axis.barh(height, values.mean(), 0.8 * apart, color=colour, alpha=0.55, linewidth=0)
                axis.plot(values, np.full(len(values), height), "o", color=colour, markersize=4)
            chance = float(rows["chance@1"].to_numpy()[0])
            axis.plot([chance] * 2, [row - 0.38, row + 0.38], color=MUTED, linewidth=1.5)
        axis.set(
            yticks=range(len(questions)),
            yticklabels=[name for name, _ in questions],
            ylim=(len(questions) - 0.5, -0.5),
            xlabel="answered first, % (grey: chance)",
            xlim=(0, None),
        )
        handles = [Rectangle((0, 0), 1, 1, color=colours[reading]) for reading in readings]
        figure.legend(handles, readings, loc="outside lower center", ncols=3, frameon=False)
    return figure

"""Retrieval and readout on pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.figures.style import MEASURED, MUTED, PALETTE, PROMISED, SEQUENTIAL, style
from smartclip.evaluate.readout import Readout

# In the order of the readings: the first masked and unmasked, then what stands beside it.
COLOURS = (PROMISED, PALETTE[9], MEASURED, PALETTE[4], PALETTE[2], PALETTE[7])


def retrieval_figure(table: pd.DataFrame) -> Figure:
    """Caption-to-image R@k of each gallery; the grey ticks are chance.

    Args:
        table: gallery, model, direction, R@k and chance@k in percent.
    """
    table = table.query("direction == 'caption to image'")
    ks = [name for name in table.columns if name.startswith("R@")]
    galleries = list(dict.fromkeys(table["gallery"]))
    colours = dict(zip(dict.fromkeys(table["model"]), COLOURS, strict=False))
    with style():
        figure, axes = plt.subplots(
            1, len(galleries), sharey=True, squeeze=False, layout="constrained",
            figsize=(1.2 + 3.4 * len(galleries), 3.0),
        )  # fmt: skip
        for axis, gallery in zip(axes[0], galleries, strict=True):
            rows = table.query("gallery == @gallery")
            long = rows.melt(["model"], ks, var_name="at", value_name="percent")
            sns.barplot(
                long, x="at", y="percent", hue="model", palette=colours, ax=axis, legend=False
            )
            for place, k in enumerate(ks):
                chance = float(rows[k.replace("R", "chance")].to_numpy()[0])
                axis.plot([place - 0.42, place + 0.42], [chance] * 2, color=MUTED, linewidth=2)
            axis.set(title=gallery, xlabel="", ylim=(0, 100))
        axes[0][0].set_ylabel("captions answered, %")
        handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
        figure.legend(handles, list(colours), loc="outside lower center", ncols=3, frameon=False)
    return figure


def readout_figure(readouts: dict[str, Readout]) -> Figure:
    """Accuracy of reading concept j (column) off the coordinates of concept k (row)."""
    with style():
        first = next(iter(readouts.values()))
        names = [str(concept) for concept in first.concepts]
        side = 1.0 + 0.62 * len(names)
        figure, axes = plt.subplots(
            1, len(readouts), figsize=(len(readouts) * (side + 1.4), side + 0.6), squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for axis, (model, found) in zip(axes[0], readouts.items(), strict=True):
            rows = np.vstack([found.accuracy, found.whole, found.chance])
            labels = [
                f"{name} ({count})" for name, count in zip(names, found.coordinates, strict=True)
            ]
            sns.heatmap(
                rows, ax=axis, vmin=0, vmax=1, cmap=SEQUENTIAL, annot=True, fmt=".2f", cbar=False,
                linewidths=1, mask=np.isnan(rows), xticklabels=names,
                yticklabels=[*labels, "whole code", "chance"],
            )  # fmt: skip
            axis.axhline(len(names), color="white", linewidth=5)
            axis.set_title(model)
            axis.tick_params(length=0)
            axis.tick_params(axis="x", labelrotation=30)
    return figure

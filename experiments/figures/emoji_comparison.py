"""SmartCLIP beside CLIP and Long-CLIP on emoji: answers, and what masks share."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.figures.pictures import COLOURS
from experiments.figures.style import MUTED, PALETTE, PROMISED, style
from smartclip.evaluate.overlap import Overlap

_COLOURS = COLOURS | {"Long-CLIP": PALETTE[2]}


def comparison_figure(scores: pd.DataFrame) -> Figure:
    """R@1 of each question: a line is the mean over seeds, dots are seeds.

    Args:
        scores: held out, asked, reading, seed, R@1 and chance@1 in percent.
    """
    asked = scores["held out"] + "\n" + scores["asked"]
    questions = [(str(name), rows) for name, rows in scores.groupby(asked, sort=False)]
    readings = list(dict.fromkeys(scores["reading"]))
    with style():
        figure, axis = plt.subplots(
            figsize=(8.2, 0.8 + 0.85 * len(questions)), layout="constrained"
        )
        for row, (_, rows) in enumerate(questions):
            for place, reading in enumerate(readings):
                height = row + 0.18 * (place - (len(readings) - 1) / 2)
                values = rows.query("reading == @reading")["R@1"].to_numpy()
                colour = _COLOURS[reading]
                axis.barh(height, values.mean(), 0.15, color=colour, alpha=0.55, linewidth=0)
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
        handles = [Rectangle((0, 0), 1, 1, color=_COLOURS[reading]) for reading in readings]
        figure.legend(handles, readings, loc="outside lower center", ncols=4, frameon=False)
    return figure


def overlap_figure(overlaps: Sequence[Overlap], concepts: Sequence[str]) -> Figure:
    """Mask overlap against concept overlap, a dot for two kinds of captions, one panel a seed.

    The line joins the means at each concept overlap; at 1 stand captions of the same kind. Dotted:
    coordinates shared as concepts are. Masks that are the same for all captions lie at 1.

    Args:
        overlaps: of each seed, over the same kinds.
        concepts: names of the columns of `Overlap.kinds`.
    """
    with style():
        figure, axes = plt.subplots(
            1, len(overlaps), figsize=(1.0 + 3.2 * len(overlaps), 3.6), sharey=True, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for number, (axis, found) in enumerate(zip(axes[0], overlaps, strict=True)):
            pairs = np.triu_indices(len(found.concepts))
            x, y = found.concepts[pairs], found.masks[pairs]
            known = np.isfinite(y)
            x, y = x[known], y[known]
            jitter = np.random.default_rng(0).uniform(-0.012, 0.012, len(x))
            axis.plot(x + jitter, y, "o", color=PROMISED, alpha=0.35, markersize=4, linewidth=0)
            steps = np.unique(np.round(x, 6))
            means = [y[np.isclose(x, step, atol=1e-5)].mean() for step in steps]
            axis.plot(steps, means, color=PROMISED, linewidth=2)
            axis.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
            axis.set(
                title=f"training {number + 1}: correlation {found.correlation:+.2f}",
                xlabel="concepts shared, of those mentioned",
                xlim=(-0.05, 1.05),
                ylim=(0, 1.05),
            )
        axes[0][0].set_ylabel("coordinates shared,\nof those opened")
    return figure

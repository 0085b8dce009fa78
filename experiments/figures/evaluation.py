"""Scores of a checkpoint with their intervals, beside another; and a score against a setting."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.figures.style import MEASURED, MUTED, PALETTE, PROMISED, style
from experiments.tasks.task import Curve, Outcome


def bars(outcome: Outcome, beside: Outcome | None = None) -> Figure:
    """Each score with its 95 % interval; hollow marks are the other checkpoint, grey is chance."""
    names = list(outcome.scores)
    with style():
        figure, axis = plt.subplots(figsize=(8.2, 0.9 + 0.28 * len(names)), layout="constrained")
        for found, offset, colour, hollow in (
            (outcome, 0.0 if beside is None else -0.14, PROMISED, False),
            (beside, 0.14, MEASURED, True),
        ):
            if found is None:
                continue
            for row, name in enumerate(names):
                if name not in found.scores:
                    continue
                each = found.scores[name].interval()
                axis.plot([100 * each.low, 100 * each.high], [row + offset] * 2, color=colour)
                face = "white" if hollow else colour
                place = [row + offset]
                axis.plot([100 * each.mean], place, "o", color=colour, mfc=face, markersize=5)
        for row, name in enumerate(names):
            chance = outcome.scores[name].chance
            if chance is not None:
                axis.plot([100 * chance] * 2, [row - 0.35, row + 0.35], color=MUTED, linewidth=1.5)
        axis.set(
            yticks=range(len(names)),
            yticklabels=names,
            ylim=(len(names) - 0.5, -0.5),
            xlabel="percent (grey: chance)",
        )
        axis.margins(x=0.03)
        axis.grid(axis="y", color="#eeeeee")
        axis.set_axisbelow(True)
    return figure


def curve(found: Curve, beside: Curve | None = None) -> Figure:
    """A line for each label; dashed are those of the other checkpoint."""
    with style():
        figure, axis = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
        for which, form in ((found, "-o"), (beside, "--s")):
            if which is None:
                continue
            for number, (label, values) in enumerate(which.lines.items()):
                told = label if which is found else f"{label}, beside"
                face = PALETTE[number] if which is found else "white"
                axis.plot(
                    which.at,
                    100 * np.array(values),
                    form,
                    color=PALETTE[number],
                    mfc=face,
                    markersize=4,
                    label=told,
                )
        axis.set(xlabel=found.setting, ylabel=f"{found.title}, %", xscale="log")
        axis.set_xticks(found.at, [f"{at:g}" for at in found.at])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure

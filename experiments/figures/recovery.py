"""Prediction beside measurement: dependency, blocks and masks."""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.figures.style import BAD, GOOD, MEASURED, MUTED, PROMISED, SEQUENTIAL, style
from theory import Block, CaptionFamily, Prediction
from theory.recovery import Recovery, Verdict

# Twin of the verdict colours: shapes, so that the figure also reads in grey.
MARKS = {
    Verdict.IDENTIFIED: (GOOD, "o"),
    Verdict.NOT_IDENTIFIED: (MUTED, "o"),
    Verdict.MISSED: (BAD, "X"),
    Verdict.SURPRISE: (BAD, "P"),
    Verdict.UNDECIDED: (MEASURED, "D"),
}
LOWEST_SHOWN = -0.05
# Letters of a name that fit below a column.
LONGEST_LEVEL = 8


def dependency_comparison(prediction: Prediction, recovery: Recovery) -> Figure:
    """Left what the coordinates of each concept *may* depend on, right what they *do* depend on."""
    names = [str(concept) for concept in prediction.family.concepts]
    side = max(2.4, 0.55 * len(names))
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(2 * side + 1.6, side + 0.9))
        panels = (
            ("Predicted: may depend", prediction.dependency.astype(float), ".0f"),
            ("Measured: variance lost without it", recovery.dependency, ".2f"),
        )
        for axis, (title, values, fmt) in zip(axes, panels, strict=True):
            sns.heatmap(
                values, ax=axis, vmin=0, vmax=1, cmap=SEQUENTIAL, square=True, linewidths=1,
                annot=len(names) <= 12, fmt=fmt, cbar=False, mask=np.isnan(values),
                xticklabels=names, yticklabels=names,
            )  # fmt: skip
            axis.set_title(title, fontsize="medium")
            axis.set_xlabel("concept")
            axis.tick_params(length=0, labelrotation=0)
            if max(map(len, names)) > LONGEST_LEVEL:
                axis.tick_params(axis="x", labelrotation=90)
        axes[0].set_ylabel("coordinates of")
        figure.tight_layout()
    return figure


def block_scores(recovery: Recovery) -> Figure:
    """Each block's completeness and purity beside the bar and its floor; 1 is perfect."""
    rows = list(recovery.blocks)
    labels = [f"{row.kind}  {_block(recovery.family, row.block)}" for row in rows]
    with style():
        figure, axes = plt.subplots(
            1, 2, sharey=True, figsize=(9.6, 0.9 + 0.27 * len(rows)), layout="constrained"
        )
        for axis, direction in zip(axes, ("completeness", "purity"), strict=True):
            _scores(axis, recovery, direction)
            axis.set_title(direction)
            axis.set_xlabel(r"held-out $R^2$")
        axes[0].set_yticks(range(len(rows)), labels)
        axes[0].set_ylim(len(rows) - 0.4, -0.6)
        present = {row.verdict for row in rows}
        handles = [
            Line2D([], [], marker=mark, color=colour, linestyle="", label=str(verdict))
            for verdict, (colour, mark) in MARKS.items()
            if verdict in present
        ]
        handles.append(Line2D([], [], marker="|", color=MUTED, linestyle="", label="floor"))
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _scores(axis: Axes, recovery: Recovery, direction: str) -> None:
    axis.axvline(recovery.bar.threshold, color=PROMISED, linewidth=1, linestyle="--")
    axis.grid(axis="y", color="#eeeeee")
    for height, row in enumerate(recovery.blocks):
        score = row.completeness if direction == "completeness" else row.purity
        colour, mark = MARKS[row.verdict]
        if not math.isnan(score.floor):
            axis.plot(max(score.floor, LOWEST_SHOWN), height, "|", color=MUTED, markersize=7)
        if math.isnan(score.average):
            axis.text(0.5, height, "no coordinates", va="center", ha="center", color=MUTED)
            continue
        low, high = (max(end, LOWEST_SHOWN) for end in score.interval)
        axis.plot([low, high], [height, height], color=colour, linewidth=1.5)
        axis.plot(max(score.average, LOWEST_SHOWN), height, mark, color=colour, markersize=6)
    axis.set_xlim(LOWEST_SHOWN - 0.03, 1.03)


def caption_masks(family: CaptionFamily, masks: Bool[np.ndarray, "captions D"]) -> Figure:
    """Which coordinates each kind of caption opens, coloured by the captions that share them."""
    patterns = [tuple(column) for column in masks.T.tolist()]
    used = [column for column, pattern in enumerate(patterns) if any(pattern)]
    # Coordinates open in the same captions stand together, those of many captions first.
    order = sorted(used, key=lambda column: ([not bit for bit in patterns[column]], column))
    kinds = list(dict.fromkeys(patterns[column] for column in order))
    colours = sns.color_palette("colorblind", max(len(kinds), 1))
    shown = np.ones((len(family.captions), max(len(order), 1), 3))
    for place, column in enumerate(order):
        colour = colours[kinds.index(patterns[column]) % len(colours)]
        shown[masks[:, column], place] = colour
    labels = [_block(family, caption) for caption in family.captions]
    width = 2.2 + 0.34 * max(len(order), 6)
    with style():
        figure, axis = plt.subplots(figsize=(width, 0.9 + 0.42 * len(labels)))
        axis.imshow(shown, aspect="auto", interpolation="nearest")
        axis.set_yticks(range(len(labels)), labels)
        axis.set_xticks(range(len(order)), [str(column) for column in order])
        axis.set_xticks(np.arange(-0.5, len(order)), minor=True)
        axis.set_yticks(np.arange(-0.5, len(labels)), minor=True)
        axis.grid(which="minor", color="white", linewidth=2)
        axis.tick_params(which="both", length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
        dimensions = family.dimension_masks.any(0).sum()
        axis.set_title(f"{len(used)} coordinates used for {dimensions} dimensions")
        axis.set_xlabel("coordinate of the code; one colour: open in the same captions")
    return figure


def _block(family: CaptionFamily, block: Block) -> str:
    text = "{" + ", ".join(str(concept) for concept in family.space.ordered(block)) + "}"
    return textwrap.shorten(text, 40, placeholder=" ...}")

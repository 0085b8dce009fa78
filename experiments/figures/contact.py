"""A contact sheet: images with the captions that describe them, one colour a concept."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.figures.style import MUTED, PALETTE, style

_LINE, _DOT, _LETTER = 0.24, 0.15, 0.066  # inches: a caption, a dot, a letter


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One thing that was drawn or photographed, and what is said of it.

    Attributes:
        images: one or more pictures of it, [H, W, 3] uint8.
        captions: text and the concepts that the text mentions.
    """

    images: Sequence[UInt8[np.ndarray, "h w 3"]]
    captions: Sequence[tuple[str, Sequence[str]]]


def contact_sheet(
    rows: Sequence[Row], concepts: Sequence[str], *, title: str, credit: str = "", columns: int = 2
) -> Figure:
    """Pictures on the left of each cell, captions on the right with a dot for each concept.

    Args:
        rows: what to show.
        concepts: the order of the colours.
        title: says what to see.
        credit: who made the pictures.
        columns: cells beside each other.
    """
    colours = dict(zip(concepts, PALETTE, strict=False))
    down = -(-len(rows) // columns)
    lines = max(len(row.captions) for row in rows)
    pictures = max(len(row.images) for row in rows)
    longest = max(len(text) for row in rows for text, _ in row.captions)
    # Everything in inches, so that captions of any length and any number of concepts fit.
    side = _LINE * lines + 0.2
    words = _DOT * len(concepts) + 0.2
    text_width = words + _LETTER * longest + 0.1
    width = columns * (pictures * (side + 0.1) + text_width) + 0.1
    height = down * (side + 0.12) + 1.1
    with style():
        figure = plt.figure(figsize=(width, height))
        for number, row in enumerate(rows):
            line, place = divmod(number, columns)
            left = 0.1 + place * (width - 0.1) / columns
            bottom = height - 0.85 - line * (side + 0.12) - side

            def area(start: float, wide: float, low: float = bottom) -> Axes:
                axes = figure.add_axes((start / width, low / height, wide / width, side / height))
                axes.set_axis_off()
                return axes

            for offset, image in enumerate(row.images):
                area(left + offset * (side + 0.1), side).imshow(image, interpolation="lanczos")
            axes = area(left + pictures * (side + 0.1), text_width)
            axes.set(xlim=(0, text_width), ylim=(lines - 0.5, -0.5))
            for level, (text, mentioned) in enumerate(row.captions):
                for column, concept in enumerate(concepts):
                    said = concept in mentioned
                    axes.plot(
                        _DOT * (column + 0.7),
                        level,
                        marker="o",
                        markersize=5 if said else 1.5,
                        color=colours[concept] if said else MUTED,
                        linewidth=0,
                    )
                axes.text(words, level, text, va="center", fontsize=8.5)
        figure.suptitle(title, x=0.1 / width, y=1 - 0.1 / height, ha="left", fontweight="bold")
        handles = [
            Line2D([], [], marker="o", linewidth=0, color=colours[concept], label=concept)
            for concept in concepts
        ]
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0, 1 - 0.35 / height),
            ncols=len(concepts),
            frameon=False,
            columnspacing=1.2,
            handletextpad=0.1,
        )
        figure.text(
            1 - 0.1 / width, 0.1 / height, credit, ha="right", va="bottom", color=MUTED, fontsize=7
        )
    return figure

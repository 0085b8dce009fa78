"""The one look of every figure: colour-blind safe, quiet, readable in print."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from theory.errors import InputError
from theory.storage import write_atomically

PALETTE = sns.color_palette("colorblind")
PROMISED = PALETTE[0]
MEASURED = PALETTE[1]
GOOD = PALETTE[2]
BAD = PALETTE[3]
MUTED = "#8a8a8a"
SEQUENTIAL = sns.light_palette(PROMISED, as_cmap=True)
DIVERGING = sns.color_palette("vlag", as_cmap=True)


@contextmanager
def style() -> Iterator[None]:
    """Draw inside this block; the caller's own settings come back afterwards."""
    settings = sns.axes_style("white") | sns.plotting_context("notebook", font_scale=0.85)
    settings |= {
        "figure.dpi": 110,
        "savefig.dpi": 160,
        "savefig.bbox": "tight",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "font.family": "DejaVu Sans",
    }
    with mpl.rc_context(cast(Any, settings)):
        yield


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG atomically and close the figure.

    Raises:
        InputError: the name does not end in .png.
    """
    import matplotlib.pyplot as plt

    try:
        if path.suffix.lower() != ".png":
            raise InputError(
                f"a figure named {path}",
                rule="figures are written as PNG",
                fix="give a name that ends in .png",
            )
        with style(), write_atomically(path) as temporary:
            figure.savefig(temporary, format="png")
    finally:
        plt.close(figure)
    return path

"""A contact sheet of scenes: each image with one of its captions and the concepts it mentions."""

import re
import textwrap

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.figures.style import MUTED, style
from simulators import SceneWorld
from simulators.grammar import FILLERS

_SIDE, _GAP, _WORDS, _TITLE = 2.1, 0.3, 1.25, 0.4  # inches: image, gap, captions, title
_LETTERS, _LINES = 36, 5


def scene_sheet(world: SceneWorld, *, seed: int, rows: int = 3, columns: int = 5) -> Figure:
    """Scenes 0, 1, ... of a seed. Sentences that mention nothing are left out as "...".

    Args:
        world: draws the scenes.
        seed: of the sample.
        rows: scenes below each other.
        columns: scenes beside each other.
    """
    batch = world.sample(rows * columns, seed=seed)
    pictures = batch.image.permute(0, 2, 3, 1).numpy()
    width = columns * (_SIDE + _GAP) + _GAP
    height = rows * (_SIDE + _WORDS) + _TITLE
    with style():
        figure = plt.figure(figsize=(width, height))
        for number, (picture, text, which) in enumerate(
            zip(pictures, batch.text, batch.caption.tolist(), strict=True)
        ):
            row, column = divmod(number, columns)
            left = _GAP + column * (_SIDE + _GAP)
            bottom = height - _TITLE - row * (_SIDE + _WORDS) - _SIDE
            axes = figure.add_axes((left / width, bottom / height, _SIDE / width, _SIDE / height))
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            mentioned = world.family.space.ordered(world.family.captions[which])
            named = textwrap.wrap(" · ".join(map(str, mentioned)), _LETTERS + 6)
            said = textwrap.wrap(
                _without_fillers(str(text)), _LETTERS, max_lines=_LINES, placeholder=" ..."
            )
            below = {"transform": axes.transAxes, "va": "top"}
            axes.text(0, -0.03, "\n".join(named), fontsize=7, color=MUTED, **below)
            axes.text(0, -0.05 - 0.06 * len(named), "\n".join(said), fontsize=8, **below)
        figure.text(
            _GAP / width,
            1 - 0.1 / height,
            "Scenes with a caption each, and in grey the concepts that the caption mentions",
            va="top",
            fontweight="bold",
        )
    return figure


def _without_fillers(text: str) -> str:
    filler = "|".join(re.escape(sentence) for sentence in FILLERS)
    return re.sub(rf"(?:(?:{filler})\.\s*)+", "... ", text, flags=re.IGNORECASE).strip()

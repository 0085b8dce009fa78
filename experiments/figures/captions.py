"""Pictures of an audit of captions: what comes with what, and what each size identifies."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.figures.lattice import hasse_figure
from experiments.figures.style import MUTED, PALETTE, PROMISED, style
from smartclip.audit.findings import Findings
from smartclip.data.printed import shown
from theory import CaptionFamily

DRAWN = 24
"""Concepts in a graph of accompaniment, so that all names can be read."""


def accompaniment_figure(found: Findings) -> Figure | None:
    """The Hasse diagram of the most said pairs that are never apart; None where there are none."""
    chosen: dict[str, None] = {}
    for tie in found.never:
        pair = (str(tie.counts.other), str(tie.counts.concept))
        if len(chosen.keys() | set(pair)) > DRAWN:
            break
        chosen.update(dict.fromkeys(pair))
    if not chosen:
        return None
    number = {name: k for k, name in enumerate(found.concepts)}
    label = {name: _text(name) for name in chosen}
    closures = [
        [label[found.concepts[j]] for j in found.closure(number[k]) if found.concepts[j] in label]
        for k in chosen
    ]
    return hasse_figure(CaptionFamily(closures))


def size_figure(corpora: Sequence[Findings]) -> Figure:
    """Concepts mentioned and identified alone against the number of captions, a colour a corpus."""
    with style():
        figure, axes = plt.subplots(figsize=(6.4, 4))
        for colour, found in zip([PROMISED, PALETTE[1]], corpora, strict=False):
            captions = [size.captions for size in found.curve]
            name = (
                shown(Path(found.source).name, 40).replace("$", r"\$") if len(corpora) > 1 else ""
            )
            axes.plot(
                captions,
                [size.mentioned for size in found.curve],
                color=colour if len(corpora) > 1 else MUTED,
                linestyle="--",
                label=f"mentioned {name}".strip(),
            )
            axes.plot(
                captions,
                [size.alone for size in found.curve],
                color=colour,
                marker="o",
                label=f"identified alone {name}".strip(),
            )
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("captions")
        axes.set_ylabel("concepts")
        axes.legend(frameon=False)
        axes.set_title("More captions, more concepts")
        figure.tight_layout()
    return figure


def sampler_figure(corpora: Sequence[Findings]) -> Figure:
    """The share of the pairs of concepts of one caption that each sampler shows apart."""
    with style():
        figure, axes = plt.subplots(figsize=(6.4, 2.6 + 0.3 * len(corpora)))
        names = [one.name for one in corpora[0].samplers]
        height = 0.8 / len(corpora)
        for number, (colour, found) in enumerate(
            zip([PROMISED, PALETTE[1]], corpora, strict=False)
        ):
            places = [row + height * (number - (len(corpora) - 1) / 2) for row in range(len(names))]
            shares = [100 * one.within for one in found.samplers]
            bars = axes.barh(
                places, shares, height, color=colour, label=_text(Path(found.source).name)
            )
            axes.bar_label(bars, fmt="%.0f", padding=3)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the pairs of a caption's concepts that it shows apart")
        if len(corpora) > 1:
            axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0))
        figure.tight_layout()
    return figure


def _text(name: str) -> str:
    """A name as it is, whatever signs it holds: figures read dollar signs as mathematics."""
    return shown(name, most=40).replace("$", r"\$")

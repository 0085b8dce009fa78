"""Pictures of a prediction: the Hasse diagram of the atoms and the 0/1 dependency matrix."""

from collections.abc import Iterable
from itertools import pairwise

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from experiments.figures.style import MUTED, PALETTE, PROMISED, style
from theory import Block, CaptionFamily, Prediction

ENTANGLED = PALETTE[1]
LABELLED = 60
WIDEST = 7


def hasse_figure(family: CaptionFamily) -> Figure:
    """Atoms as boxes, each above what accompanies it; the blue ones are identified alone.

    A block is identified iff it holds, with each box, all boxes below that lines reach.
    """
    with style():
        layers = _layers(family)
        width = max(len(layer) for layer in layers)
        figure, axes = plt.subplots(
            figsize=(min(14, 2.4 + 1.5 * width), min(9, 1.6 + 1.1 * len(layers)))
        )
        _draw_hasse(axes, family, layers)
        figure.tight_layout()
    return figure


def dependency_figure(prediction: Prediction) -> Figure:
    """Row k marks the concepts that the coordinates of k may depend on: cl(k)."""
    with style():
        side = min(10, 2.2 + 0.42 * len(prediction.family.concepts))
        figure, axes = plt.subplots(figsize=(side, side))
        _draw_dependency(axes, prediction)
        figure.tight_layout()
    return figure


def prediction_figure(prediction: Prediction) -> Figure:
    """The Hasse diagram beside the dependency matrix."""
    with style():
        family = prediction.family
        layers = _layers(family)
        width = min(9.0, 2.4 + 1.3 * max(len(layer) for layer in layers))
        side = min(9.0, 2.2 + 0.45 * len(family.concepts))
        figure, (left, right) = plt.subplots(
            ncols=2,
            figsize=(width + side, max(side, min(9, 1.6 + 1.1 * len(layers)))),
            width_ratios=[width, side],
        )
        _draw_hasse(left, family, layers)
        _draw_dependency(right, prediction)
        figure.tight_layout()
    return figure


def _layers(family: CaptionFamily) -> list[list[Block]]:
    """Rows of atoms, lowest first: by the longest chain below them."""
    graph = family.hasse()
    order = {atom: index for index, atom in enumerate(family.atoms())}
    layers = [sorted(layer, key=order.__getitem__) for layer in nx.topological_generations(graph)]
    # One sweep of barycentres: an atom stands near the middle of what accompanies it.
    for below, layer in pairwise(layers):
        place = {atom: index for index, atom in enumerate(below)}

        def centre(atom: Block, place: dict[Block, int] = place) -> float:
            found = [place[parent] for parent in graph.predecessors(atom) if parent in place]
            return float(np.mean(found)) if found else len(place) / 2

        layer.sort(key=centre)
    if len(order) > LABELLED:
        return layers
    # Labels need room: a wide layer is broken into rows, which keeps every line upward.
    return [
        layer[start : start + WIDEST] for layer in layers for start in range(0, len(layer), WIDEST)
    ]


def _draw_hasse(axes: Axes, family: CaptionFamily, layers: list[list[Block]]) -> None:
    graph = family.hasse()
    widest = max(len(layer) for layer in layers)
    place = {
        atom: ((index + 0.5) * widest / len(layer), float(height))
        for height, layer in enumerate(layers)
        for index, atom in enumerate(layer)
    }
    labelled = len(place) <= LABELLED
    for lower, upper in graph.edges:
        (x0, y0), (x1, y1) = place[lower], place[upper]
        axes.plot([x0, x1], [y0, y1], color=MUTED, linewidth=1.2, zorder=1)
    for atom, (x, y) in place.items():
        alone = len(atom) == 1 and family.closure(next(iter(atom))) == atom
        colour = PROMISED if alone else ENTANGLED
        if labelled:
            axes.text(
                x,
                y,
                _label(family, atom),
                ha="center",
                va="center",
                zorder=2,
                bbox={
                    "boxstyle": "round,pad=0.35",
                    "facecolor": "white",
                    "edgecolor": colour,
                    "linewidth": 1.8,
                },
            )
        else:
            axes.plot([x], [y], marker="o", markersize=4, color=colour, zorder=2)
    axes.set_xlim(-0.1, widest + 0.1)
    axes.set_ylim(-0.6, len(layers) - 0.4)
    axes.axis("off")
    axes.set_title("Accompaniment (what lies below always comes along)")
    axes.plot([], [], color=PROMISED, linewidth=1.8, label="identified alone")
    axes.plot([], [], color=ENTANGLED, linewidth=1.8, label="identified only together")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)


def _label(family: CaptionFamily, atom: Iterable[object]) -> str:
    names = [str(name) for name in family.space.ordered(atom)]
    text = ", ".join(names[:3])
    return f"{text}, ... ({len(names)})" if len(names) > 3 else text


def _draw_dependency(axes: Axes, prediction: Prediction) -> None:
    names = [str(name) for name in prediction.family.concepts]
    axes.imshow(
        prediction.dependency,
        cmap=ListedColormap(["white", PROMISED]),
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    axes.set_title("What each code may depend on")
    axes.set_xlabel("concept")
    axes.set_ylabel("coordinates of")
    if len(names) <= LABELLED:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="#d8d8d8", linewidth=0.6)
        axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color("#d8d8d8")

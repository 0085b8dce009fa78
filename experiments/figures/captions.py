"""Pictures of an audit of captions: what comes with what, and what each size identifies."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
from matplotlib.figure import Figure

from experiments.figures.style import MUTED, PALETTE, PROMISED, style
from smartclip.audit.findings import Findings
from smartclip.data.printed import shown
from theory import Block, CaptionFamily

DRAWN = 24
"""Concepts in a graph of accompaniment, so that all names can be read."""


def accompaniment_figure(found: Findings) -> Figure | None:
    """The most said pairs that are never apart, each to the right of what always comes along.

    None where there is no such pair.
    """
    chosen: dict[str, None] = {}
    for tie in found.never:
        pair = (str(tie.counts.other), str(tie.counts.concept))
        if len(chosen.keys() | set(pair)) > DRAWN:
            break
        chosen.update(dict.fromkeys(pair))
    if not chosen:
        return None
    number = {name: k for k, name in enumerate(found.concepts)}
    closures = [
        [found.concepts[j] for j in found.closure(number[k]) if found.concepts[j] in chosen]
        for k in chosen
    ]
    graph = CaptionFamily(closures, concepts=list(chosen)).hasse()
    place = _places(graph, list(chosen))
    alone = {name for name in chosen if found.alone[number[name]]}
    with style():
        columns = 1 + max(x for x, _ in place.values())
        rows = 1 + max(y for _, y in place.values())
        figure, axes = plt.subplots(figsize=(2.6 * columns, 0.8 + 0.36 * rows))
        for lower, upper in graph.edges:
            (x0, y0), (x1, y1) = place[lower], place[upper]
            axes.plot([x0, x1], [y0, y1], color=MUTED, linewidth=1.2, zorder=1)
        for atom, (x, y) in place.items():
            axes.text(
                x,
                y,
                ", ".join(_text(str(name)) for name in sorted(map(str, atom))),
                ha="center",
                va="center",
                bbox={
                    "boxstyle": "round,pad=0.3",
                    "facecolor": "white",
                    "edgecolor": PROMISED if atom <= alone else PALETTE[1],
                    "linewidth": 1.6,
                },
            )
        axes.set_xlim(-0.6, columns - 0.4)
        axes.set_ylim(rows - 0.4, -0.6)
        axes.axis("off")
        axes.plot([], [], color=PROMISED, linewidth=1.8, label="identified alone")
        axes.plot([], [], color=PALETTE[1], linewidth=1.8, label="comes only with others")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)
        figure.tight_layout()
    return figure


def _places(graph: "nx.DiGraph[Block]", names: list[str]) -> dict[Block, tuple[int, float]]:
    """A column for each step of accompaniment; what comes along stands beside those it is with."""
    first = {atom: min(names.index(str(name)) for name in atom) for atom in graph}

    def by_first(atoms: Iterable[Block]) -> list[Block]:
        return sorted(atoms, key=first.__getitem__)

    column = {
        atom: number
        for number, layer in enumerate(nx.topological_generations(graph))
        for atom in layer
    }
    row: dict[Block, float] = {}
    roots = sorted((atom for atom in graph if not graph.in_degree(atom)), key=first.__getitem__)
    for root in roots:
        for atom in nx.dfs_preorder_nodes(
            graph, root, sort_neighbors=lambda a: sorted(a, key=first.__getitem__)
        ):
            if not graph.out_degree(atom):
                row.setdefault(atom, float(len(row)))
    for atom in reversed(list(nx.topological_sort(graph))):
        if atom not in row:
            after = [row[upper] for upper in graph.successors(atom)]
            row[atom] = sum(after) / len(after)
    for number in set(column.values()):
        # Two in one column that would stand on one another are pushed apart.
        least = 0.0
        for atom in sorted(
            (a for a in graph if column[a] == number), key=lambda a: (row[a], first[a])
        ):
            row[atom] = max(row[atom], least)
            least = row[atom] + 1
    return {atom: (column[atom], row[atom]) for atom in graph}


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

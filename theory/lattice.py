"""The identified blocks are the unions of closures cl(k) = intersection of all captions with k.

Derived here: under C1-C3 and C5 the identified blocks are exactly the non-empty finite unions and
intersections of caption blocks. They form a distributive lattice, and by Birkhoff's theorem a
preorder describes it: j accompanies k when every caption that mentions k also mentions j. In formal
concept analysis captions are objects, concepts are attributes and accompaniment is implication
between attributes.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeArgument=false

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from theory.concepts import Block, Concept, as_block, union
from theory.errors import InputError


def closures_of(captions: Iterable[Block]) -> dict[Concept, Block]:
    """cl(k) = intersection of all B in C with k in B, for every mentioned concept k.

    One pass over the captions; the memory is that of the closures, not of the captions, so an
    iterator of millions of captions can be given.

    Args:
        captions: blocks, repeated ones allowed.

    Returns:
        The closure of each mentioned concept.

    Source: derived here; the formal-concept-analysis closure of one attribute.

    >>> closures = closures_of([frozenset({"bear", "pen"}), frozenset({"bear", "chair"})])
    >>> sorted(closures["pen"]), sorted(closures["bear"])
    (['bear', 'pen'], ['bear'])
    """
    closures: dict[Concept, Block] = {}
    for caption in captions:
        for concept in caption:
            known = closures.get(concept)
            if known is None:
                closures[concept] = caption
            elif len(known) > 1:
                # A closure of one concept cannot shrink: most concepts of a large corpus end here.
                closures[concept] = known & caption
    return closures


class Accompaniment(nx.DiGraph):
    """j -> k when j accompanies k: every caption that mentions k also mentions j.

    A preorder without its loops; nodes are the mentioned concepts.

    >>> graph = Ring.from_captions([{"bear", "pen"}, {"bear", "chair"}]).accompaniment()
    >>> sorted(graph.edges)
    [('bear', 'chair'), ('bear', 'pen')]
    """

    def hasse(self) -> "nx.DiGraph[Block]":
        """The transitive reduction on atoms: nodes are frozensets of concepts never apart.

        >>> graph = Ring.from_captions([{1}, {1, 2}, {1, 2, 3}]).accompaniment().hasse()
        >>> [(min(a), min(b)) for a, b in sorted(graph.edges, key=lambda edge: min(edge[0]))]
        [(1, 2), (2, 3)]
        """
        atoms = nx.condensation(self)
        reduced = nx.transitive_reduction(atoms)
        members = {node: frozenset(atoms.nodes[node]["members"]) for node in atoms}
        return nx.relabel_nodes(reduced, members)


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """Where a block lies in the ring: inside <= block <= around, equal iff it is identified.

    Attributes:
        block: the block asked about.
        inside: the largest identified block within it (empty if there is none).
        around: the smallest identified block that holds it.
        reasons: for each concept k of the block, the concepts outside it that accompany k; empty
            iff the block is identified. Each entry is a witness: they cannot be kept out.

    >>> Ring.from_captions([{1}, {1, 2}]).locate({2}).around
    frozenset({1, 2})
    """

    block: Block
    inside: Block
    around: Block
    reasons: dict[Concept, Block]

    @property
    def identified(self) -> bool:
        """True iff the block is a non-empty member of the ring."""
        return bool(self.block) and not self.reasons


@dataclass(frozen=True, eq=False)
class Ring:
    """{A non-empty : cl(k) in A for every k in A}, the ring of sets that the captions generate.

    Attributes:
        closures: cl(k) for each mentioned concept, in the order of the concepts.

    Source: derived here (3.4); Birkhoff, Rings of sets, 1937.

    >>> ring = Ring.from_captions([{"bear", "pen"}, {"bear", "chair"}])
    >>> [sorted(block) for block in ring.identified()]
    [['bear'], ['bear', 'pen'], ['bear', 'chair'], ['bear', 'chair', 'pen']]
    >>> ring.count()
    4
    """

    closures: Mapping[Concept, Block]

    @classmethod
    def from_captions(
        cls, captions: Iterable[Iterable[Concept]], order: Iterable[Concept] | None = None
    ) -> "Ring":
        """The ring of captions given one by one; memory grows with the concepts only.

        Args:
            captions: collections of concept names; may be an iterator over millions.
            order: concepts in the order wanted; the order of their first mention by default.

        Raises:
            InputError: there is no caption.
        """
        closures = closures_of(
            as_block(caption, where=f"caption {i}") for i, caption in enumerate(captions, start=1)
        )
        if not closures:
            raise InputError(
                "no caption mentions a concept",
                rule="a ring of blocks is generated by at least one caption",
                fix="give captions such as [['bear', 'pen'], ['bear', 'chair']]",
            )
        if order is None:
            return cls(closures)
        return cls({concept: closures[concept] for concept in order if concept in closures})

    @cached_property
    def _position(self) -> dict[Concept, int]:
        return {concept: index for index, concept in enumerate(self.closures)}

    def closure(self, concept: Concept) -> Block:
        """cl(k), the smallest identified block that holds k.

        Raises:
            InputError: no caption mentions the concept.
        """
        try:
            return self.closures[concept]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"no caption mentions {concept!r}",
                rule="only a mentioned concept has a closure",
                fix="add a caption that mentions it",
            ) from error

    @cached_property
    def _atoms(self) -> list[Block]:
        groups: dict[Block, list[Concept]] = {}
        for concept, closure in self.closures.items():
            groups.setdefault(closure, []).append(concept)
        return [frozenset(members) for members in groups.values()]

    def atoms(self) -> list[Block]:
        """The sets of concepts never apart: k and j are in one atom iff cl(k) = cl(j)."""
        return list(self._atoms)

    def irreducibles(self) -> list[Block]:
        """The distinct closures: the identified blocks that are no union of smaller ones.

        They generate the same ring as the captions, and no identified block can be left out.
        """
        return list(dict.fromkeys(self.closures.values()))

    def accompaniment(self) -> Accompaniment:
        """The preorder as a graph: edge j -> k iff j != k and j is in cl(k)."""
        graph = Accompaniment()
        graph.add_nodes_from(self.closures)
        for concept, closure in self.closures.items():
            graph.add_edges_from((other, concept) for other in closure if other != concept)
        return graph

    def locate(self, block: Iterable[Concept]) -> Location:
        """Is the block identified; if not, the nearest identified blocks inside and around it.

        Raises:
            InputError: the block holds a concept that no caption mentions.

        >>> place = Ring.from_captions([{"bear", "pen"}, {"bear", "chair"}]).locate({"pen"})
        >>> place.identified, sorted(place.around), sorted(place.inside), place.reasons
        (False, ['bear', 'pen'], [], {'pen': frozenset({'bear'})})
        """
        wanted = as_block(block, where="the block")
        closures = {concept: self.closure(concept) for concept in wanted}
        reasons = {k: closure - wanted for k, closure in closures.items() if closure - wanted}
        return Location(
            block=wanted,
            inside=frozenset(k for k in wanted if k not in reasons),
            around=union(closures.values()),
            reasons=dict(sorted(reasons.items(), key=lambda item: self._position[item[0]])),
        )

    def __contains__(self, block: Iterable[Concept]) -> bool:
        members = as_block(block, where="the block")
        return bool(members) and all(
            k in self.closures and self.closures[k] <= members for k in members
        )

    def identified(self, limit: int = 1_000_000) -> Iterator[Block]:
        """Every identified non-empty block, smallest first (by concepts), each exactly once.

        Lazy: taking the first few of an astronomical number is cheap. `count()` tells how many
        there are.

        Args:
            limit: the most blocks to give before refusing to go on.

        Raises:
            InputError: when block number `limit` + 1 is asked for.
        """
        # Atoms in order of closure size are a linear extension: what accompanies an atom is before
        # it. A block then has one parent, itself without its last atom, so none comes up twice.
        atoms = sorted(self._atoms, key=lambda atom: len(self.closures[next(iter(atom))]))
        number = {concept: index for index, atom in enumerate(atoms) for concept in atom}
        below = [
            sum({1 << number[j] for j in self.closures[next(iter(atom))] if j not in atom})
            for atom in atoms
        ]
        places = [sorted(self._position[concept] for concept in atom) for atom in atoms]
        concepts = list(self.closures)

        heap: list[tuple[int, tuple[int, ...], int, int]] = []

        def push_children(held: tuple[int, ...], bits: int, last: int) -> None:
            for index in range(last + 1, len(atoms)):
                if below[index] & ~bits == 0:
                    grown = tuple(sorted((*held, *places[index])))
                    heapq.heappush(heap, (len(grown), grown, bits | 1 << index, index))

        push_children((), 0, -1)
        given = 0
        while heap:
            if given == limit:
                raise InputError(
                    f"more than {limit} blocks are identified",
                    rule="a listing stops at its limit",
                    fix="take the first with itertools.islice, call count(), or raise limit=",
                )
            _, held, bits, last = heapq.heappop(heap)
            given += 1
            yield frozenset(concepts[index] for index in held)
            push_children(held, bits, last)

    def count(self, effort: int = 200_000) -> int:
        """The number of identified non-empty blocks, exactly.

        Down-sets of a poset: those without x plus those with x, components apart, each poset once.
        Counting is #P-complete, so the effort is bounded.

        Args:
            effort: the most sub-posets to visit.

        Raises:
            InputError: the bound is reached.

        >>> Ring.from_captions([{k} for k in range(100)]).count() == 2**100 - 1
        True
        """
        atoms = self._atoms
        number = {concept: index for index, atom in enumerate(atoms) for concept in atom}
        down = [1 << i for i in range(len(atoms))]
        for index, atom in enumerate(atoms):
            for concept in self.closures[next(iter(atom))]:
                down[index] |= 1 << number[concept]
        up = [0] * len(atoms)
        for index, bits in enumerate(down):
            for other in _ones(bits):
                up[other] |= 1 << index
        memory: dict[int, int] = {}

        def component(poset: int) -> int:
            found, frontier = 0, poset & -poset
            while frontier:
                found |= frontier
                touched = 0
                for index in _ones(frontier):
                    touched |= down[index] | up[index]
                frontier = touched & poset & ~found
            return found

        def downsets(poset: int) -> int:
            total = 1
            while poset:
                part = component(poset)
                poset &= ~part
                total *= connected(part)
            return total

        def connected(poset: int) -> int:
            if poset & (poset - 1) == 0:
                return 2
            if poset not in memory:
                if len(memory) >= effort:
                    raise InputError(
                        f"counting needs more than {effort} steps",
                        rule="exact counting is bounded, the problem is #P-complete",
                        fix="raise effort= or merge concepts",
                    )
                # The element comparable with most others splits the poset best.
                pivot = max(_ones(poset), key=lambda i: ((down[i] | up[i]) & poset).bit_count())
                memory[poset] = downsets(poset & ~up[pivot]) + downsets(poset & ~down[pivot])
            return memory[poset]

        return downsets((1 << len(atoms)) - 1) - 1


def _ones(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low

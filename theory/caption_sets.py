"""Give every concept k a non-empty set T_k of n captions, as a target order asks:

    T_i not within T_j   for the pairs `apart`:  some caption has i and not j
    T_i within T_j       for the pairs `within`: every caption that has i has j

with at most L concepts in a caption. Only apart, it is a completely separating system (Dickson
1969, Spencer 1970); with both it is an embedding of a preorder into the subsets of n things, whose
least n is the 2-dimension of the order (Trotter 1975). Both are NP-hard, so the search stops in
time: it ends with sets, with a proof that there are none, or undecided. Derived here.

Sets are numbers, bit c for caption c; the sets still open to a concept are the bits of one number.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

MOST_CAPTIONS = 12
MOST_CONCEPTS = 400
NODES_BETWEEN_LOOKS = 64

Outcome = list[int] | Literal["impossible", "undecided"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the sets T_1, ..., T_K have to satisfy.

    Attributes:
        apart: for each i the j with T_i not within T_j.
        within: for each i the j with T_i within T_j.
        limit: L, the most concepts in one caption.
        forbidden: concepts that no caption may hold together.
    """

    apart: Sequence[frozenset[int]]
    within: Sequence[frozenset[int]]
    limit: int
    forbidden: Sequence[frozenset[int]] = ()

    def find(
        self, captions: int, *, until: float, look: Callable[[], None] = lambda: None
    ) -> Outcome:
        """T_1, ..., T_K over this many captions, or why there are none.

        Args:
            captions: n; beyond 12, or beyond 400 concepts, nothing is tried.
            until: when to stop, by `time.monotonic`.
            look: called now and then during the search.

        >>> apart = [frozenset({1}), frozenset({0})]
        >>> wanted = Wanted(apart=apart, within=[frozenset()] * 2, limit=2)
        >>> wanted.find(1, until=time.monotonic() + 1), wanted.find(2, until=time.monotonic() + 1)
        ('impossible', [1, 2])
        """
        if captions > MOST_CAPTIONS or len(self.apart) > MOST_CONCEPTS:
            return "undecided"
        return _Search(self, captions).run(until, look)


@dataclass(frozen=True, slots=True)
class _Node:
    """What is left to choose: the open sets of each concept, how full captions are, what is met."""

    open: list[int]
    chosen: dict[int, int]
    held: list[int]
    used: int


class _Search:
    """Depth first, the concept with the fewest open sets next; captions are interchangeable."""

    def __init__(self, wanted: Wanted, captions: int) -> None:
        count = len(wanted.apart)
        self.wanted, self.captions = wanted, captions
        self.apart_from: list[list[int]] = [[] for _ in range(count)]
        self.around: list[list[int]] = [[] for _ in range(count)]
        for i in range(count):
            for j in wanted.apart[i]:
                self.apart_from[j].append(i)
            for j in wanted.within[i]:
                self.around[j].append(i)
        self.blocks = [[b for b in wanted.forbidden if i in b] for i in range(count)]
        # Sets of concepts that others must not be within are small, of those not within others
        # large: the likely size of each set, as a share of n.
        self.share = [
            (1 + len(wanted.apart[i]) + len(self.around[i]))
            / (
                2
                + len(wanted.apart[i])
                + len(self.apart_from[i])
                + len(wanted.within[i])
                + len(self.around[i])
            )
            for i in range(count)
        ]

    def run(self, until: float, look: Callable[[], None]) -> Outcome:
        n, count = self.captions, len(self.wanted.apart)
        every = (1 << (1 << n)) - 2  # all sets but the empty one
        stack = [self._children(_Node([every] * count, {}, [0] * n, 0))]
        nodes = 0
        while stack:
            nodes += 1
            if nodes % NODES_BETWEEN_LOOKS == 0:
                look()
                if time.monotonic() > until:
                    return "undecided"
            child = next(stack[-1], None)
            if child is None:
                stack.pop()
            elif len(child.chosen) == count:
                return [child.chosen[i] for i in range(count)]
            else:
                stack.append(self._children(child))
        return "impossible"

    def _children(self, node: _Node) -> Iterator[_Node]:
        left = [i for i in range(len(node.open)) if i not in node.chosen]
        i = min(left, key=lambda i: (node.open[i].bit_count(), self.share[i]))
        room = self.captions * self.wanted.limit / len(node.open)
        size = min(1 + self.share[i] * (self.captions - 1), room)
        for value in sorted(
            _ones(node.open[i]), key=lambda value: (abs(value.bit_count() - size), value)
        ):
            # Captions not used yet are alike, so the first of them stand for all.
            new = value >> node.used
            if new & (new + 1) == 0 and (child := self._choose(node, i, value)) is not None:
                yield child

    def _choose(self, node: _Node, i: int, value: int) -> _Node | None:
        """The node in which T_i is `value`; None where some concept has no set left."""
        n, wanted = self.captions, self.wanted
        inside, above = _subsets(n, value), _supersets(n, value)
        chosen = node.chosen | {i: value}
        held = list(node.held)
        full = 0
        for c in _ones(value):
            held[c] += 1
            if held[c] == wanted.limit:
                full |= _supersets(n, 1 << c)
        open_sets = [sets & ~full for sets in node.open] if full else list(node.open)
        for j in wanted.apart[i]:
            open_sets[j] &= ~above
        for j in self.apart_from[i]:
            open_sets[j] &= ~inside
        for j in wanted.within[i]:
            open_sets[j] &= above
        for j in self.around[i]:
            open_sets[j] &= inside
        for block in self.blocks[i]:
            common = (1 << n) - 1
            for j in block & chosen.keys():
                common &= chosen[j]
            rest = block - chosen.keys()
            if not rest and common:
                return None
            if len(rest) == 1:
                open_sets[next(iter(rest))] &= _subsets(n, (1 << n) - 1 & ~common)
        left = n * wanted.limit - sum(held)
        for j, sets in enumerate(open_sets):
            if j not in chosen:
                # The smallest set that is open to j takes room in as many captions.
                least = next((size for size in range(1, n + 1) if sets & _layer(n, size)), None)
                if least is None or least > left:
                    return None
                left -= least
        return _Node(open_sets, chosen, held, max(node.used, value.bit_length()))


@lru_cache(maxsize=1 << MOST_CAPTIONS + 1)
def _subsets(captions: int, value: int) -> int:
    """The sets within `value`, as bits."""
    if value == 0:
        return 1
    top = value.bit_length() - 1
    rest = _subsets(captions, value & ~(1 << top))
    return rest | rest << (1 << top)


@lru_cache(maxsize=MOST_CAPTIONS**2)
def _layer(captions: int, size: int) -> int:
    """The sets of one size, as bits."""
    return sum(1 << value for value in range(1 << captions) if value.bit_count() == size)


def _supersets(captions: int, value: int) -> int:
    """The sets that hold `value`, as bits."""
    return _subsets(captions, (1 << captions) - 1 & ~value) << value


def _ones(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low

"""K concepts are identified one by one iff the sets T_k = {captions with k} form an antichain.

The fewest captions are the least n with C(n, floor(n/2)) >= K (Sperner). With at most L concepts a
caption, n >= ceil(2K/L), attained when ceil(2K/L) >= L + 1. Derived here from completely separating
systems: Dickson 1969, Spencer 1970; the volume bound is that of the flat antichain theorem
(Kisvoelcsey 2006) with Kruskal-Katona shadows. Adding to given captions is a covering problem.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, count
from math import comb
from typing import SupportsIndex

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from theory.captions import CaptionFamily
from theory.concepts import Block, Concept, in_order
from theory.errors import InputError
from theory.prediction import predict

# Captions times pairs: beyond, one linear relaxation alone takes longer than people wait.
LARGEST_PROGRAMME = 3000


@dataclass(frozen=True, kw_only=True)
class Design(CaptionFamily):
    """A caption family made to identify every concept alone, with a bound on how small it can be.

    Attributes:
        lower_bound: no family with fewer captions does it.
        reason: why.

    >>> smallest_family(range(4)).reason
    'Sperner: 3 captions tell at most 3 concepts apart, not 4'
    """

    lower_bound: int
    reason: str

    @property
    def optimal(self) -> bool:
        """True iff the bound is met, so that no smaller family exists."""
        return len(self.captions) == self.lower_bound


class Addition(list[Block]):
    """New captions, as a list of blocks, with a bound on how few would do.

    Attributes:
        lower_bound: no smaller number of new captions does it.
        reason: why.

    >>> family = CaptionFamily.from_captions([["bear", "pen"]])
    >>> addition = smallest_addition(family, wanted=["pen"])
    >>> addition, addition.optimal
    ([frozenset({'pen'})], True)
    """

    def __init__(self, captions: Iterable[Block], *, lower_bound: int, reason: str) -> None:
        super().__init__(captions)
        self.lower_bound = lower_bound
        self.reason = reason

    @property
    def optimal(self) -> bool:
        """True iff the bound is met, so that fewer captions do not do it."""
        return len(self) == self.lower_bound


def fewest_captions(concepts: int, max_length: int | None = None) -> tuple[int, str]:
    """Lower bound on n: K <= C(n, floor(n/2)), and the least volume of K sets is at most n L.

    Args:
        concepts: K, the number of concepts to identify one by one.
        max_length: L, the most concepts in one caption; None for no limit.

    Returns:
        The bound and the reason for it in words.

    Source: Sperner 1928; Kisvoelcsey 2006 and Kruskal-Katona for the volume. Derived here.

    >>> fewest_captions(6)[0], fewest_captions(6, max_length=2)[0], fewest_captions(1)[0]
    (4, 6, 1)
    """
    if max_length is not None and max_length < 1:
        raise InputError(
            f"max_length is {max_length}",
            rule="a caption mentions at least one concept",
            fix="give 1 or more",
        )
    if concepts == 1:
        return 1, "one concept needs one caption"
    if max_length == 1:
        return concepts, "captions of one concept name one concept each"
    sperner = next(n for n in count(1) if comb(n, n // 2) >= concepts)
    if max_length is None or max_length >= concepts:
        return sperner, (
            f"Sperner: {sperner - 1} captions tell at most "
            f"{comb(sperner - 1, (sperner - 1) // 2)} concepts apart, not {concepts}"
        )
    n = next(
        n
        for n in count(max(sperner, -(-2 * concepts // max_length)))
        if _least_volume(concepts, n) <= n * max_length
    )
    if n == sperner:
        reason = (
            f"Sperner: {n - 1} captions tell at most {comb(n - 1, (n - 1) // 2)} concepts apart, "
            f"not {concepts}"
        )
    elif n == -(-2 * concepts // max_length):
        reason = (
            f"a concept named once fills its caption, the others are named twice or more: "
            f"{2 * concepts} mentions, {max_length} to a caption"
        )
    else:
        reason = (
            f"{concepts} incomparable sets of {n - 1} captions take at least "
            f"{_least_volume(concepts, n - 1)} mentions, more than {(n - 1) * max_length}"
        )
    return n, reason


def smallest_family(
    concepts: Iterable[Concept],
    *,
    max_length: int | None = None,
    sizes: Mapping[Concept, SupportsIndex] | None = None,
) -> Design:
    """The fewest captions that identify every concept alone: an antichain of sets T_k.

    The captions are of equal length up to one concept. The answer carries its lower bound; it is
    met without `max_length` and, with it, whenever ceil(2K/L) >= L + 1.

    Args:
        concepts: K names.
        max_length: L, the most concepts in one caption.
        sizes: d_k, 1 where silent.

    Raises:
        InputError: no concept, a repeated one, or a limit below 1.

    Source: derived here (3.7); Sperner 1928.

    >>> family = smallest_family(range(6))
    >>> len(family.captions), family.optimal, predict(family).alone
    (4, True, (0, 1, 2, 3, 4, 5))
    >>> [sorted(caption) for caption in smallest_family(["a", "b", "c"], max_length=2).captions]
    [['a'], ['b'], ['c']]
    """
    names = in_order(concepts, where="concepts")
    if not names:
        raise InputError(
            "there is no concept", rule="a family mentions a concept", fix="give some names"
        )
    lower_bound, reason = fewest_captions(len(names), max_length)
    limit = len(names) if max_length is None else max_length
    # K sets of one size t can be chosen so that their use is even, up to one.
    n, layer = next(
        (n, t)
        for n in count(lower_bound)
        for t in range(1, n + 1)
        if comb(n, t) >= len(names) and t * len(names) <= n * limit
    )
    captions: list[list[Concept]] = [[] for _ in range(n)]
    for name, numbers in zip(names, _even_sets(len(names), n, layer), strict=True):
        for number in numbers:
            captions[number].append(name)
    family = CaptionFamily.from_captions(captions, concepts=names, sizes=sizes)
    design = Design(
        space=family.space,
        captions=family.captions,
        weights=family.weights,
        lower_bound=lower_bound,
        reason=reason,
    )
    assert predict(design).alone == design.concepts
    return design


def smallest_addition(
    family: CaptionFamily,
    wanted: Iterable[Concept] | None = None,
    *,
    max_length: int | None = None,
    forbidden: Iterable[Iterable[Concept]] = (),
    effort: int = 200,
) -> Addition:
    """The fewest new captions after which cl(k) = {k} for every wanted k.

    For every wanted k and every j in cl(k) other than k, some new caption must hold k and not j.
    Mixed-integer programming shows each smaller number infeasible, as long as a search of `effort`
    nodes decides it; beyond, the answer is a greedy one, and `lower_bound` states the gap.

    Args:
        family: the captions there are.
        wanted: concepts to be identified alone; all by default.
        max_length: the most concepts in a new caption.
        forbidden: blocks that may not be mentioned together in a new caption.
        effort: the most nodes of each exact search; 0 for the greedy answer.

    Returns:
        The new captions (none if nothing is missing), each as short as the others allow.

    Raises:
        InputError: an unknown concept, a limit below 1, or a wanted concept that is forbidden.

    Source: derived here (3.7).

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> smallest_addition(family, wanted=["pen"])
    [frozenset({'pen'})]
    >>> [sorted(caption) for caption in smallest_addition(family)]
    [['chair', 'pen']]
    """
    targets = family.concepts if wanted is None else family.space.ordered(wanted)
    fewest_captions(1, max_length)  # refuses an impossible length
    closures = family.ring.closures
    everything = frozenset(family.concepts)
    missing = {
        k: closures.get(k, everything) - {k} for k in targets if closures.get(k) != frozenset({k})
    }
    blocked = [frozenset(family.space.ordered(block)) for block in forbidden]
    for block in blocked:
        if len(block) <= 1 and block & missing.keys():
            raise InputError(
                f"{next(iter(block))!r} is wanted and forbidden",
                rule="only a caption that mentions a concept can separate it",
                fix="allow it in new captions",
            )
    if not missing:
        return Addition([], lower_bound=0, reason="every wanted concept is identified already")
    # A concept that is not missing only does harm in a new caption, so it stays out; what it
    # accompanied is separated by any caption at all.
    names = list(missing)
    pairs = [(i, j) for i, k in enumerate(names) for j, o in enumerate(names) if o in missing[k]]
    cover = _Cover(
        count=len(names),
        pairs=pairs,
        limit=len(names) if max_length is None else min(max_length, len(names)),
        blocked=[
            frozenset(names.index(k) for k in block)
            for block in blocked
            if block and block <= missing.keys()
        ],
    )
    bound, reason = cover.lower_bound(names)
    best = cover.greedy()
    if not cover.blocked:
        designed = smallest_family(range(len(names)), max_length=cover.limit)
        numbered = [frozenset(map(designed.space.position, c)) for c in designed.captions]
        best = min(best, numbered, key=len)
    while len(best) > bound and effort and bound * len(pairs) <= LARGEST_PROGRAMME:
        decided, found = cover.exactly(bound, effort)
        if found is not None:
            best = found
        elif decided:
            bound += 1
            reason = f"a mixed-integer programme shows that {bound - 1} new captions cannot do it"
        else:
            break
    chosen = [frozenset(names[i] for i in caption) for caption in cover.pruned(best)]
    assert set(targets) <= set(predict(family.with_captions(chosen)).alone)
    return Addition(chosen, lower_bound=bound, reason=reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cover:
    """Choose captions X such that every pair (i, j) has one with i in X and j not in X."""

    count: int
    pairs: list[tuple[int, int]]
    limit: int
    blocked: list[frozenset[int]]

    def lower_bound(self, names: list[Concept]) -> tuple[int, str]:
        """Every concept must occur, and concepts never apart need incomparable new sets."""
        by_length = -(-self.count // self.limit)
        both = {(i, j) for i, j in self.pairs if (j, i) in set(self.pairs)}
        largest = max(1 + sum((i, j) in both for j in range(self.count)) for i in range(self.count))
        by_atom, reason = fewest_captions(largest, self.limit)
        if by_length == by_atom == 1:
            return 1, "no caption so far separates them"
        if by_atom >= by_length:
            return by_atom, f"of {largest} concepts never apart: {reason}"
        return by_length, f"{self.count} concepts must be named, {self.limit} to a caption"

    def allowed(self, caption: frozenset[int]) -> bool:
        return len(caption) <= self.limit and not any(block <= caption for block in self.blocked)

    def greedy(self) -> list[frozenset[int]]:
        """Captions that cover as many open pairs as single additions can reach."""
        open_pairs = set(self.pairs)
        unnamed = set(range(self.count))
        captions: list[frozenset[int]] = []
        while open_pairs or unnamed:
            gives: list[set[int]] = [set() for _ in range(self.count)]
            takes: list[set[int]] = [set() for _ in range(self.count)]
            for i, j in open_pairs:
                gives[i].add(j)
                takes[j].add(i)
            caption: frozenset[int] = frozenset()
            while True:
                best, gain = None, 0
                for i in range(self.count):
                    if i in caption or not self.allowed(caption | {i}):
                        continue
                    value = len(gives[i] - caption) - len(takes[i] & caption) + (i in unnamed)
                    if value > gain:
                        best, gain = i, value
                if best is None:
                    break
                caption |= {best}
            captions.append(caption)
            unnamed -= caption
            open_pairs -= {(i, j) for i, j in open_pairs if i in caption and j not in caption}
        return captions

    def exactly(self, number: int, effort: int) -> tuple[bool, list[frozenset[int]] | None]:
        """Whether the search ended, and `number` captions that cover everything if it found some.

        Ended without any is a proof that there are none.
        """
        width = self.count + len(self.pairs)
        total = number * width
        rows: list[tuple[list[int], list[float], float, float]] = []
        for c in range(number):
            start = c * width
            x = range(start, start + self.count)
            rows.append((list(x), [1.0] * self.count, 0, self.limit))
            rows.extend(
                ([x[i] for i in block], [1.0] * len(block), 0, len(block) - 1)
                for block in self.blocked
            )
            for p, (i, j) in enumerate(self.pairs):
                y = start + self.count + p
                rows.append(([y, x[i]], [1.0, -1.0], -1, 0))
                rows.append(([y, x[j]], [1.0, 1.0], 0, 1))
        for p in range(len(self.pairs)):
            columns = [c * width + self.count + p for c in range(number)]
            rows.append((columns, [1.0] * number, 1, number))
        for i in range(self.count):
            columns = [c * width + i for c in range(number)]
            rows.append((columns, [1.0] * number, 1, number))
        for c in range(number - 1):
            # Captions may be permuted: order them by length, so equals are tried once.
            first = [c * width + i for i in range(self.count)]
            second = [(c + 1) * width + i for i in range(self.count)]
            values = [1.0] * self.count + [-1.0] * self.count
            rows.append((first + second, values, 0, self.count))
        flat = [
            (r, column, value)
            for r, row in enumerate(rows)
            for column, value in zip(row[0], row[1], strict=True)
        ]
        at, columns, values = zip(*flat, strict=True)
        matrix = sparse.csr_array((values, (at, columns)), shape=(len(rows), total))
        low = np.array([row[2] for row in rows])
        high = np.array([row[3] for row in rows])
        solution = milp(
            np.zeros(total),
            constraints=LinearConstraint(matrix, low, high),  # pyright: ignore[reportArgumentType]
            integrality=np.tile([1] * self.count + [0] * len(self.pairs), number),
            bounds=Bounds(0, 1),
            options={"node_limit": effort},
        )
        if solution.x is None:
            return solution.status == 2, None
        opened = solution.x.reshape(number, width)[:, : self.count] > 0.5
        return True, [frozenset(np.flatnonzero(row).tolist()) for row in opened]

    def pruned(self, captions: list[frozenset[int]]) -> list[frozenset[int]]:
        """The same captions without the mentions that are not needed."""
        kept = list(captions)
        for c in range(len(kept)):
            for i in sorted(kept[c]):
                trial = [*kept[:c], kept[c] - {i}, *kept[c + 1 :]]
                if trial[c] and self.covered(trial):
                    kept = trial
        return kept

    def covered(self, captions: list[frozenset[int]]) -> bool:
        named = set[int]().union(*captions)
        return len(named) == self.count and all(
            any(i in caption and j not in caption for caption in captions) for i, j in self.pairs
        )


def _even_sets(number: int, n: int, size: int) -> list[frozenset[int]]:
    """`number` different `size`-subsets of 0..n-1 that use every element equally often, up to one.

    If a is used twice more often than b, some set with a and without b can swap them without
    becoming one that is there already; so swapping ends in balance.
    """
    degree = [0] * n
    chosen: dict[frozenset[int], None] = {}
    rest = combinations(range(n), size)
    for _ in range(number):
        least = frozenset(sorted(range(n), key=lambda i: (degree[i], i))[:size])
        while least in chosen:
            least = frozenset(next(rest))
        chosen[least] = None
        for i in least:
            degree[i] += 1
    while max(degree) - min(degree) > 1:
        a, b = degree.index(max(degree)), degree.index(min(degree))
        old = next(s for s in chosen if a in s and b not in s and s - {a} | {b} not in chosen)
        del chosen[old]
        chosen[old - {a} | {b}] = None
        degree[a] -= 1
        degree[b] += 1
    return list(chosen)


def _least_volume(number: int, n: int) -> int:
    """The least sum of sizes of `number` incomparable subsets of an n-set.

    By the flat antichain theorem sets of two neighbouring sizes t and t + 1 suffice; b sets of size
    t + 1 forbid at least their Kruskal-Katona shadow among those of size t.
    """
    if number <= n:
        return number
    t = max(t for t in range(1, n // 2) if comb(n, t) < number)
    larger = next(
        b for b in range(comb(n, t + 1) + 1) if comb(n, t) - _shadow(b, t + 1) + b >= number
    )
    return t * number + larger


def _shadow(number: int, size: int) -> int:
    """The fewest (size - 1)-subsets below `number` sets of `size` (Kruskal 1963, Katona 1968)."""
    total = 0
    while number and size:
        top = size
        while comb(top + 1, size) <= number:
            top += 1
        total += comb(top, size - 1)
        number -= comb(top, size)
        size -= 1
    return total

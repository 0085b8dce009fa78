"""K concepts are identified one by one iff the sets T_k = {captions with k} form an antichain.

The fewest captions are the least n with C(n, floor(n/2)) >= K (Sperner). With at most L concepts a
caption, n >= ceil(2K/L), attained when ceil(2K/L) >= L + 1. Derived here from completely separating
systems: Dickson 1969, Spencer 1970; the volume bound is that of the flat antichain theorem
(Kisvoelcsey 2006) with Kruskal-Katona shadows. Any other order of accompaniment asks for its
2-dimension (Trotter 1975), and adding to given captions for a cover: both are searched in time.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, count
from math import comb
from typing import NamedTuple

import networkx as nx
import numpy as np
from jaxtyping import Bool
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

from theory.caption_sets import Wanted
from theory.captions import CaptionFamily
from theory.concepts import Block, Concept, ConceptSpace, Sizes, in_order, intersection
from theory.errors import InputError
from theory.prediction import predict

SECONDS = 10.0


class Progress(NamedTuple):
    """How far a search for fewer captions is.

    Attributes:
        lower_bound: no smaller number does it.
        best: captions of the best answer so far.
        seconds: since the search began.
    """

    lower_bound: int
    best: int
    seconds: float


Watch = Callable[[Progress], None]


class Design(CaptionFamily):
    """A caption family made to identify every concept alone, with a bound on how small it can be.

    Attributes:
        lower_bound: no family with fewer captions does it.
        reason: why.

    >>> smallest_family(range(4)).reason
    'Sperner: 3 captions tell at most 3 concepts apart, not 4'
    """

    def __init__(self, family: CaptionFamily, *, lower_bound: int, reason: str) -> None:
        super().__init__(family)
        self.lower_bound = lower_bound
        self.reason = reason

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


def fewest_different(number: int, max_length: int) -> int:
    """The least n with `number` different non-empty subsets of n captions, none longer than L.

    Without a limit 2^n - 1 >= number. With one, the smallest subsets mention least: n of size 1,
    C(n, 2) of size 2, and so on, at most n L mentions in all.

    Args:
        number: of sets.
        max_length: L, the most concepts in one caption.

    Source: derived here.

    >>> fewest_different(39, max_length=39), fewest_different(6, max_length=2)
    (6, 4)
    """
    for n in count(1):
        left, mentions = number, 0
        for size in range(1, n + 1):
            taken = min(left, comb(n, size))
            left, mentions = left - taken, mentions + size * taken
        if not left and mentions <= n * max_length:
            return n
    raise AssertionError


def smallest_family(
    concepts: Iterable[Concept],
    *,
    order: Mapping[Concept, Iterable[Concept]] | None = None,
    max_length: int | None = None,
    sizes: Sizes | None = None,
    seconds: float = SECONDS,
    watch: Watch | None = None,
) -> Design:
    """The fewest captions with cl(k) = {k} for all k, or with the closures of a given order.

    Without an order the sets T_k are an antichain; the captions are of equal length up to one
    concept, and the lower bound is met without `max_length` and, with it, whenever
    ceil(2K/L) >= L + 1. With an order, T_k lies within T_j exactly where j is in cl(k): the least
    number is the 2-dimension of the order, searched for between a bound by counting and the
    distinct closures, which always do it.

    Args:
        concepts: K names.
        order: concept -> the concepts that are to accompany it; what accompanies those comes along.
        max_length: L, the most concepts in one caption.
        sizes: d_k, 1 where silent.
        seconds: for the search under an order; 0 for the quick answer.
        watch: told now and then how far the search is.

    Raises:
        InputError: no concept, a repeated one, a limit below 1 or below a closure, or an order
            between unknown concepts.

    Source: derived here (3.7); Sperner 1928; the 2-dimension: Trotter 1975.

    >>> family = smallest_family(range(6))
    >>> len(family.captions), family.optimal, predict(family).alone
    (4, True, (0, 1, 2, 3, 4, 5))
    >>> [sorted(caption) for caption in smallest_family(["a", "b", "c"], max_length=2).captions]
    [['a'], ['b'], ['c']]
    >>> chosen = smallest_family(["bear", "pen", "chair"], order={"pen": ["bear"]})
    >>> [sorted(caption) for caption in chosen.captions], chosen.optimal
    ([['chair'], ['bear'], ['bear', 'pen']], True)
    """
    names = in_order(concepts, where="concepts")
    if not names:
        raise InputError(
            "there is no concept", rule="a family mentions a concept", fix="give some names"
        )
    lower_bound, reason = fewest_captions(len(names), max_length)
    space = ConceptSpace.of(names, sizes)
    closures = _closed(space, order or {})
    if all(len(closure) == 1 for closure in closures):
        captions = _antichain(len(names), max_length, lower_bound)
    else:
        limit = len(names) if max_length is None else max_length
        largest = max(closures, key=len)
        if len(largest) > limit:
            raise InputError(
                f"max_length is {max_length}",
                rule=f"a caption that mentions {names[closures.index(largest)]!r} mentions the "
                f"{len(largest)} concepts of its closure",
                fix=f"give {len(largest)} or more",
            )
        wanted = Wanted(
            apart=[frozenset(range(len(names))) - closure for closure in closures],
            within=[closure - {k} for k, closure in enumerate(closures)],
            limit=limit,
        )
        lower_bound, reason = _fewest_for_order(closures, max_length)
        captions, lower_bound, reason = _search(
            wanted, _irredundant(closures), lower_bound, reason, "captions", seconds, watch
        )
    family = CaptionFamily(
        [[names[k] for k in sorted(caption)] for caption in captions], concepts=names, sizes=sizes
    )
    design = Design(family, lower_bound=lower_bound, reason=reason)
    assert [design.closure(k) for k in names] == [
        frozenset(names[j] for j in closure) for closure in closures
    ]
    return design


def _closed(
    space: ConceptSpace, order: Mapping[Concept, Iterable[Concept]]
) -> list[frozenset[int]]:
    """cl(k) for every k, by number: the given companions, theirs, and so on."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(space)))
    for concept, companions in order.items():
        k = space.position(concept)
        given = in_order(companions, where=f"the order of {concept!r}")
        graph.add_edges_from((k, space.position(other)) for other in given)
    return [frozenset(nx.descendants(graph, k) | {k}) for k in graph]


def _fewest_for_order(closures: list[frozenset[int]], max_length: int | None) -> tuple[int, str]:
    """A chain needs nested sets, an antichain incomparable ones, atoms different ones."""
    atoms = sorted(set(closures), key=len)
    longest: list[int] = []
    for place, atom in enumerate(atoms):
        before = [longest[p] for p in range(place) if atoms[p] < atom]
        longest.append(1 + max(before, default=0))
    height = max(longest)
    # By Dilworth's theorem the largest antichain is as large as the fewest chains that cover all.
    below = sparse.csr_array([[lower < upper for upper in atoms] for lower in atoms])
    matched = maximum_bipartite_matching(sparse.csr_matrix(below), perm_type="column")
    width = len(atoms) - int((matched >= 0).sum())
    by_width, reason = fewest_captions(width, max_length)
    by_number = next(n for n in count(1) if 2**n - 1 >= len(atoms))
    bound = max(height, by_width, by_number)
    if bound == height:
        return bound, f"{height} concepts, each accompanied by those before it, need nested sets"
    if bound == by_width:
        return bound, f"of {width} concepts apart from one another: {reason}"
    return bound, f"{len(atoms)} concepts apart need as many different sets of captions"


def _irredundant(closures: list[frozenset[int]]) -> list[frozenset[int]]:
    """The distinct closures without those that the others make needless."""
    captions = sorted(set(closures), key=len)

    def enough(chosen: list[frozenset[int]]) -> bool:
        return all(
            any(k in c for c in chosen) and intersection(c for c in chosen if k in c) == closure
            for k, closure in enumerate(closures)
        )

    for caption in list(captions):
        rest = [other for other in captions if other != caption]
        if enough(rest):
            captions = rest
    return captions


def _antichain(number: int, max_length: int | None, fewest: int) -> list[frozenset[int]]:
    """Captions whose sets T_k all have one size, so chosen that their use is even, up to one."""
    limit = number if max_length is None else max_length
    n, layer = next(
        (n, t)
        for n in count(fewest)
        for t in range(1, n + 1)
        if comb(n, t) >= number and t * number <= n * limit
    )
    sets = _even_sets(number, n, layer)
    return [frozenset(k for k, chosen in enumerate(sets) if c in chosen) for c in range(n)]


def smallest_addition(
    family: CaptionFamily,
    wanted: Iterable[Concept] | None = None,
    *,
    max_length: int | None = None,
    forbidden: Iterable[Iterable[Concept]] = (),
    seconds: float = SECONDS,
    watch: Watch | None = None,
) -> Addition:
    """The fewest new captions after which cl(k) = {k} for every wanted k.

    For every wanted k and every j in cl(k) other than k, some new caption must hold k and not j.
    Counting gives a bound; each number between it and the best answer so far is searched for sets
    of new captions until it is found or shown impossible, or the time is over. Then the best
    answer so far is given, and `lower_bound` states the gap.

    Args:
        family: the captions there are.
        wanted: concepts to be identified alone; all by default.
        max_length: the most concepts in a new caption.
        forbidden: blocks that may not be mentioned together in a new caption.
        seconds: for the search, all numbers together; 0 for the quick answer.
        watch: told now and then how far the search is.

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
    number = {name: index for index, name in enumerate(names)}
    cover = _Cover(
        Wanted(
            apart=[frozenset(number[j] for j in missing[k] if j in number) for k in names],
            within=[frozenset()] * len(names),
            limit=len(names) if max_length is None else min(max_length, len(names)),
            forbidden=[
                frozenset(number[k] for k in block)
                for block in blocked
                if block and block <= missing.keys()
            ],
        )
    )
    bound, reason = cover.lower_bound()
    best, bound, reason = _search(
        cover.wanted, cover.quick(), bound, reason, "new captions", seconds, watch
    )
    chosen = [frozenset(names[i] for i in caption) for caption in cover.pruned(best)]
    assert set(targets) <= set(predict(family.with_captions(chosen)).alone)
    return Addition(chosen, lower_bound=bound, reason=reason)


def _search(
    wanted: Wanted,
    best: list[frozenset[int]],
    bound: int,
    reason: str,
    what: str,
    seconds: float,
    watch: Watch | None,
) -> tuple[list[frozenset[int]], int, str]:
    """Fewer captions than `best` until bound and answer meet or the time is over."""
    started = time.monotonic()

    def look() -> None:
        if watch is not None:
            watch(Progress(bound, len(best), time.monotonic() - started))

    number = bound
    while number < len(best) and time.monotonic() < started + seconds:
        # Half of the time left for each number: a larger one is easier to find, if not the least.
        until = (time.monotonic() + started + seconds) / 2
        outcome = wanted.find(number, until=until, look=look)
        if outcome == "impossible":
            bound = number + 1
            reason = f"a search of all possibilities shows that {number} {what} cannot do it"
        elif outcome != "undecided":
            best = _captions(outcome)
        number += 1
        look()
    return best, bound, reason


def _captions(sets: list[int]) -> list[frozenset[int]]:
    """The captions of sets T_k: caption c mentions the k with c in T_k."""
    number = max(value.bit_length() for value in sets)
    return [frozenset(k for k, value in enumerate(sets) if value >> c & 1) for c in range(number)]


@dataclass(frozen=True, slots=True)
class _Cover:
    """Captions X such that every pair i, j apart has one with i in X and j not in X.

    The pairs are those of a preorder on the concepts: i is apart from what accompanies it.
    """

    wanted: Wanted

    @property
    def count(self) -> int:
        return len(self.wanted.apart)

    @property
    def needed(self) -> Bool[np.ndarray, "K K"]:
        """Entry (i, j) is true iff some new caption must hold i and not j."""
        needed = np.zeros((self.count, self.count), dtype=bool)
        for i, others in enumerate(self.wanted.apart):
            needed[i, list(others)] = True
        return needed

    def atoms(self) -> list[list[int]]:
        """Concepts never apart from one another; what accompanies an atom stands before it."""
        needed = self.needed
        both = needed & needed.T
        np.fill_diagonal(both, True)
        found = {tuple(np.flatnonzero(row).tolist()): i for i, row in enumerate(both)}
        return [list(atom) for atom in sorted(found, key=lambda atom: needed[atom[0]].sum())]

    def lower_bound(self) -> tuple[int, str]:
        """Every concept is named, an atom needs an antichain of sets, a chain different ones."""
        limit = self.wanted.limit
        by_length = -(-self.count // limit)
        atoms = self.atoms()
        largest = max(map(len, atoms))
        by_atom, reason = fewest_captions(largest, limit)
        needed = self.needed
        longest: list[int] = []
        for place, atom in enumerate(atoms):
            before = [longest[p] for p in range(place) if needed[atom[0], atoms[p][0]]]
            longest.append(len(atom) + max(before, default=0))
        chain = max(longest)
        by_chain = fewest_different(chain, limit)
        if by_length == by_atom == by_chain == 1:
            return 1, "no caption so far separates them"
        if by_atom >= max(by_length, by_chain):
            return by_atom, f"of {largest} concepts never apart: {reason}"
        if by_chain >= by_length:
            return by_chain, (
                f"{chain} concepts, each accompanied by those before it, need as many different "
                f"sets of new captions, and {by_chain - 1} do not give them"
            )
        return by_length, f"{self.count} concepts must be named, {limit} to a caption"

    def quick(self) -> list[frozenset[int]]:
        """A good answer at once: the shortest of a greedy cover and two constructions."""
        answers = [self._greedy()]
        if not self.wanted.forbidden:
            if self.wanted.limit >= self.count:
                answers.append(self._by_size())
            designed = smallest_family(range(self.count), max_length=self.wanted.limit)
            answers.append([frozenset(map(designed.space.position, c)) for c in designed.captions])
        return min(answers, key=len)

    def _by_size(self) -> list[frozenset[int]]:
        """Sets T_k of the same size within an atom, and never smaller than those before it.

        A set within a different one is smaller, so no concept's set is within one before it.
        """
        atoms = self.atoms()
        for n in count(1):
            sizes = iter(range(1, n + 1))
            layer: list[frozenset[int]] = []
            sets: dict[int, frozenset[int]] = {}
            for atom in atoms:
                while len(layer) < len(atom) and (size := next(sizes, None)) is not None:
                    layer = [frozenset(s) for s in combinations(range(n), size)]
                if len(layer) < len(atom):
                    break
                sets |= zip(atom, layer, strict=False)
                layer = layer[len(atom) :]
            if len(sets) == self.count:
                return [frozenset(k for k in sets if c in sets[k]) for c in range(n)]
        raise AssertionError

    def _greedy(self) -> list[frozenset[int]]:
        """Captions that cover as many open pairs as single additions can reach."""
        left = self.needed.astype(np.int64)
        unnamed = np.ones(self.count, dtype=np.int64)
        captions: list[frozenset[int]] = []
        while left.any() or unnamed.any():
            # Adding i covers its pairs with those outside and uncovers those of members with i.
            gain = left.sum(1) + unnamed
            caption: set[int] = set()
            while len(caption) < self.wanted.limit:
                free = gain.copy()
                free[list(caption)] = 0
                for block in self.wanted.forbidden:
                    if len(block - caption) == 1:
                        free[list(block - caption)] = 0
                best = int(free.argmax())
                if free[best] <= 0:
                    break
                caption.add(best)
                gain -= left[:, best] + left[best]
            members = np.zeros(self.count, dtype=bool)
            members[list(caption)] = True
            captions.append(frozenset(caption))
            unnamed[members] = 0
            left[np.ix_(members, ~members)] = 0
        return captions

    def pruned(self, captions: list[frozenset[int]]) -> list[frozenset[int]]:
        """The same captions without the mentions that are not needed."""
        needed = self.needed
        masks = np.zeros((len(captions), self.count), dtype=np.int64)
        for row, caption in zip(masks, captions, strict=True):
            row[list(caption)] = 1
        covered = masks.T @ (1 - masks)
        for row in masks:
            for i in np.flatnonzero(row):
                outside = row == 0
                if (
                    row.sum() > 1
                    and masks[:, i].sum() > 1
                    and not (needed[i] & outside & (covered[i] < 2)).any()
                ):
                    row[i] = 0
                    covered[i, outside] -= 1
                    covered[row == 1, i] += 1
        return [frozenset(np.flatnonzero(row).tolist()) for row in masks]


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

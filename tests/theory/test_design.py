"""Designed families are as small as claimed; the claims are checked by brute force."""

from itertools import combinations, count, product

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import CaptionFamily, InputError, predict
from theory.design import (
    Progress,
    fewest_captions,
    fewest_different,
    smallest_addition,
    smallest_family,
)


def brute_force_size(concepts: int, max_length: int) -> int:
    """The fewest captions, by trying every antichain of `concepts` sets."""
    for n in count(1):
        subsets = [frozenset(s) for size in range(1, n + 1) for s in combinations(range(n), size)]

        def extend(chosen: list[frozenset[int]], rest: list[frozenset[int]], n: int = n) -> bool:
            if len(chosen) == concepts:
                return True
            return any(
                extend(
                    [*chosen, one],
                    [other for other in rest[index + 1 :] if not (one <= other or other <= one)],
                )
                for index, one in enumerate(rest)
                if all(sum(i in s for s in [*chosen, one]) <= max_length for i in range(n))
            )

        if extend([], subsets):
            return n
    raise AssertionError


@pytest.mark.parametrize("concepts", range(1, 7))
@pytest.mark.parametrize("max_length", range(1, 7))
def test_small_families_are_smallest(concepts: int, max_length: int):
    family = smallest_family(range(concepts), max_length=max_length)
    assert len(family.captions) == brute_force_size(concepts, max_length)
    assert family.optimal


@pytest.mark.parametrize("concepts", [1, 2, 3, 4, 6, 7, 10, 11, 20, 21, 35, 70, 100])
def test_every_concept_is_alone_and_captions_are_even(concepts: int):
    for max_length in (None, 1, 2, 3, 5, 10):
        family = smallest_family(range(concepts), max_length=max_length)
        assert predict(family).alone == tuple(range(concepts))
        lengths = [len(caption) for caption in family.captions]
        assert max(lengths) - min(lengths) <= 1
        assert max_length is None or max(lengths) <= max_length
        assert len(family.captions) >= family.lower_bound
        if max_length is None:
            assert family.optimal
        elif max_length >= 2 and -(-2 * concepts // max_length) >= max_length + 1:
            assert len(family.captions) == family.lower_bound == -(-2 * concepts // max_length)
        elif max_length <= 2 and concepts >= 2:
            assert len(family.captions) == concepts


def test_known_values():
    sizes = [fewest_captions(k)[0] for k in (1, 2, 3, 4, 6, 7, 10, 11, 20, 21, 10_000)]
    assert sizes == [1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 16]


def brute_force_addition(
    family: CaptionFamily, wanted: list[int], max_length: int, forbidden: list[frozenset[int]]
) -> int:
    blocks = [
        frozenset(s)
        for size in range(1, max_length + 1)
        for s in combinations(family.concepts, size)
        if not any(block <= set(s) for block in forbidden)
    ]
    for n in count(0):
        for chosen in product(blocks, repeat=n):
            if set(wanted) <= set(predict(family.with_captions(chosen)).alone):
                return n
    raise AssertionError


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.frozensets(st.integers(0, 3), min_size=1), min_size=1, max_size=3),
    st.frozensets(st.integers(0, 3), min_size=1),
    st.integers(2, 4),
    st.lists(st.frozensets(st.integers(0, 3), min_size=2, max_size=3), max_size=2),
)
def test_additions_are_smallest(captions, wanted, max_length, forbidden):
    family = CaptionFamily.from_captions(captions, concepts=range(4))
    addition = smallest_addition(family, wanted, max_length=max_length, forbidden=forbidden)
    assert addition.optimal
    assert set(wanted) <= set(predict(family.with_captions(addition)).alone)
    assert all(len(caption) <= max_length for caption in addition)
    assert not any(block <= caption for block in forbidden for caption in addition)
    assert len(addition) == brute_force_addition(family, sorted(wanted), max_length, forbidden)


def test_a_large_addition_states_its_gap():
    family = CaptionFamily.from_captions([set(range(k + 1)) for k in range(40)])
    addition = smallest_addition(family, max_length=6, seconds=0.0)
    assert predict(family.with_captions(addition)).alone == family.concepts
    assert 0 < addition.lower_bound <= len(addition)
    assert addition.reason


def test_a_chain_of_300_is_separated_at_once():
    """Counting alone proves it: 8 captions give 255 different sets, and 299 are needed."""
    family = CaptionFamily.from_captions([range(k + 1) for k in range(300)])
    addition = smallest_addition(family, seconds=0.0)
    assert len(addition) == addition.lower_bound == 9
    assert predict(family.with_captions(addition)).alone == family.concepts


@pytest.mark.parametrize(("number", "limit"), [*product(range(1, 6), range(1, 5))])
def test_the_fewest_captions_with_different_sets(number: int, limit: int):
    def some(n: int) -> bool:
        subsets = [s for size in range(1, n + 1) for s in combinations(range(n), size)]
        return any(
            all(sum(c in s for s in chosen) <= limit for c in range(n))
            for chosen in combinations(subsets, number)
        )

    bound = fewest_different(number, limit)
    assert bound == 1 or not some(bound - 1)


def test_the_search_tells_how_far_it_is():
    told: list[Progress] = []
    family = CaptionFamily.from_captions([range(12)])
    addition = smallest_addition(
        family, forbidden=[(0, 1), (2, 3), (4, 5), (6, 7)], seconds=0.2, watch=told.append
    )
    assert told
    assert all(one.lower_bound <= one.best for one in told)
    assert told[-1].lower_bound == addition.lower_bound


def preorders(size: int) -> list[tuple[frozenset[int], ...]]:
    """Every transitive and reflexive relation, as closures."""
    pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
    found: set[tuple[frozenset[int], ...]] = set()
    for chosen in product((False, True), repeat=len(pairs)):
        above = [{k} for k in range(size)]
        for (i, j), taken in zip(pairs, chosen, strict=True):
            if taken:
                above[i].add(j)
        if all(above[j] <= above[i] for i in range(size) for j in above[i]):
            found.add(tuple(map(frozenset, above)))
    return list(found)


def brute_force_order(closures: tuple[frozenset[int], ...], limit: int) -> int:
    """The fewest captions with these closures, by trying every family."""
    names = range(len(closures))
    blocks = [frozenset(s) for size in range(1, limit + 1) for s in combinations(names, size)]
    for n in count(1):
        for chosen in combinations(blocks, n):
            family = CaptionFamily.from_captions(chosen, concepts=names)
            if tuple(family.ring.closures.get(k) for k in names) == closures:
                return n
    raise AssertionError


@pytest.mark.parametrize("extra", [0, 3])
def test_any_order_is_designed_with_the_fewest_captions(extra: int):
    orders = preorders(3)
    assert len(orders) == 29
    for closures in orders:
        limit = min(3, max(map(len, closures)) + extra)
        family = smallest_family(range(3), order=dict(enumerate(closures)), max_length=limit)
        assert family.optimal
        assert len(family.captions) == brute_force_order(closures, limit)
        assert max(map(len, family.captions)) <= limit


def test_an_order_is_closed_first():
    family = smallest_family([*"abc"], order={"c": ["b"], "b": ["a"]})
    assert family.closure("c") == frozenset("abc")
    assert len(family.captions) == family.lower_bound == 3
    together = smallest_family([*"abc"], order={"a": ["b"], "b": ["a"]})
    assert together.atoms() == [frozenset("ab"), frozenset("c")]


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12),
    st.integers(4, 8),
)
def test_larger_orders_are_met(pairs, max_length):
    order: dict[int, list[int]] = {}
    for low, high in pairs:
        order.setdefault(high, []).append(low)
    try:
        family = smallest_family(range(8), order=order, max_length=max_length, seconds=0.1)
    except InputError as error:
        assert "of its closure" in str(error)  # noqa: PT017
        return
    graph = nx.transitive_closure(nx.DiGraph([(high, low) for low, high in pairs]))
    for k in range(8):
        below = set(graph[k]) if k in graph else set()
        assert family.closure(k) == below | {k}
    assert family.lower_bound <= len(family.captions)


def test_impossible_wishes_are_refused():
    family = CaptionFamily.from_captions([["a", "b"]])
    with pytest.raises(InputError, match="'a' is wanted and forbidden"):
        smallest_addition(family, ["a"], forbidden=[["a"]])
    with pytest.raises(InputError, match="max_length is 0"):
        smallest_addition(family, ["a"], max_length=0)
    with pytest.raises(InputError, match="'x' is not a concept"):
        smallest_addition(family, ["x"])
    with pytest.raises(InputError, match="no concept"):
        smallest_family([])
    with pytest.raises(InputError, match="max_length is 1"):
        smallest_family([*"ab"], order={"a": ["b"]}, max_length=1)
    with pytest.raises(InputError, match="'x' is not a concept"):
        smallest_family([*"ab"], order={"a": ["x"]})

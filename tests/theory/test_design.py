"""Designed families are as small as claimed; the claims are checked by brute force."""

from itertools import combinations, count, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import CaptionFamily, InputError, predict
from theory.design import fewest_captions, smallest_addition, smallest_family


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
    addition = smallest_addition(family, max_length=6, effort=0)
    assert predict(family.with_captions(addition)).alone == family.concepts
    assert 0 < addition.lower_bound <= len(addition)
    assert addition.reason


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

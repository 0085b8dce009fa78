"""The lattice against the exhaustive search, which shares no code with it."""

import random
from itertools import chain, combinations

import pytest

from theory import CaptionFamily, InputError, predict
from theory.exhaustive import identified_blocks, solutions

BLOCKS = [frozenset(c) for size in range(1, 5) for c in combinations(range(4), size)]
UP_TO_THREE = [family for count in (1, 2, 3) for family in combinations(BLOCKS, count)]
ONES = [1, 1, 1, 1]


def ring(captions: tuple[frozenset[int], ...], concepts: int = 4) -> set[frozenset[int]]:
    family = CaptionFamily.from_captions(captions, concepts=range(concepts))
    return set(predict(family).identified())


def test_every_family_of_up_to_three_captions_over_four_concepts():
    assert len(UP_TO_THREE) == 575
    for captions in UP_TO_THREE:
        assert identified_blocks(captions, ONES) == ring(captions), captions


def test_codes_with_further_zeros_and_without_c4_lose_nothing():
    """The promise is for all codes, so also for those that are not generic, C4 not assumed."""
    for captions in UP_TO_THREE[::4]:
        found = identified_blocks(captions, ONES, sparsest=False, sparse_codes=4)
        assert found == ring(captions), captions


@pytest.mark.parametrize(
    ("concepts", "most_captions", "families", "seed"),
    [(5, 4, 1000, 0), (5, 4, 1000, 1), pytest.param(6, 5, 1000, 2, marks=pytest.mark.slow)],
)
def test_random_larger_families_with_blocks_of_several_dimensions(
    concepts: int, most_captions: int, families: int, seed: int
):
    rng = random.Random(seed)
    for _ in range(families):
        sizes = [rng.choice([1, 1, 2]) for _ in range(concepts)]
        while sum(sizes) > concepts + 2:
            sizes[rng.randrange(concepts)] = 1
        captions = tuple(
            dict.fromkeys(
                frozenset(rng.sample(range(concepts), rng.randint(1, concepts)))
                for _ in range(rng.randint(2, most_captions))
            )
        )
        assert identified_blocks(captions, sizes) == ring(captions, concepts), (captions, sizes)


def groups(captions: tuple[frozenset[int], ...]) -> chain[tuple[int, ...]]:
    numbers = range(len(captions))
    return chain.from_iterable(combinations(numbers, size) for size in range(1, len(captions) + 1))


def test_with_a_tight_budget_every_union_and_intersection_has_the_right_count_and_is_pure():
    seen = 0
    for captions in UP_TO_THREE:
        for code in solutions(captions, ONES, sparsest=False):
            seen += 1
            for group in groups(captions):
                union = code.masks[list(group)].any(axis=0)
                common = code.masks[list(group)].all(axis=0)
                shared = frozenset.intersection(*(captions[i] for i in group))
                outside = [k for k in range(4) if k not in shared]
                assert union.sum() == len(frozenset().union(*(captions[i] for i in group)))
                assert common.sum() == len(shared)
                assert not code.matrix[common][:, outside].any()
    assert seen >= len(UP_TO_THREE)


def test_one_spare_coordinate_breaks_the_count_exactly_where_captions_share():
    broken_families = 0
    for captions in UP_TO_THREE:
        broken = False
        for code in solutions(captions, ONES, spare=1):
            for group in groups(captions):
                common = code.masks[list(group)].all(axis=0)
                shared = frozenset.intersection(*(captions[i] for i in group))
                assert common.sum() <= len(shared)
                broken |= common.sum() < len(shared)
                union = code.masks[list(group)].any(axis=0)
                assert union.sum() >= len(frozenset().union(*(captions[i] for i in group)))
        assert broken == any(a & b for a, b in combinations(captions, 2)), captions
        broken_families += broken
    assert broken_families > 300


def test_without_the_budget_unions_of_captions_and_no_more():
    """One spare coordinate can fall short of the worst case, two are enough at this size."""
    for captions in UP_TO_THREE:
        family = CaptionFamily.from_captions(captions, concepts=range(4))
        promised = set(predict(family, without=["C5"]).identified())
        assert promised <= identified_blocks(captions, ONES, spare=1), captions
        if len(captions) < 3 or sum(map(len, captions)) % 3 == 0:
            assert promised == identified_blocks(captions, ONES, spare=2), captions


def test_bad_searches_are_refused():
    with pytest.raises(InputError, match="caption 1"):
        list(solutions([set()], [1]))
    with pytest.raises(InputError, match="caption 1"):
        list(solutions([{3}], [1]))
    with pytest.raises(InputError, match="coordinates"):
        list(solutions([set(range(12))], [1] * 12))

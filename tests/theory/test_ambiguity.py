"""The exact ambiguity against every linear solution of an exhaustive search."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from theory import CaptionFamily
from theory.ambiguity import ambiguity
from theory.exhaustive import LinearCode, solutions

BLOCKS = [frozenset(c) for size in range(1, 4) for c in combinations(range(3), size)]
FAMILIES = [family for count in (1, 2, 3) for family in combinations(BLOCKS, count)]
SIZES = [[1, 1, 1], [2, 1, 1]]


def patterns(code: LinearCode) -> list[frozenset[int]]:
    return [frozenset(np.flatnonzero(column).tolist()) for column in code.masks.T]


@pytest.mark.parametrize("sizes", SIZES)
def test_masks_are_unique_up_to_order_and_codes_up_to_triangular_maps(sizes: list[int]):
    """The search knows neither closures nor inclusion and exclusion."""
    rng = np.random.default_rng(0)
    for captions in FAMILIES:
        family = CaptionFamily.from_captions(
            captions, concepts=range(3), sizes=dict(enumerate(sizes))
        )
        known = ambiguity(family)
        found = list(solutions(captions, sizes, sparsest=False))
        assert found
        for code in found:
            assert Counter(patterns(code)) == Counter(known.coordinates), captions
            assert np.count_nonzero(code.matrix) == known.dimension, captions
        if family.mentioned != set(range(3)):
            continue
        # Two solutions on the same masks: the map between them is triangular, and so its inverse.
        code = found[0]
        holders = patterns(code)
        other = np.where(code.matrix != 0, rng.normal(size=code.matrix.shape), 0.0)
        between = other @ np.linalg.inv(code.matrix)
        for map_ in (between, np.linalg.inv(between)):
            for i, j in np.argwhere(np.abs(map_) > 1e-9):
                # j may enter i only if every caption that opens i opens j too.
                assert holders[i] <= holders[j], captions


def test_the_dimension_grades_families():
    chain = CaptionFamily.from_captions([{0}, {0, 1}, {0, 1, 2}])
    apart = CaptionFamily.from_captions([{0}, {1}, {2}])
    together = CaptionFamily.from_captions([{0, 1, 2}])
    assert [ambiguity(f).dimension for f in (apart, chain, together)] == [3, 6, 9]
    wide = CaptionFamily.from_captions([{0, 1}], sizes={0: 2})
    assert ambiguity(wide).dimension == 9

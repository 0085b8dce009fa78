"""The common part of two blocks against a search over all functions on small supports."""

from itertools import product

import numpy as np
import pytest

from theory.common_part import common_part

ALL = np.array(list(product((0, 1), repeat=3)))


def functions_of_both(rows: np.ndarray, first: list[int], second: list[int]) -> int:
    """How many 0/1 functions of the rows are functions of either block, by trying all."""

    def reads(values: tuple[int, ...], columns: list[int]) -> bool:
        seen: dict[tuple[int, ...], int] = {}
        return all(
            seen.setdefault(tuple(row[columns].tolist()), value) == value
            for row, value in zip(rows, values, strict=True)
        )

    return sum(
        reads(values, first) and reads(values, second)
        for values in product((0, 1), repeat=len(rows))
    )


@pytest.mark.parametrize("seed", range(30))
def test_what_both_blocks_tell_is_a_function_of_the_component(seed: int):
    rng = np.random.default_rng(seed)
    rows = ALL[rng.random(8) < 0.7]
    if not len(rows):
        return
    parts = common_part(rows, [0, 1], [1, 2])
    assert functions_of_both(rows, [0, 1], [1, 2]) == 2 ** len(set(parts.tolist()))


def test_with_a_product_support_it_is_what_the_blocks_share():
    assert common_part(ALL, [0, 1], [1, 2]).tolist() == ALL[:, 1].tolist()
    assert set(common_part(ALL, [0], [1, 2]).tolist()) == {0}


def test_a_shared_sign_is_common_to_blocks_that_share_no_concept():
    rows = np.array([[a, b] for a in (-2, -1, 1, 2) for b in (-2, -1, 1, 2) if a * b > 0])
    assert common_part(rows, [0], [1]).tolist() == (rows[:, 0] > 0).astype(int).tolist()

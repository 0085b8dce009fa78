import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from smartclip.data.order import Order
from theory.errors import InputError


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 700),
    seed=st.integers(0, 2**63),
    epoch=st.integers(0, 5),
    block=st.integers(1, 40),
    window=st.integers(1, 9),
)
def test_every_epoch_is_a_permutation(
    count: int, seed: int, epoch: int, block: int, window: int
) -> None:
    order = Order(count=count, seed=seed, block=block, window=window)
    rows = order.rows(epoch, np.arange(count))
    assert sorted(rows.tolist()) == list(range(count))


@pytest.mark.parametrize("block", [1, 16])
def test_any_part_is_found_on_its_own(block: int) -> None:
    order = Order(count=1000, seed=3, block=block, window=4)
    whole = order.rows(2, np.arange(1000))
    some = np.array([999, 0, 512, 7])
    assert order.rows(2, some).tolist() == whole[some].tolist()


def test_epochs_and_seeds_differ() -> None:
    positions = np.arange(500)
    orders = [
        Order(count=500, seed=seed).rows(epoch, positions) for seed in (0, 1) for epoch in (0, 1)
    ]
    for one in range(4):
        for other in range(one):
            # Two random orders agree in one place on average.
            assert (orders[one] == orders[other]).sum() < 8


@pytest.mark.parametrize(("block", "position"), [(1, 0), (5, 0), (5, 32)])
def test_any_row_stands_anywhere_equally_often(block: int, position: int) -> None:
    count, epochs = 33, 1500  # 33 is no multiple of a block: some rows are left over
    order = Order(count=count, seed=0, block=block, window=2)
    places = np.array([order.rows(epoch, np.array([position]))[0] for epoch in range(epochs)])
    p = stats.chisquare(np.bincount(places, minlength=count)).pvalue
    assert p > 1e-4  # the seed is fixed: the same p every time


def test_neighbours_are_torn_apart() -> None:
    rows = Order(count=10_000, seed=0).rows(0, np.arange(10_000))
    steps = np.abs(np.diff(rows))
    assert (steps == 1).mean() < 0.002
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.05


def test_blocks_keep_reading_close() -> None:
    order = Order(count=10_000, seed=0, block=100, window=5)
    rows = order.rows(0, np.arange(500))
    assert len(np.unique(rows // 100)) <= 12  # five blocks, each over two of these hundreds
    assert len(np.unique(Order(count=10_000, seed=0).rows(0, np.arange(500)) // 100)) > 90


def test_a_million_rows_take_no_list() -> None:
    order = Order(count=10**12 + 7, seed=0)
    rows = order.rows(5, np.arange(1000) + 10**9)
    assert len(set(rows.tolist())) == 1000
    assert rows.max() < 10**12 + 7


@pytest.mark.parametrize("wrong", [{"count": 0}, {"seed": -1}, {"block": 0}, {"window": 0}])
def test_wrong_numbers_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="an order is of at least 1 row"):
        Order(**({"count": 5, "seed": 0} | wrong))

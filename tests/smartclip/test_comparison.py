import numpy as np
import pytest
from scipy import stats

from smartclip.evaluate.comparison import paired_difference
from theory.errors import InputError


def test_interval_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(300), rng.random(300)
    ours = paired_difference(first, second, resamples=20_000)
    theirs = stats.bootstrap(
        (first - second,), np.mean, n_resamples=20_000, method="percentile", rng=rng
    ).confidence_interval
    spread = theirs.high - theirs.low
    # Monte Carlo error of a quantile from 20,000 resamples: about 1 % of the width.
    assert abs(ours.low - theirs.low) < 0.04 * spread
    assert abs(ours.high - theirs.high) < 0.04 * spread
    assert ours.mean == pytest.approx((first - second).mean())
    assert ours.groups == 300


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        second = rng.normal(size=80)
        first = second + rng.normal(0.3, 1.0, size=80)
        found = paired_difference(first, second, level=0.9, resamples=300, seed=trial)
        covered += found.low <= 0.3 <= found.high
    # 0.9 x 300 = 270, standard deviation 5.2; four of them either side.
    assert 249 <= covered <= 291


def test_pairing_is_used() -> None:
    """A small steady gain is seen through a large spread of the queries' difficulty."""
    rng = np.random.default_rng(2)
    hard = rng.normal(0, 10, size=200)
    found = paired_difference(hard + 0.1 + rng.normal(0, 0.1, 200), hard)
    assert found.decided
    assert found.low > 0


def test_queries_of_one_group_count_once() -> None:
    rng = np.random.default_rng(3)
    gain = rng.normal(0.2, 1, size=50)
    alone = paired_difference(gain, np.zeros(50))
    copied = paired_difference(
        np.repeat(gain, 20), np.zeros(1000), groups=np.repeat(np.arange(50), 20).tolist()
    )
    assert copied.groups == 50
    assert copied.low == pytest.approx(alone.low)
    assert copied.high == pytest.approx(alone.high)
    ignored = paired_difference(np.repeat(gain, 20), np.zeros(1000))
    assert ignored.high - ignored.low < 0.5 * (alone.high - alone.low)


def test_runs_that_agree_add_nothing_and_runs_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(5)
    gain = rng.normal(0.2, 1, size=60)
    one = paired_difference(gain, np.zeros(60), resamples=20_000)
    same = paired_difference(np.stack([gain] * 3), np.zeros((3, 60)), resamples=20_000)
    assert (one.runs, same.runs, same.groups) == (1, 3, 60)
    spread = one.high - one.low
    assert abs(same.low - one.low) < 0.04 * spread
    shifted = np.stack([gain - 1, gain, gain + 1])
    apart = paired_difference(shifted, np.zeros((3, 60)), resamples=20_000)
    assert apart.mean == pytest.approx(one.mean)
    # Three values one apart: their mean has the standard deviation sqrt(2 / 3 / 3) when resampled.
    expected = np.hypot((spread / 2) / 1.96, np.sqrt(2 / 9))
    assert (apart.high - apart.low) / 2 / 1.96 == pytest.approx(expected, rel=0.1)


def test_equal_models_are_undecided() -> None:
    found = paired_difference(np.ones(10), np.ones(10))
    assert (found.mean, found.low, found.high, found.decided) == (0, 0, 0, False)
    assert found.to_dict()["decided"] is False


def test_same_seed_same_interval() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.random(30), rng.random(30)
    assert paired_difference(first, second, seed=7) == paired_difference(first, second, seed=7)
    assert paired_difference(first, second, seed=7) != paired_difference(first, second, seed=8)


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        (np.ones(3), np.ones(4), {}),
        (np.ones(0), np.ones(0), {}),
        (np.ones(3), np.ones(3), {"groups": [1, 2]}),
        (np.ones(3), np.array([0, 1, np.nan]), {}),
        (np.ones((2, 3)), np.ones((3, 3)), {}),
        (np.ones((1, 2, 3)), np.ones((1, 2, 3)), {}),
        (np.ones(3), np.ones(3), {"level": 1.0}),
        (np.ones(3), np.ones(3), {"resamples": 0}),
    ],
)
def test_wrong_inputs_are_refused(first, second, options) -> None:
    with pytest.raises(InputError):
        paired_difference(first, second, **options)

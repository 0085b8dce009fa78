"""Counts and exact binomial bounds, against direct computation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from theory import InputError
from theory.samples import Counts, clopper_pearson, mentions_needed


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=30),
    st.integers(1, 7),
)
def test_counts_are_counts(captions: list[list[int]], chunk: int):
    counts = Counts.from_captions(iter(captions), chunk=chunk)
    assert counts.captions == len(captions)
    for k in counts.space.concepts:
        for j in counts.space.concepts:
            pair = counts.companionship(k, j)
            assert pair.mentions == sum(k in caption for caption in captions)
            assert pair.exceptions == sum(k in c and j not in c for c in captions)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.9, 0.95, 0.999]))
def test_the_interval_is_scipys(trials: int, share: float, confidence: float):
    successes = round(share * trials)
    low, high = clopper_pearson(np.array([successes]), np.array([trials]), confidence)
    exact = binomtest(successes, trials).proportion_ci(confidence, method="exact")
    assert (low[0], high[0]) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_the_sentence():
    counts = Counts.from_captions([["pen", "bear"]] * 1901 + [["pen"]] * 2)
    assert str(counts.companionship("pen", "bear")) == (
        "pen came without bear in 2 of 1,903 captions: between 0.013 % and 0.38 %"
    )


def test_companions_hold_at_once_and_verdicts_follow_the_bounds():
    """300 corpora in which pen lacks bear at a rate of exactly epsilon: few are called apart."""
    epsilon, wrong = 0.1, 0
    for seed in range(300):
        lacking = int(np.random.default_rng(seed).binomial(200, epsilon))
        captions = [["pen", "bear"]] * (200 - lacking) + [["pen"]] * lacking + [["bear"]] * 300
        counts = Counts.from_captions(captions)
        found = {(c.concept, c.other): c for c in counts.companions(epsilon)}
        assert ("bear", "pen") not in found
        wrong += ("pen", "bear") not in found
        for pair in found.values():
            assert pair.confidence == pytest.approx(1 - 0.05 / 2)
            assert pair.verdict(epsilon) == ("accompanies" if pair.high <= epsilon else "undecided")
    assert wrong <= 12  # of 300, each with probability at most 0.0125; 12 is beyond 4 deviations


@pytest.mark.parametrize(("rate", "epsilon"), [(0.3, 0.0), (0.01, 0.0), (0.2, 0.05), (0.05, 0.01)])
def test_so_many_mentions_are_needed_and_no_fewer(rate: float, epsilon: float):
    def power(trials: int) -> float:
        exceptions = np.arange(trials + 1)
        low, _ = clopper_pearson(exceptions, np.full(trials + 1, trials), 0.95)
        apart = exceptions >= 1 if epsilon == 0 else low > epsilon
        return sum(
            math.comb(trials, int(x)) * rate**x * (1 - rate) ** (trials - x)
            for x in exceptions[apart].tolist()
        )

    needed = mentions_needed(rate, epsilon=epsilon)
    assert power(needed) >= 0.9 - 1e-12
    assert power(needed - 1) < 0.9


def test_bad_questions_are_refused():
    with pytest.raises(InputError, match="no caption"):
        Counts.from_captions([])
    with pytest.raises(InputError, match="caption 2 is empty"):
        Counts.from_captions([["a"], []])
    counts = Counts.from_captions([["a", "b"]])
    with pytest.raises(InputError, match="'c' is not a concept"):
        counts.companionship("a", "c")
    with pytest.raises(InputError, match=r"confidence is 1\.5"):
        counts.companionship("a", "b", confidence=1.5)
    with pytest.raises(InputError, match=r"epsilon is -0\.1"):
        counts.companions(-0.1)
    with pytest.raises(InputError, match=r"rate 0\.1"):
        mentions_needed(0.1, epsilon=0.1)

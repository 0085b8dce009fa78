import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simulators.randomness import LARGEST_UNIFORM, Stream, between_0_and_1, uniforms
from theory.errors import InputError


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**40), st.integers(1, 60), st.integers(1, 9), st.integers(0, 2**64 - 1))
def test_a_row_does_not_depend_on_what_was_read_before(start, n, width, seed):
    whole = uniforms(n + 5, width, seed=seed, stream=Stream.LATENTS, start=start)
    part = uniforms(n, width, seed=seed, stream=Stream.LATENTS, start=start + 5)
    assert torch.equal(whole[5:], part)


def test_streams_seeds_and_draws_are_different_and_uniform():
    readings = [
        uniforms(20_000, 1, seed=seed, stream=stream, draw=draw)[:, 0]
        for seed in (0, 1)
        for stream in (Stream.LATENTS, Stream.CAPTION)
        for draw in (0, 1)
    ]
    table = torch.stack(readings)
    correlations = torch.corrcoef(table) - torch.eye(len(table))
    assert correlations.abs().max() < 5 / 20_000**0.5
    for row in readings:
        assert stats.kstest(row.numpy(), "uniform").pvalue > 1e-4


def test_quantiles_stay_finite():
    u = between_0_and_1(np.array([0, 2**64 - 1], dtype=np.uint64))
    assert u.min() > 0
    assert u.max() < 1
    assert torch.isfinite(
        torch.special.ndtri(torch.tensor([2.0**-53, LARGEST_UNIFORM], dtype=torch.float64))
    ).all()


@pytest.mark.parametrize(
    "bad", [{"n": -1}, {"start": -1}, {"seed": -1}, {"seed": 2**64}, {"draw": -2}]
)
def test_bad_addresses_are_refused(bad):
    given = {"n": 1, "width": 1, "seed": 0, "stream": Stream.LATENTS} | bad
    with pytest.raises(InputError, match=next(iter(bad))):
        uniforms(given.pop("n"), given.pop("width"), **given)

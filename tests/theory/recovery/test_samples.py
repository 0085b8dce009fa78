"""Splits and standardisation use no row that is scored."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from theory.recovery.samples import Split, normalised_by_rank, spread, standardised

CPU = torch.device("cpu")


@pytest.mark.parametrize("rows", [32, 33, 100, 4097])
def test_a_split_is_a_partition(rows: int) -> None:
    split = Split.of(rows, seed=1, device=CPU)
    every = torch.cat([split.fit, split.choose, split.test])
    assert torch.equal(every.sort().values, torch.arange(rows))
    assert min(len(split.choose), len(split.test)) >= 4
    assert torch.equal(split.fit, Split.of(rows, seed=1, device=CPU).fit)
    assert not torch.equal(split.fit, Split.of(rows, seed=2, device=CPU).fit)


@pytest.mark.parametrize("transform", [standardised, normalised_by_rank])
def test_held_out_rows_do_not_change_the_others(transform) -> None:  # type: ignore[no-untyped-def]
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    split = Split.of(200, seed=0, device=CPU)
    moved = x.clone()
    moved[split.test] *= 1000
    torch.testing.assert_close(
        transform(x, split.fit)[split.fit], transform(moved, split.fit)[split.fit]
    )


def test_ranks_become_normal_quantiles_whatever_the_law() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(np.exp(3 * rng.normal(size=(5000, 1))))
    fit = torch.arange(5000)
    found = normalised_by_rank(x, fit).squeeze(1).numpy()
    ranks = x.squeeze(1).argsort().argsort().numpy()
    wanted = norm.ppf((ranks + 0.5) / 5000)
    centre = np.abs(wanted) < 2
    np.testing.assert_allclose(found[centre], wanted[centre], atol=0.03)
    order = np.argsort(x.squeeze(1).numpy())
    assert (np.diff(found[order]) >= 0).all()


def test_rounding_is_not_spread() -> None:
    x = torch.full((100, 2), 0.1, dtype=torch.float64)
    x[0, 0] += 1e-15
    assert torch.equal(spread(x), torch.zeros(2, dtype=torch.float64))
    assert torch.equal(standardised(x, torch.arange(100)), torch.zeros_like(x))

"""Is one model better than another on the same queries? A paired bootstrap interval.

The difference of two means over the same queries is resampled by queries (Efron and Tibshirani,
An Introduction to the Bootstrap, 1993), or by groups of queries that are not independent, such as
all captions of one emoji. With several runs of each model (seeds), runs are resampled too, apart
from the queries, because both are drawn at random (the pigeonhole bootstrap: Owen, Annals of
Applied Statistics, 2007).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from theory.errors import InputError

_AT_A_TIME = 1 << 22


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Mean of the first minus mean of the second, with a percentile interval.

    Attributes:
        mean: the difference observed.
        low: lower end of the interval.
        high: upper end.
        level: the share of resamples that the interval holds.
        groups: how many independent groups of queries were resampled.
        runs: how many runs of each model were.
    """

    mean: float
    low: float
    high: float
    level: float
    groups: int
    runs: int = 1

    @property
    def decided(self) -> bool:
        """The interval does not hold zero."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"decided": self.decided}


def paired_difference(
    first: Float[np.ndarray, "*runs queries"],
    second: Float[np.ndarray, "*_"],
    *,
    groups: Sequence[object] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """`mean(first - second)` with a paired bootstrap interval.

    Args:
        first: a score of each query under one model, such as a column of `Recall.hits`; with
            several runs [runs, queries].
        second: the same queries, and as many runs, under the other model. Run r of both is a pair.
        groups: the group of each query; queries of a group are drawn together. Without it each
            query stands alone.
        level: of the interval, between 0 and 1.
        resamples: how many.
        seed: of the resampling.

    Raises:
        InputError: different numbers of queries or runs, none at all, NaN, or a level outside
            (0, 1).

    >>> rng = np.random.default_rng(0)
    >>> difference = paired_difference(rng.random(400) + 0.2, rng.random(400))
    >>> difference.decided, difference.low < 0.2 < difference.high
    (True, True)
    """
    first, second = (np.asarray(given, dtype=np.float64) for given in (first, second))
    queries = first.shape[-1]
    fits = first.shape == second.shape and first.ndim in (1, 2) and first.size
    if not fits or (groups is not None and len(groups) != queries):
        raise InputError(
            f"scores {first.shape} and {second.shape}"
            + (f" with {len(groups)} groups" if groups is not None else ""),
            rule="both models answer the same queries, at least one, in as many runs",
            fix="evaluate both on one set",
        )
    if not 0 < level < 1 or resamples < 1:
        raise InputError(
            f"level {level} with {resamples} resamples",
            rule="the level lies between 0 and 1 and there is at least one resample",
            fix="use level=0.95, resamples=2000",
        )
    gain = np.atleast_2d(first - second)
    if not np.isfinite(gain).all():
        raise InputError(
            "scores that are not finite", rule="each query has a score", fix="leave those out"
        )
    if groups is None:
        member = np.arange(queries)
    else:
        numbers: dict[object, int] = {}
        member = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    totals = np.stack([np.bincount(member, weights=run) for run in gain])
    counts = np.bincount(member).astype(float)
    low, high = np.quantile(
        _resampled(totals, counts, resamples, np.random.default_rng(seed)),
        [(1 - level) / 2, (1 + level) / 2],
    )
    return Difference(
        mean=float(gain.mean()),
        low=float(low),
        high=float(high),
        level=level,
        groups=len(counts),
        runs=len(gain),
    )


def _resampled(
    totals: Float[np.ndarray, "runs groups"],
    counts: Float[np.ndarray, " groups"],
    resamples: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, " resamples"]:
    """Means over groups drawn with replacement and, of several runs, over runs drawn likewise."""
    runs, groups = totals.shape
    means = []
    left = resamples
    while left > 0:
        now = min(left, max(1, _AT_A_TIME // groups))
        drawn = generator.integers(groups, size=(now, groups))
        if runs == 1:
            sums = totals[0][drawn].sum(1)
        else:
            share = generator.multinomial(runs, [1 / runs] * runs, size=now) / runs
            sums = np.take_along_axis(share @ totals, drawn, 1).sum(1)
        means.append(sums / counts[drawn].sum(1))
        left -= now
    return np.concatenate(means)

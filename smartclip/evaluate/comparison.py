"""Is one model better than another on the same queries? A paired bootstrap interval.

The difference of two means over the same queries is resampled by queries (Efron and Tibshirani,
An Introduction to the Bootstrap, 1993), or by groups of queries that are not independent, such as
all captions of one emoji.
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
    """

    mean: float
    low: float
    high: float
    level: float
    groups: int

    @property
    def decided(self) -> bool:
        """The interval does not hold zero."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"decided": self.decided}


def paired_difference(
    first: Float[np.ndarray, " queries"],
    second: Float[np.ndarray, "_"],
    *,
    groups: Sequence[object] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """`mean(first - second)` with a paired bootstrap interval.

    Args:
        first: a score of each query under one model, such as a column of `Recall.hits`.
        second: the same queries under the other model.
        groups: the group of each query; queries of a group are drawn together. Without it each
            query stands alone.
        level: of the interval, between 0 and 1.
        resamples: how many.
        seed: of the resampling.

    Raises:
        InputError: different numbers of queries, none at all, NaN, or a level outside (0, 1).

    >>> rng = np.random.default_rng(0)
    >>> difference = paired_difference(rng.random(400) + 0.2, rng.random(400))
    >>> difference.decided, difference.low < 0.2 < difference.high
    (True, True)
    """
    sizes = {len(first), len(second)} | ({len(groups)} if groups is not None else set())
    if len(sizes) != 1 or 0 in sizes:
        raise InputError(
            f"{len(first)} and {len(second)} queries"
            + (f" with {len(groups)} groups" if groups is not None else ""),
            rule="both models answer the same queries, at least one",
            fix="evaluate both on one set",
        )
    if not 0 < level < 1 or resamples < 1:
        raise InputError(
            f"level {level} with {resamples} resamples",
            rule="the level lies between 0 and 1 and there is at least one resample",
            fix="use level=0.95, resamples=2000",
        )
    gain = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if not np.isfinite(gain).all():
        raise InputError(
            "scores that are not finite", rule="each query has a score", fix="leave those out"
        )
    if groups is None:
        totals, counts = gain, np.ones_like(gain)
    else:
        numbers: dict[object, int] = {}
        member = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
        totals, counts = np.bincount(member, weights=gain), np.bincount(member).astype(float)
    generator = np.random.default_rng(seed)
    means = []
    left = resamples
    while left > 0:
        now = min(left, max(1, _AT_A_TIME // len(totals)))
        drawn = generator.integers(len(totals), size=(now, len(totals)))
        means.append(totals[drawn].sum(1) / counts[drawn].sum(1))
        left -= now
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Difference(
        mean=float(gain.mean()),
        low=float(low),
        high=float(high),
        level=level,
        groups=len(totals),
    )

"""Shares with 95 % intervals, as a page tells them."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

RESAMPLES = 2000


def wilson(hits: int, tries: int) -> str:
    """A share of independent tries with Wilson's interval.

    >>> wilson(9, 10)
    '90% (60% to 98%)'
    """
    low, high = binomtest(hits, tries).proportion_ci(method="wilson")
    return f"{hits / tries:.0%} ({low:.0%} to {high:.0%})"


def bootstrap_share(reached: pd.Series, promised: pd.Series) -> str:
    """sum reached / sum promised, with an interval from a bootstrap over rows.

    >>> bootstrap_share(pd.Series([2, 3]), pd.Series([2, 3]))
    '100.0% (100.0% to 100.0%)'
    """
    rows = np.random.default_rng(0).integers(len(reached), size=(RESAMPLES, len(reached)))
    shares = reached.to_numpy()[rows].sum(1) / promised.to_numpy()[rows].sum(1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return f"{reached.sum() / promised.sum():.1%} ({low:.1%} to {high:.1%})"

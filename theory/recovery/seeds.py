"""Scores over seeds: mean and Student-t interval, mean +- t_{n-1} s / sqrt(n), for each block.

The bootstrap intervals of one recovery hold the trained encoder fixed; these do not.
"""

# pyright: basic

import math
import statistics
from collections.abc import Sequence

import pandas as pd
from scipy import stats

from theory.concepts import Block
from theory.errors import InputError
from theory.recovery.recovery import Recovery


def over_seeds(recoveries: Sequence[Recovery], *, confidence: float = 0.95) -> pd.DataFrame:
    """One row a block: kind, block, promised, as predicted (share of seeds), and for completeness
    and purity the mean with the ends of its interval.

    A block whose coordinates differ between seeds is matched by kind and concepts; where one seed
    lists it several times, its worst row counts. A score that is not defined in some seed, such as
    that of a constant concept, is left out of its mean.

    Args:
        recoveries: of the same family, one a seed.
        confidence: of the interval; its ends are NaN with one seed.

    Raises:
        InputError: none given, or of different families.
    """
    families = {recovery.family.captions for recovery in recoveries}
    if len(families) != 1:
        raise InputError(
            f"{len(recoveries)} recoveries of {len(families)} families",
            rule="an interval over seeds needs one or more measurements of one family",
            fix="give the recoveries of runs that differ in their seed alone",
        )
    found: dict[tuple[str, Block, bool], list[dict[str, float]]] = {}
    for recovery in recoveries:
        worst: dict[tuple[str, Block, bool], dict[str, float]] = {}
        for row in recovery.blocks:
            score = {
                "as_predicted": float(row.verdict.as_predicted),
                "completeness": row.completeness.average,
                "purity": row.purity.average,
            }
            known = worst.setdefault((row.kind, row.block, row.promised), score)
            known |= {name: _least(known[name], value) for name, value in score.items()}
        for key, score in worst.items():
            found.setdefault(key, []).append(score)

    rows: list[dict[str, object]] = []
    for (kind, block, promised), scores in found.items():
        summary: dict[str, object] = {
            "kind": kind,
            "block": block,
            "promised": promised,
            "seeds": len(scores),
            "as_predicted": statistics.fmean(score["as_predicted"] for score in scores),
        }
        for name in ("completeness", "purity"):
            values = [score[name] for score in scores if not math.isnan(score[name])]
            mean, half = (statistics.fmean(values) if values else math.nan), math.nan
            if len(values) > 1:
                quantile = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1))
                half = quantile * statistics.stdev(values) / math.sqrt(len(values))
            summary |= {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}
        rows.append(summary)
    return pd.DataFrame(rows)


def _least(left: float, right: float) -> float:
    return right if math.isnan(left) or right < left else left

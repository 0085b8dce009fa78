"""Random families: the share of runs that passed, by correlation of the latents and method."""

from typing import cast

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy.stats import binomtest

from experiments.figures.style import MUTED, PALETTE, style

ASKED = {0.0: 0.95, 0.3: 0.95, 0.6: 0.95, 0.8: 0.85}


def passed_by_correlation(table: pd.DataFrame) -> Figure:
    """Points with Wilson's 95 % intervals; the share that is asked for as a grey step.

    Args:
        table: one row a run, as `experiments.studies.generalisation` gives them.
    """
    with style():
        figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
        for number, (names, part) in enumerate(table.groupby(["method", "stream"], sort=False)):
            told = ", ".join(map(str, cast(tuple[object, ...], names)))
            groups = part.groupby("correlation").passed
            shares, places = groups.mean(), [law + 0.012 * number for law in groups.mean().index]
            bounds = [
                binomtest(int(hits), int(tries)).proportion_ci(method="wilson")
                for hits, tries in zip(groups.sum(), groups.count(), strict=True)
            ]
            spread = [
                [share - bound.low for share, bound in zip(shares, bounds, strict=True)],
                [bound.high - share for share, bound in zip(shares, bounds, strict=True)],
            ]
            axis.errorbar(
                places, shares, yerr=spread, marker="o", capsize=3,
                color=PALETTE[number % len(PALETTE)], label=told,
            )  # fmt: skip
        axis.plot(list(ASKED), list(ASKED.values()), "--", color=MUTED, label="asked for")
        axis.set(xlabel="correlation of the latents", ylabel="share of runs that passed")
        axis.set_ylim(-0.03, 1.03)
        figure.legend(frameon=False, fontsize="small", loc="outside upper right", ncols=4)
        sns.despine(figure)
    return figure

"""Completeness and purity of each concept alone, one mark a seed."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from experiments.figures.style import MEASURED, MUTED, PROMISED, style

DIRECTIONS = {"completeness": PROMISED, "purity": MEASURED}


def concept_scores(table: pd.DataFrame, *, bar: float) -> Figure:
    """Marks right of the dashed line reach the bar; 1 is perfect.

    Args:
        table: columns block, seed, completeness and purity, one row a concept and seed.
        bar: where the line stands.
    """
    long = table.melt(["block", "seed"], list(DIRECTIONS), var_name="direction", value_name="R2")
    with style():
        figure, axis = plt.subplots(
            figsize=(6.4, 1.2 + 0.28 * table.block.nunique()), layout="constrained"
        )
        axis.axvline(bar, color=MUTED, linestyle="--", linewidth=1)
        sns.stripplot(
            long, x="R2", y="block", hue="direction", palette=DIRECTIONS, dodge=True, jitter=False,
            size=6, alpha=0.8, ax=axis,
        )  # fmt: skip
        axis.set_xlim(min(0.5, float(long.R2.min()) - 0.03), 1.02)
        axis.set_xlabel("held-out $R^2$")
        axis.set_ylabel("")
        axis.set_title("Each concept alone, though no caption names it alone", fontsize="medium")
        axis.grid(axis="y", color="#eeeeee")
        sns.move_legend(axis, "lower left", title=None, frameon=False)
    return figure

"""The identification suite: which share of the promised blocks each method reaches, by family."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from experiments.figures.style import SEQUENTIAL, style


def reached_by_method(table: pd.DataFrame) -> Figure:
    """One panel a law of the latents, rows are families, columns methods; 1 is every block.

    Args:
        table: one row a run, as `experiments.studies.identification.measure` gives them.
    """
    laws, methods = list(table.latents.unique()), list(table.method.unique())
    families = sorted(table.family.unique())
    with style():
        figure, axes = plt.subplots(
            1,
            len(laws),
            sharey=True,
            squeeze=False,
            figsize=(2.2 + len(laws) * (0.8 + 0.95 * len(methods)), 1.2 + 0.32 * len(families)),
            layout="constrained",
        )
        for axis, law in zip(axes[0], laws, strict=True):
            groups = table[table.latents == law].groupby(["family", "method"])
            shares = (groups.reached.sum() / groups.promised.sum()).unstack()
            sns.heatmap(
                shares.reindex(index=families, columns=methods), ax=axis, vmin=0, vmax=1,
                cmap=SEQUENTIAL, annot=True, fmt=".2f", cbar=False, linewidths=1,
            )  # fmt: skip
            axis.set_title(f"latents: {law}")
            axis.set_xlabel("")
            axis.set_ylabel("")
            axis.tick_params(length=0, labelrotation=0)
        figure.suptitle("Share of the promised blocks that are complete and pure", x=0.5)
    return figure

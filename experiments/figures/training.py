"""How a run went: what is told apart, and how many coordinates it takes."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from experiments.figures.style import MEASURED, MUTED, PALETTE, PROMISED, style


def training_curves(metrics: list[dict[str, Any]], *, held_from: int | None = None) -> Figure:
    """Contrastive loss, and coordinates open per caption and used by any.

    Args:
        metrics: the lines of a run's `metrics.jsonl`.
        held_from: the step from which masks stand still; None if they never do.
    """
    lines = pd.DataFrame(metrics)
    with style():
        figure, (loss, size) = plt.subplots(1, 2, figsize=(8.6, 2.8), layout="constrained")
        sns.lineplot(lines, x="step", y="contrastive", ax=loss, color=PROMISED)
        loss.set(ylabel="contrastive loss (nats)", title="Told apart")
        sns.lineplot(lines, x="step", y="used", ax=size, color=PALETTE[4], label="used by any")
        sns.lineplot(lines, x="step", y="open", ax=size, color=MEASURED, label="open per caption")
        size.set(ylabel="coordinates", title="Coordinates", ylim=(0, None))
        for axis in (loss, size):
            if held_from is not None:
                axis.axvline(held_from, color=MUTED, linestyle=":", linewidth=1)
        size.legend(frameon=False)
    return figure

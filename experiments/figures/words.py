"""Which words open which coordinates."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from experiments.figures.style import DIVERGING, style
from smartclip.evaluate.words import WordEffects


def opened_by_words(effects: WordEffects) -> Figure:
    """Rows are words, columns the coordinates that some word opens, in the order of the words."""
    used = np.flatnonzero(effects.effect.max(0) > 0.5)
    # Each coordinate stands below the word that opens it most: blocks lie along the diagonal.
    order = used[np.argsort(effects.effect[:, used].argmax(0), kind="stable")]
    with style():
        figure, axis = plt.subplots(
            figsize=(4.4 + 0.2 * max(len(order), 8), 1.4 + 0.17 * len(effects.words)),
            layout="constrained",
        )
        sns.heatmap(
            effects.effect[:, order], ax=axis, vmin=-1, vmax=1, cmap=DIVERGING,
            linewidths=0.3, xticklabels=[str(column) for column in order],
            yticklabels=list(effects.words),
            cbar_kws={"label": "what the word adds to the mask", "shrink": 0.4},
        )  # fmt: skip
        axis.tick_params(length=0, labelsize=7)
        axis.tick_params(axis="x", labelrotation=90)
        axis.set_xlabel("coordinate of the code")
        axis.set_title(
            f"Which words open which coordinates: {len(order)} of {effects.effect.shape[1]} in "
            f"use, {effects.explained:.1%} of masks explained",
            fontsize="medium",
        )
    return figure

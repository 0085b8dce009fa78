"""What each coordinate of the code reads: d zhat / d (z, e_I), beside what its captions allow."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from jaxtyping import Bool
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.figures.style import MEASURED, PROMISED, style
from theory.recovery.jacobian import JacobianTest


def jacobian_norms(test: JacobianTest, masks: Bool[np.ndarray, "captions D"]) -> Figure:
    """Root mean square derivative of every open coordinate against every concept and the noise.

    Units are standard deviations of input and output. Outlined cells are allowed: concepts in the
    closure of the coordinate, which is what all captions that open it share. The others are to be
    near 0.

    Args:
        test: the Jacobian test.
        masks: estimated masks.
    """
    family = test.family
    mentions = family.matrix
    used = np.flatnonzero(masks.any(0))
    allowed = np.array([mentions[masks[:, column]].all(0) for column in used])
    allowed = allowed.reshape(len(used), len(family.concepts))
    # Coordinates with the same allowance stand together, like a block diagonal.
    order = sorted(range(len(used)), key=lambda row: [*(~allowed[row]).tolist(), used[row]])
    values = test.norms[used[order]]
    names = [*map(str, family.concepts), "noise"]
    with style():
        figure, axis = plt.subplots(
            figsize=(2.2 + 0.55 * len(names), 1.2 + 0.24 * max(len(order), 4)),
            layout="constrained",
        )
        axis.set_title("What each coordinate reads\n(outlined: allowed)")
        if not order:  # a code that no caption opens
            axis.text(0.5, 0.5, "no coordinate is open", ha="center", va="center")
            axis.set_axis_off()
            return figure
        sns.heatmap(
            values, ax=axis, vmin=0, cmap=sns.light_palette(PROMISED, as_cmap=True), linewidths=0.5,
            annot=values.size <= 400, fmt=".2f", annot_kws={"fontsize": 7},
            cbar_kws={"label": "derivative"},
            xticklabels=names, yticklabels=[str(used[row]) for row in order],
        )  # fmt: skip
        for height, row in enumerate(order):
            for place in np.flatnonzero(allowed[row]):
                corner = float(place), float(height)
                axis.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=MEASURED, lw=1.6))
        axis.set_xlabel("concept")
        axis.set_ylabel("coordinate of the code")
        axis.tick_params(length=0, labelrotation=0)
    return figure

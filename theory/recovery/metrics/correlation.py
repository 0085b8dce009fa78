"""MCC = max over assignments pi of (1/d) sum_j |corr(z_j, zhat_pi(j))|, with pi injective.

Source: Hyvarinen and Morioka, NeurIPS 2016. Higher is better, in [0, 1]. It asks for coordinates,
not for blocks: a rotation inside a block lowers it although the block is identified.
"""

# pyright: basic

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from theory.recovery.metrics.moments import MomentMetric, Moments


def _value(moments: Moments) -> Float[Tensor, ""]:
    d = moments.latents
    strength = moments.correlation()[:d, d:].abs()
    rows, columns = linear_sum_assignment(strength.cpu().numpy(), maximize=True)
    # With fewer coordinates than latents the latents left over count as 0.
    return strength[torch.from_numpy(rows), torch.from_numpy(columns)].sum() / d


def mean_correlation(z: Float[Tensor, "n d"], zhat: Float[Tensor, "n D"]) -> Float[Tensor, ""]:
    """MCC of a code, by Pearson correlation and the best assignment.

    Args:
        z: latents [n, d].
        zhat: code [n, D].

    >>> z = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    >>> round(float(mean_correlation(z, -z[:, [2, 0, 1]])), 6)
    1.0
    """
    return _value(Moments.of(z, zhat))


class MeanCorrelation(MomentMetric):
    """`mean_correlation` of everything seen so far."""

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def compute(self) -> Float[Tensor, ""]:
        return _value(self.moments())

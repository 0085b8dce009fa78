"""DCI from an importance matrix R [D, d] of coordinate i for latent j:

    disentanglement  sum_i w_i (1 - H_d(R_i. / sum_j R_ij)),  w_i = sum_j R_ij / sum R
    completeness     sum_j v_j (1 - H_D(R_.j / sum_i R_ij)),  v_j = sum_i R_ij / sum R
    informativeness  mean_j R2(z_j <- zhat)

H_b is entropy to the base b. Source: Eastwood and Williams, ICLR 2018. All are in [0, 1] and higher
is better. Importance here is the size of the standardised coefficients of linear regression.
"""

# pyright: basic

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from theory.errors import InputError
from theory.recovery.metrics.moments import MomentMetric, Moments

RIDGE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class DCI:
    """The three scores, each in [0, 1], higher is better.

    Attributes:
        disentanglement: does a coordinate serve one latent?
        completeness: does one coordinate hold the latent?
        informativeness: linear R2 of the latents from the code, in the sample.
    """

    disentanglement: float
    completeness: float
    informativeness: float


def dci_of_importance(importance: Float[Tensor, "D d"]) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix; 0 and 0 if it is zero.

    Raises:
        InputError: a negative or undefined importance.

    >>> dci_of_importance(torch.eye(3))
    (1.0, 1.0)
    """
    if not bool((importance >= 0).all()):
        raise InputError(
            "an importance is negative or NaN",
            rule="importances are sizes",
            fix="give absolute values",
        )
    whole = importance.sum()
    if whole == 0:
        return 0.0, 0.0
    return _order(importance / whole), _order(importance.T / whole)


def _order(shares: Float[Tensor, "rows columns"]) -> float:
    """Mean over rows, by their weight, of 1 - H(row) to the base of the number of columns."""
    weights = shares.sum(1)
    rows = shares / torch.where(weights > 0, weights, torch.ones_like(weights))[:, None]
    entropy = torch.special.entr(rows).sum(1) / math.log(max(shares.shape[1], 2))
    return float((weights * (1 - entropy)).sum())


def _value(moments: Moments) -> DCI:
    d = moments.latents
    correlation = moments.correlation()
    varies = correlation.abs().sum(0) > 1
    within = correlation[d:, d:].clone()
    within.diagonal().add_(RIDGE)
    across = correlation[d:, :d]
    weights = torch.linalg.solve(within, across)
    disentanglement, completeness = dci_of_importance(weights.abs() * varies[d:, None])
    explained = (2 * weights * across).sum(0) - (weights * (correlation[d:, d:] @ weights)).sum(0)
    return DCI(
        disentanglement=disentanglement,
        completeness=completeness,
        informativeness=float(explained.clamp(0, 1).mean()),
    )


def dci(z: Float[Tensor, "n d"], zhat: Float[Tensor, "n D"]) -> DCI:
    """DCI of a code by linear importances.

    Args:
        z: latents [n, d].
        zhat: code [n, D].

    >>> z = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    >>> found = dci(z, z[:, [1, 2, 0]])
    >>> found.disentanglement > 0.99, found.informativeness > 0.999
    (True, True)
    """
    return _value(Moments.of(z, zhat))


class Disentanglement(MomentMetric):
    """`dci` of everything seen so far; computes a dictionary of its three scores."""

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def compute(self) -> dict[str, float]:
        found = _value(self.moments())
        return {
            "disentanglement": found.disentanglement,
            "completeness": found.completeness,
            "informativeness": found.informativeness,
        }

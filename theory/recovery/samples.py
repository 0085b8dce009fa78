"""Samples z [N, d] and zhat [N, D]: checked, split into fit, choose and test rows, standardised.

An invertible map of one input coordinate changes no population R2. Inputs are therefore shown to
the regression twice, standardised and mapped to a standard normal by their ranks, which takes the
heavy tails and saturations of trained codes away. Both maps use the rows the regression fits on.
"""

# pyright: basic

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from theory.errors import InputError

FEWEST_ROWS = 32
MOST_FIT, MOST_CHOOSE = 16_000, 4_000

Samples = Tensor | np.ndarray


def as_samples(name: str, values: Samples) -> Float[Tensor, "n columns"]:
    """`values` as a float64 matrix on its own device (the CPU for arrays), detached.

    Args:
        name: what the error message calls it.
        values: [n, columns], finite, at least 32 rows and one column.

    Raises:
        InputError: wrong shape, too few rows, NaN or infinity.

    >>> as_samples("z", np.zeros((32, 2))).shape
    torch.Size([32, 2])
    """
    if isinstance(values, np.ndarray) and values.dtype.kind not in "fiub":
        raise InputError(
            f"{name} has type {values.dtype}", rule="samples are numbers", fix="give floats"
        )
    tensor = torch.as_tensor(values).detach()
    if tensor.is_complex() or tensor.ndim != 2 or tensor.shape[1] == 0:
        raise InputError(
            f"{name} has shape {tuple(tensor.shape)} and type {tensor.dtype}",
            rule="rows are samples and columns are coordinates",
            fix="give a real matrix [N, columns] with at least one column",
        )
    if tensor.shape[0] < FEWEST_ROWS:
        raise InputError(
            f"{name} has {tensor.shape[0]} rows",
            rule=f"held-out scores need at least {FEWEST_ROWS} samples",
            fix="draw more samples",
        )
    # Apple's GPUs have no float64.
    tensor = (tensor.cpu() if tensor.device.type == "mps" else tensor).to(torch.float64)
    return finite(name, tensor)


def finite(name: str, values: Float[Tensor, "n columns"]) -> Float[Tensor, "n columns"]:
    """`values` as they are.

    Raises:
        InputError: NaN or infinity.
    """
    if not bool(torch.isfinite(values).all()):
        row = int((~torch.isfinite(values)).any(1).nonzero()[0, 0])
        raise InputError(
            f"{name} holds NaN or infinity, first in row {row}",
            rule="samples are finite",
            fix="mend the encoder, or drop these rows from z and zhat alike",
        )
    return values


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Row numbers: `fit` for the weights, `choose` for bandwidth and penalty, `test` for scores.

    60, 15 and 25 per cent of the rows; of many rows at most 16,000 to fit and 4,000 to choose, the
    rest to test. The scores never see rows used for anything else.
    """

    fit: Int[Tensor, " fit"]
    choose: Int[Tensor, " choose"]
    test: Int[Tensor, " test"]

    @classmethod
    def of(cls, rows: int, *, seed: int, device: torch.device) -> "Split":
        """The split of `rows` rows; a pure function of `rows` and `seed`."""
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).to(device)
        fit, choose = min(round(0.6 * rows), MOST_FIT), min(round(0.15 * rows), MOST_CHOOSE)
        return cls(fit=order[:fit], choose=order[fit : fit + choose], test=order[fit + choose :])


def spread(values: Float[Tensor, "n columns"]) -> Float[Tensor, " columns"]:
    """Standard deviation per column, exactly 0 for a column that is constant up to rounding."""
    deviation = values.std(0)
    negligible = 1e-12 * values.abs().amax(0)
    return torch.where(deviation > negligible, deviation, torch.zeros_like(deviation))


def standardised(
    values: Float[Tensor, "n columns"], fit: Int[Tensor, " fit"]
) -> Float[Tensor, "n columns"]:
    """(x - mean) / standard deviation, both of the rows `fit`; constants become 0."""
    known = values[fit]
    deviation = spread(known)
    scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    return (values - known.mean(0)) / scale * (deviation > 0)


def normalised_by_rank(
    values: Float[Tensor, "n columns"], fit: Int[Tensor, " fit"], knots: int = 257
) -> Float[Tensor, "n columns"]:
    """q(x) = Phi^-1(F(x)) with F the distribution of the rows `fit`, linear between quantiles.

    Values outside the range seen are mapped to its ends.
    """
    known = values[fit].sort(0).values
    places = torch.linspace(0, len(fit) - 1, min(knots, len(fit)), device=values.device)
    places = places.round().long()
    quantiles = known[places].T.contiguous()
    normal = torch.special.ndtri((places.to(values.dtype) + 0.5) / len(fit))
    columns = values.T.contiguous()
    right = torch.searchsorted(quantiles, columns).clamp_(1, len(places) - 1)
    low, high = quantiles.gather(1, right - 1), quantiles.gather(1, right)
    share = ((columns - low) / (high - low).clamp_min(1e-300)).clamp_(0, 1)
    return (normal[right - 1] + share * (normal[right] - normal[right - 1])).T.contiguous()


def bumps(ranked: Float[Tensor, "n columns"], count: int = 6) -> Float[Tensor, "n features"]:
    """exp(-(q - c)^2 / 2) at `count` centres c in [-2, 2] for every column: smooth functions of it.

    `count` features a column, side by side; the coordinate-wise part of a regression.
    """
    centres = torch.linspace(-2, 2, count, dtype=ranked.dtype, device=ranked.device)
    return torch.exp(-((ranked[:, :, None] - centres).square() / 2)).flatten(1)


def feature_columns(columns: list[int], count: int = 6) -> list[int]:
    """Where `bumps` puts the features of the given columns."""
    return [column * count + offset for column in columns for offset in range(count)]


def unit_penalty_scale(columns: int) -> float:
    """1 / sqrt(number of columns): the kernel of a sum over columns then has a bounded trace."""
    return 1 / math.sqrt(max(columns, 1))

"""Estimated masks against true ones, under the best assignment pi of columns, padded with zeros:

    support error  sum_i p_i |m^_i - m_i o pi| / max(d, D)          in [0, 1], lower is better
    IoU            sum_i p_i |m^_i & m_i o pi| / sum_i p_i |m^_i | m_i o pi|   in [0, 1], higher

with p_i the weight of caption i. Derived here, after SmartCLIP, CVPR 2025, Theorem 4.3.
"""

# pyright: basic

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery.metrics.accumulator import Accumulator, summed


@dataclass(frozen=True, kw_only=True)
class MaskAgreement:
    """How the estimated masks compare with the true ones.

    Attributes:
        support_error: share of gates that disagree, lower is better.
        iou: of the open gates, higher is better.
        keep_rate: mean share of the D coordinates that a caption keeps open.
        usage: how often each coordinate is open, [D].
        used: coordinates that some caption opens more often than not.
    """

    support_error: float
    iou: float
    keep_rate: float
    usage: Float[np.ndarray, " D"]
    used: int


def mask_agreement(open_rates: Float[Tensor, "captions D"], family: CaptionFamily) -> MaskAgreement:
    """Compare masks, or how often each gate was open, with the captions' own dimensions.

    Args:
        open_rates: m^ [n captions, D], each in [0, 1]; 0 or 1 for masks that depend on the caption
            alone.
        family: the captions with their weights.

    Raises:
        InputError: wrong number of captions, no coordinates, or values outside [0, 1].

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> found = mask_agreement(torch.tensor([[1.0, 0, 1], [0, 1, 1]]), family)
    >>> found.support_error, found.iou, found.used
    (0.0, 1.0, 3)
    """
    found = open_rates.detach().cpu().double().numpy()
    true = family.dimension_masks.astype(float)
    inside = bool(((found >= 0) & (found <= 1)).all())
    if found.shape[0] != len(true) or found.shape[1] == 0 or not inside:
        raise InputError(
            f"rates of shape {found.shape}",
            rule=f"each of the {len(true)} captions opens one or more gates, each with a rate in "
            "[0, 1]",
            fix="give masks, or open counts divided by the number of samples of the caption",
        )
    width = max(found.shape[1], true.shape[1])
    padded, target = (
        np.pad(values, ((0, 0), (0, width - values.shape[1]))) for values in (found, true)
    )
    weights = np.asarray(family.weights)
    shared = (padded * weights[:, None]).T @ target
    opened, wanted = weights @ padded, weights @ target
    # For a 0/1 target: |a - t| = a + t - 2 a t, and union = a + t - a t.
    error = opened[:, None] + wanted[None] - 2 * shared
    rows, columns = linear_sum_assignment(error)
    overlap = shared[rows, columns].sum()
    union = opened.sum() + wanted.sum() - overlap
    return MaskAgreement(
        support_error=max(0.0, float(error[rows, columns].sum() / width)),
        iou=float(overlap / union),
        keep_rate=float((weights @ found).mean()),
        usage=weights @ found,
        used=int((found > 0.5).any(0).sum()),
    )


class MaskSupport(Accumulator):
    """`mask_agreement` of all masks seen so far; computes a dictionary of its four numbers."""

    higher_is_better = None
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self, family: CaptionFamily, coordinates: int, *, device: torch.device | str = "cpu"
    ) -> None:
        self.family = family
        self.coordinates = coordinates
        self.device = torch.device(device)
        self.reset()

    def reset(self) -> None:
        count = len(self.family.captions)
        zero = torch.zeros((), dtype=torch.float64, device=self.device)
        self._opened = zero.repeat(count, self.coordinates)
        self._seen = zero.repeat(count)

    def update(self, masks: Tensor, caption: Int[Tensor, " rows"]) -> None:
        """Add a batch.

        Args:
            masks: the mask of each sample, [n, D], 0 or 1.
            caption: index of its caption, [n].

        Raises:
            InputError: shapes that do not agree, or a caption the family does not have.
        """
        count, coordinates = self._opened.shape
        inside = len(caption) == 0 or (int(caption.min()) >= 0 and int(caption.max()) < count)
        if masks.shape != (len(caption), coordinates) or not inside:
            raise InputError(
                f"masks of shape {tuple(masks.shape)} for {len(caption)} captions",
                rule=f"each sample has {coordinates} gates and one of {count} captions",
                fix="give masks [n, D] and caption indices [n]",
            )
        self._opened.index_add_(0, caption, masks.to(self._opened))
        self._seen.index_add_(0, caption, torch.ones_like(caption, dtype=self._seen.dtype))

    def compute(self) -> dict[str, float]:
        """Captions not seen yet count as having every gate closed."""
        rates = summed(self._opened) / summed(self._seen).clamp_min(1)[:, None]
        found = mask_agreement(rates, self.family)
        return {
            "support_error": found.support_error,
            "iou": found.iou,
            "keep_rate": found.keep_rate,
            "used": float(found.used),
        }

"""What the masks of one batch look like, in the numbers that show a collapse before the loss does.

    keep rate   1/(B D) sum_ik m_ik
    dead        coordinates that no caption opens;   always on: those that every caption opens
    overlap     mean over pairs i < j of |m_i and m_j| / |m_i or m_j|

An overlap near 1 says that masks do not depend on the caption: then none of them can say where two
captions meet, whatever their size.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

PAIRS_AT_A_TIME = 1024


class MaskStatistics(NamedTuple):
    """Plain numbers for a line of a log; `_asdict()` gives them by name."""

    keep_rate: float
    dead: int
    always_on: int
    overlap: float


@torch.no_grad()
def mask_statistics(mask: Float[Tensor, "B D"]) -> MaskStatistics:
    """The statistics of the first lines; a coordinate is open where m > 1/2.

    Two empty masks are the same mask, and overlap by 1. So does a batch of one with itself.

    Example:
        >>> mask_statistics(torch.tensor([[1.0, 1, 0, 0], [1.0, 0, 0, 0]]))
        MaskStatistics(keep_rate=0.375, dead=2, always_on=1, overlap=0.5)
    """
    opened = (mask > 0.5).to(torch.float32)
    share, size = opened.mean(0), opened.sum(1)
    captions = len(opened)
    total = torch.zeros((), dtype=torch.float64, device=mask.device)
    for start in range(0, captions, PAIRS_AT_A_TIME):
        rows = slice(start, start + PAIRS_AT_A_TIME)
        both = opened[rows] @ opened.T
        either = size[rows, None] + size - both
        total += torch.where(either > 0, both / either.clamp_min(1), 1.0).sum()
    pairs = captions * (captions - 1)
    overlap = (total.item() - captions) / pairs if pairs else 1.0
    return MaskStatistics(
        keep_rate=mask.mean().item(),
        dead=int((share == 0).sum().item()),
        always_on=int((share == 1).sum().item()),
        overlap=overlap,
    )

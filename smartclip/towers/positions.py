"""Position embeddings for longer captions: p_1, ..., p_n stretched to any length.

The first `kept` positions, where CLIP was trained most, stay as they are. New position kept + j
lies at kept + j (n - kept) / (length - kept) of the old ones, linearly interpolated; after p_n the
last slope goes on. For 77 positions, 20 of them kept, and a length of 248 each of the remaining 57
becomes four: exactly the stretch of Long-CLIP (ECCV 2024), which SmartCLIP (CVPR 2025) uses.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from theory.errors import InputError

KEPT = 20
LONG_CONTEXT = 248


def stretch_positions(
    positions: Float[Tensor, "n w"], length: int, *, kept: int = KEPT
) -> Float[Tensor, "length w"]:
    """`length` position embeddings from n.

    Args:
        positions: [n, W], one row for each place in a caption.
        length: places wanted; not above n gives the first of them, since a causal tower reads a
            short caption the same whatever comes after it.
        kept: rows that stay as they are.

    Raises:
        InputError: `length` below 1, or `kept` not between 0 and n - 2 when there is to stretch.

    Example:
        >>> stretch_positions(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), 6, kept=2).flatten()
        tensor([0.0000, 1.0000, 2.0000, 2.5000, 3.0000, 3.5000])
    """
    n = len(positions)
    if 1 <= length <= n:
        return positions[:length].clone()
    if length < 1 or not 0 <= kept <= n - 2:
        raise InputError(
            f"{n} positions to {length}, {kept} kept",
            rule="there is a place at least, and two positions are left to stretch",
            fix="ask for more places, or keep fewer",
        )
    at = torch.arange(length - kept, device=positions.device, dtype=torch.float64)
    at = kept + at * ((n - kept) / (length - kept))
    before = at.floor().long().clamp_max(n - 2)
    share = (at - before).to(positions.dtype).unsqueeze(1)
    tail = torch.lerp(positions[before], positions[before + 1], share)
    return torch.cat([positions[:kept], tail])

"""The logit scale s, fixed or learned as in CLIP (Radford et al. 2021): s = exp(log s) <= 100."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from theory.errors import InputError


class Temperature(nn.Module):
    """() -> s, a scalar tensor.

    A learned log s is put back to its largest value whenever it has passed it, as CLIP does, so
    its gradient is never lost there. Bounded precision is what makes each true dimension earn its
    place, so masks that are to be sparse want a *fixed* scale.

    Args:
        scale: s at the start; CLIP starts at 1 / 0.07 and most recipes continue from 100.
        learned: whether s is a parameter; else it is a buffer. Both are in the state dict.
        largest: s is kept at most this.

    Raises:
        InputError: unless 0 < scale <= largest.

    Example:
        >>> round(Temperature(2.0, learned=False)().item(), 5)
        2.0
    """

    log_scale: Tensor

    def __init__(
        self, scale: float = 1 / 0.07, *, learned: bool = True, largest: float = 100.0
    ) -> None:
        super().__init__()
        if not 0 < scale <= largest < math.inf:
            raise InputError(
                f"scale {scale}, largest {largest}",
                rule="a logit scale is positive and not above its largest value",
                fix="choose a scale within the bound, or raise the bound",
            )
        self.largest = largest
        log_scale = torch.tensor(math.log(scale))
        if learned:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def forward(self) -> Float[Tensor, ""]:
        with torch.no_grad():
            self.log_scale.copy_(self.log_scale.clamp(max=math.log(self.largest)))
        return self.log_scale.exp()

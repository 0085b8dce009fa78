"""A constraint instead of a price: the multiplier that makes a quantity meet its level.

    minimise L  subject to  gap <= 0:
        training step on   L + max(0, multiplier + damping * gap) * gap,   the factor held fixed;
        ascent             multiplier <- max(0, multiplier + rate * gap).

The first line is the gradient of the augmented Lagrangian, the second is projected dual ascent
(Arrow, Hurwicz and Uzawa 1958; Hestenes 1969, Powell 1969). Without damping the two chase each
other in circles.

The same class holds the keep rate E|m| / D at a requested value, the share of coordinates used by
any caption (C5), and, the other way round, the contrastive loss near its best while the size of the
masks is what is minimised.
"""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from theory.errors import InputError

Sense = Literal["at_most", "at_least", "equal"]


class Constraint(nn.Module):
    """value -> the term to add to the loss; `ascend(value)` after the step of the optimiser.

    The gap is value - level (`at_most`, `equal`) or level - value (`at_least`). With `equal` the
    multiplier may be negative, and no maximum with 0 is taken.

    Args:
        level: what the value has to meet.
        sense: from which side.
        rate: of the ascent, in units of the loss per unit of the gap and step.
        damping: weight of the quadratic term; larger is steadier and, at first, stiffer.
        largest: bound of |multiplier|: a level out of reach then cannot drown the loss.

    The multiplier is a buffer: it is saved and moved with the module, and no optimiser sees it.

    Raises:
        InputError: an unknown sense, or a number out of range.

    Example:
        >>> keep_rate = Constraint(0.25, rate=0.5)
        >>> keep_rate.ascend(torch.tensor(0.75))
        >>> keep_rate.multiplier
        tensor(0.2500)
        >>> keep_rate(torch.tensor(0.75)) > 0
        tensor(True)
    """

    multiplier: Tensor

    def __init__(
        self,
        level: float,
        *,
        sense: Sense = "at_most",
        rate: float = 0.02,
        damping: float = 2.0,
        largest: float = 1e3,
    ) -> None:
        super().__init__()
        rules = {
            "level": (level, math.isfinite(level), "finite"),
            "sense": (sense, sense in get_args(Sense), "one of " + ", ".join(get_args(Sense))),
            "rate": (rate, rate > 0, "positive"),
            "damping": (damping, damping >= 0, "0 or more"),
            "largest": (largest, largest > 0, "positive"),
        }
        for name, (given, holds, rule) in rules.items():
            if not holds:
                raise InputError(f"{name} = {given!r}", rule=f"{name} is {rule}", fix="change it")
        self.level, self.sense = level, sense
        self.rate, self.damping, self.largest = rate, damping, largest
        self.register_buffer("multiplier", torch.zeros(()))

    def forward(self, value: Float[Tensor, ""]) -> Float[Tensor, ""]:
        gap = self._gap(value)
        return self._projected(self.multiplier + self.damping * gap.detach()) * gap

    @torch.no_grad()
    def ascend(self, value: Float[Tensor, ""]) -> None:
        """One step of dual ascent, in place, towards the value as it was seen in the step."""
        self.multiplier.copy_(self.ascended(self.multiplier, value))

    def ascended(
        self, multiplier: Float[Tensor, "*runs"], value: Float[Tensor, "*runs"]
    ) -> Float[Tensor, "*runs"]:
        """The multiplier after a step of dual ascent, of one run or of many."""
        return self._projected(multiplier + self.rate * self._gap(value))

    def _gap(self, value: Tensor) -> Tensor:
        return self.level - value if self.sense == "at_least" else value - self.level

    def _projected(self, multiplier: Tensor) -> Tensor:
        return multiplier.clamp(-self.largest if self.sense == "equal" else 0.0, self.largest)

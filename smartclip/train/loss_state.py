"""What the loss itself carries from step to step: a learned temperature, a dual variable.

    s = exp(log s), learned like any weight                              (smartclip.temperature)
    multiplier <- max(0, multiplier + rate (E|m| - keep_rate D))         (smartclip.constraint)

Both are part of the model while it trains, so that checkpoints hold them and a run resumes with
them. `load_model` leaves them aside: after training nobody asks.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from smartclip.constraint import Constraint
from smartclip.model import SmartCLIP
from smartclip.temperature import Temperature
from smartclip.train.method import Method
from smartclip.train.phases import moment

# Per coordinate too many and step: a hundred steps reach the price of a coordinate, about 1.
RATE = 1e-2
DAMPING = 0.3


class LossState(nn.Module):
    """The temperature and the constraint that a method asks for; None where it does not."""

    def __init__(self, method: Method, dimension: int) -> None:
        super().__init__()
        objective, scale = method.objective, float(moment(method.phases, 0).scale)
        self.temperature = (
            Temperature(scale, largest=max(100.0, scale)) if objective.learned_scale else None
        )
        self.keep_rate = (
            Constraint(objective.keep_rate * dimension, rate=RATE, damping=DAMPING)
            if objective.keep_rate is not None
            else None
        )


def attach_loss_state(model: SmartCLIP, method: Method) -> None:
    """Give a model what its method asks the loss to carry, unless it has it already."""
    objective = method.objective
    wanted = objective.learned_scale or objective.keep_rate is not None
    if wanted and not isinstance(model.loss_state, LossState):
        model.loss_state = LossState(method, model.dimension).to(next(model.parameters()))


def scale_of(model: SmartCLIP, scheduled: float | Float[Tensor, ""]) -> float | Float[Tensor, ""]:
    """s: the learned one if there is one, else the scheduled one."""
    state = model.loss_state
    if isinstance(state, LossState) and state.temperature is not None:
        return state.temperature()
    return scheduled


@torch.no_grad()
def scale_as_number(model: SmartCLIP, scheduled: float | Float[Tensor, ""]) -> float:
    """`scale_of` for logs and validation."""
    return float(scale_of(model, scheduled))


def constraint_of(model: SmartCLIP) -> Constraint | None:
    """The constraint on the size of masks, in coordinates, if there is one."""
    return model.loss_state.keep_rate if isinstance(model.loss_state, LossState) else None


@torch.no_grad()
def ascend(model: SmartCLIP, size: Float[Tensor, ""] | None) -> None:
    """The dual step after the optimiser's, towards the E|m| that the loss was charged for."""
    constraint = constraint_of(model)
    if constraint is not None and size is not None:
        constraint.ascend(size)

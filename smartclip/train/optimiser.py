"""AdamW over three groups of parameters, gradient clipping, and a moving average of the weights.

    w <- w - rate (m / (sqrt(v) + 1e-8) + decay w)             (Loshchilov & Hutter, ICLR 2019)
    average <- ema_decay average + (1 - ema_decay) w           (off unless asked for)

The published settings are 1e-6 with decay 1e-2 for the pretrained towers and 1e-3 without decay for
the mask network (SmartCLIP, CVPR 2025). As in CLIP, gains and biases do not decay.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import AdamW

from smartclip.model import SmartCLIP
from smartclip.train.config import TrainConfig
from theory.errors import refuse_broken_rules


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserConfig:
    """What an update does beside following the gradient.

    Attributes:
        weight_decay: of the matrices of the two towers.
        first_moment: decay of the average of gradients.
        second_moment: decay of the average of squared gradients.
        clip_norm: longest gradient, all parameters together; None does not clip.
        ema_decay: of the average of the weights; None keeps no average.
    """

    weight_decay: float = 0.0
    first_moment: float = 0.9
    second_moment: float = 0.99
    clip_norm: float | None = None
    ema_decay: float | None = None

    def __post_init__(self) -> None:
        rules = {
            "weight_decay": (self.weight_decay >= 0, "0 or more"),
            "first_moment": (0 <= self.first_moment < 1, "from 0 to below 1"),
            "second_moment": (0 <= self.second_moment < 1, "from 0 to below 1"),
            "clip_norm": (self.clip_norm is None or self.clip_norm > 0, "positive"),
            "ema_decay": (self.ema_decay is None or 0 < self.ema_decay < 1, "between 0 and 1"),
        }
        refuse_broken_rules(self, rules)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def make_optimiser(model: SmartCLIP, config: TrainConfig, settings: OptimiserConfig) -> AdamW:
    """AdamW with a rate for the towers, one for the mask network and one for the shared gates.

    Each group remembers its peak rate as `peak`; the rate of the phase multiplies it.
    """
    masks = [] if model.mask_network is None else list(model.mask_network.parameters())
    shared = [] if model.shared_logits is None else [model.shared_logits]
    apart = {id(parameter) for parameter in masks + shared}
    towers = [parameter for parameter in model.parameters() if id(parameter) not in apart]
    matrices, vectors = towers, []
    if settings.weight_decay:
        matrices = [parameter for parameter in towers if parameter.ndim > 1]
        vectors = [parameter for parameter in towers if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "lr": config.learning_rate, "weight_decay": settings.weight_decay},
        {"params": vectors, "lr": config.learning_rate},
        {"params": masks, "lr": config.mask_learning_rate},
        {"params": shared, "lr": config.budget_learning_rate},
    ]
    betas = (settings.first_moment, settings.second_moment)
    groups = [group | {"peak": group["lr"]} for group in groups if group["params"]]
    return AdamW(groups, betas=betas, weight_decay=0.0, fused=True)


def clip_gradients(parameters: list[nn.Parameter], longest: float) -> Tensor:
    """Scale all gradients so that together they are no longer than `longest`; returns the length.

    Sharded and whole parameters may be mixed.
    """
    kinds: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in parameters:
        if parameter.grad is not None:
            kinds[isinstance(parameter.grad, DTensor)].append(parameter)
    norms = []
    for owners in kinds.values():
        if owners:
            norm = get_total_norm([owner.grad for owner in owners if owner.grad is not None])
            norms.append(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    total = torch.stack(norms).square().sum().sqrt()
    for owners in kinds.values():
        if owners:
            clip_grads_with_norm_(owners, longest, total)
    return total


class WeightAverage:
    """The moving average of a model's parameters; as long as the weights, and sharded like them."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            self.tensors[name].lerp_(parameter, 1 - self.decay)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            parameter.copy_(self.tensors[name])

"""Towers for worlds whose images and captions are vectors."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, slots=True)
class MLPConfig:
    """Hidden layers of a tower: `depth` layers of `width`."""

    width: int = 128
    depth: int = 3


def _hidden_layers(inputs: int, config: MLPConfig) -> nn.Sequential:
    widths = [inputs, *[config.width] * config.depth]
    layers = [
        layer
        for before, after in pairwise(widths)
        # Smooth, because the statements ask for a smooth invertible code (C1).
        for layer in (nn.Linear(before, after), nn.SiLU())
    ]
    return nn.Sequential(*layers)


class MLPImageTower(nn.Module):
    """f_I: i -> z^_I, [B, image_dimension] -> [B, D]."""

    def __init__(self, inputs: int, dimension: int, config: MLPConfig) -> None:
        super().__init__()
        self.hidden = _hidden_layers(inputs, config)
        self.project = nn.Linear(config.width, dimension)

    def forward(self, images: Float[Tensor, "B inputs"]) -> Float[Tensor, "B D"]:
        return self.project(self.hidden(images))


class MLPTextTower(nn.Module):
    """f_T: t -> (z^_T, states), [B, text_dimension] -> [B, D] and one token state [B, 1, W].

    A caption that is a vector is one token. Its state is a *fixed* linear embedding: the mask
    network reads states detached, so an embedding cannot learn from it, and one that moved with
    the tower would move the masks.
    """

    def __init__(
        self, inputs: int, dimension: int, config: MLPConfig, *, state_width: int = 64
    ) -> None:
        super().__init__()
        self.hidden = _hidden_layers(inputs, config)
        self.project = nn.Linear(config.width, dimension)
        self.width = max(state_width, 4 * math.ceil(inputs / 4))
        self.embedding: Tensor
        self.register_buffer("embedding", nn.init.orthogonal_(torch.empty(inputs, self.width)))

    def forward(
        self, tokens: Float[Tensor, "B inputs"]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B 1 W"]]:
        return self.project(self.hidden(tokens)), (tokens @ self.embedding).unsqueeze(1)

"""Which coordinates a caption is about: the mask m^(t) and the coordinates used by any caption.

    m^(t)_k = g_k b_k(t),   b_k(t) ~ Bernoulli(sigmoid(l_k(t))),   g_k ~ Bernoulli(sigmoid(c_k))

The mask network gives the logits l(t); SmartCLIP (CVPR 2025) thresholds them. Here gates are drawn
at random while training, with straight-through gradients: deterministic gates trained from scratch
stick at all ones or collapse to empty masks, since a gate that never flips learns nothing. The
second factor is derived here: g_k is shared by all captions, so closing it takes the coordinate
from every caption at once. Two captions that hold two copies of one shared dimension are each as
sparse as can be; only a price on the coordinates themselves makes them share one (C5).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class MaskNetwork(nn.Module):
    """t -> l(t): one residual attention block over token states, attention pooling, linear scores.

    As published: it reads *detached* token states after the text tower's final norm, so the mask
    cannot bend the caption embedding to its needs.

    Args:
        width: W, the width of the token states.
        dimension: D, the number of coordinates to open or close.
        heads: attention heads.

    Shapes:
        states [B, L, W], padding [B, L] (True where there is no token) -> logits [B, D].
    """

    def __init__(self, width: int, dimension: int, *, heads: int = 4) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.pooling_score = nn.Linear(width, 1)
        self.score = nn.Linear(width, dimension)
        # All gates start half open whatever the caption: they have everything to learn and can.
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(
        self, states: Float[Tensor, "B L W"], padding: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B D"]:
        states = states.detach()
        normed = self.attention_norm(states)
        attended, _ = self.attention(
            normed, normed, normed, key_padding_mask=padding, need_weights=False
        )
        states = states + attended
        states = states + self.feedforward(states)
        weights = self.pooling_score(states).squeeze(-1)
        if padding is not None:
            weights = weights.masked_fill(padding, -torch.inf)
        return self.score((weights.softmax(1).unsqueeze(-1) * states).sum(1))


def hard_gate(logits: Tensor) -> Tensor:
    """1 where sigmoid(logits) > 1/2, else 0: the mask as it is used after training."""
    return (logits > 0).to(logits.dtype)


def bernoulli_gate(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """b ~ Bernoulli(sigmoid(logits)) in {0, 1}; its gradient is that of its mean."""
    open_probability = logits.sigmoid()
    noise = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
    drawn = (noise < open_probability).to(logits.dtype)
    return drawn + open_probability - open_probability.detach()

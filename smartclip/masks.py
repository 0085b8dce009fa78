"""Which coordinates a caption is about: the mask m^(t) and the coordinates used by any caption.

    m^(t)_k = g_k b_k(t),   b_k(t) ~ Bernoulli(sigmoid(l_k(t))),   g_k ~ Bernoulli(sigmoid(c_k))

The mask network gives the logits l(t); SmartCLIP (CVPR 2025) thresholds them. Here gates are drawn
at random while training (`smartclip.gates` holds the choices). The second factor is derived here:
g_k is shared by all captions, so closing it takes the coordinate from every caption at once. Two
captions that hold two copies of one shared dimension are each as sparse as can be; only a price on
the coordinates themselves makes them share one (C5).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from smartclip.gates import Gate, opening_logit
from smartclip.single_token import attention_to_itself


class MaskNetwork(nn.Module):
    """t -> l(t): one residual attention block over token states, attention pooling, linear scores.

    As published: it reads *detached* token states after the text tower's final norm, so the mask
    cannot bend the caption embedding to its needs.

    Args:
        width: W, the width of the token states.
        dimension: D, the number of coordinates to open or close.
        heads: attention heads.
        opening: probability with which every gate is open at first, whatever the caption. Of a
            straight-through gate it is sigmoid(l), so that all are shut at first up to 1/2.
        gate: the kind of gate that will read the logits; it says which logit that probability is.

    Shapes:
        states [B, L, W], padding [B, L] (True where there is no token) -> logits [B, D].
    """

    def __init__(
        self,
        width: int,
        dimension: int,
        *,
        heads: int = 4,
        opening: float = 0.5,
        gate: Gate = "bernoulli",
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.pooling_score = nn.Linear(width, 1)
        self.score = nn.Linear(width, dimension)
        # Half open, by default: drawn at random, gates then have everything to learn and can.
        nn.init.zeros_(self.score.weight)
        nn.init.constant_(self.score.bias, opening_logit(opening, gate))

    def forward(
        self, states: Float[Tensor, "B L W"], padding: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B D"]:
        states = states.detach()
        states = states + self._attend(self.attention_norm(states), padding)
        states = states + self.feedforward(states)
        weights = self.pooling_score(states).squeeze(-1)
        if padding is not None:
            weights = weights.masked_fill(padding, -torch.inf)
        return self.score((weights.softmax(1).unsqueeze(-1) * states).sum(1))

    def _attend(self, states: Tensor, padding: Tensor | None) -> Tensor:
        if states.shape[1] == 1 and padding is None:
            return attention_to_itself(self.attention, states)
        return self.attention(states, states, states, key_padding_mask=padding, need_weights=False)[
            0
        ]

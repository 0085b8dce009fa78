"""Which coordinates a caption is about: the mask m^(t) and the coordinates used by any caption.

    m^(t)_k = g_k b_k(t),   b_k(t) ~ Bernoulli(sigmoid(l_k(t))),   g_k ~ Bernoulli(sigmoid(c_k))

The mask network gives the logits l(t); SmartCLIP (CVPR 2025) thresholds them. Here gates are drawn
at random while training (`smartclip.gates` holds the choices). The second factor is derived here:
g_k is shared by all captions, so closing it takes the coordinate from every caption at once. Two
captions that hold two copies of one shared dimension are each as sparse as can be; only a price on
the coordinates themselves makes them share one (C5).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from smartclip.gates import Gate, opening_logit


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
        if states.shape[1] == 1 and padding is None:
            return self.score(self._only_token(states.squeeze(1)))
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

    def _only_token(self, state: Float[Tensor, "B W"]) -> Float[Tensor, "B W"]:
        """The same for captions of one token, which has nothing to choose from.

        Its weight is 1 in the attention, whatever query and key say, and 1 in the pooling.
        """
        attention = self.attention
        weight, bias = attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2]
        state = state + attention.out_proj(F.linear(self.attention_norm(state), weight, bias))
        state = state + self.feedforward(state)
        # A softmax over one score: its parameters stay in the graph, as DDP asks.
        return self.pooling_score(state).softmax(1) * state

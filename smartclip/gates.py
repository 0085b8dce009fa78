"""Gates: from the logits l of a mask network to masks, while training and after it.

    straight_through   m = 1[l > 0]                                       (published)
    bernoulli          m = 1[u < sigmoid(l)]                              (the default)
    hard_concrete      m = clip(1.2 sigmoid((log u - log(1 - u) + l) / beta) - 0.1, 0, 1)
    soft               m = sigmoid(l)                                     (an ablation)

with u uniform on [0, 1]. Sources: SmartCLIP (CVPR 2025) for the first; Bengio, Leonard and
Courville (2013) for the straight-through gradient; Louizos, Welling and Kingma (ICLR 2018) for the
hard concrete, with their constants. Where m is a step or clipped, its gradient is that of the
smooth function inside, so that a closed gate is told what opening it would bring. The published
hard concrete has no gradient where it is clipped; this is where ours differs.

Deterministic gates trained from scratch stick at all ones or collapse to empty masks: a gate that
never flips learns nothing. Soft masks make any price on their size meaningless, since the mask can
shrink while the embedding grows.
"""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from theory.errors import InputError

Gate = Literal["bernoulli", "straight_through", "hard_concrete", "soft"]

# beta, gamma and zeta of Louizos et al.
TEMPERATURE, LOWER, UPPER = 2 / 3, -0.1, 1.1
# P(m > 0) = sigmoid(l + SHIFT) for the hard concrete gate.
SHIFT = -TEMPERATURE * math.log(-LOWER / UPPER)


def draw_uniforms(
    logits: Float[Tensor, "*shape"], gate: Gate, generator: torch.Generator
) -> Float[Tensor, "*shape"] | None:
    """The u of a random gate, one for each logit; None where the gate is not random."""
    _refuse_unknown(gate)
    if gate in ("straight_through", "soft"):
        return None
    return torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)


def draw_gate(
    logits: Float[Tensor, "*shape"],
    gate: Gate,
    u: torch.Generator | Float[Tensor, "*shape"] | None,
) -> Float[Tensor, "*shape"]:
    """A mask as it is used while training.

    Args:
        logits: l.
        gate: which.
        u: as `draw_uniforms` gives it, or the generator to draw it with, on the device of `logits`.

    Example:
        >>> draw_gate(torch.tensor([-9.0, 9.0]), "bernoulli", torch.Generator().manual_seed(0))
        tensor([0., 1.])
    """
    _refuse_unknown(gate)
    if gate == "soft":
        return logits.sigmoid()
    if gate == "straight_through":
        return _straight_through(hard_gate(logits), logits.sigmoid())
    if isinstance(u, torch.Generator):
        u = draw_uniforms(logits, gate, u)
    assert u is not None  # both gates left are random
    if gate == "bernoulli":
        share = logits.sigmoid()
        return _straight_through((u < share).to(logits.dtype), share)
    stretched = LOWER + (UPPER - LOWER) * ((u.logit(1e-6) + logits) / TEMPERATURE).sigmoid()
    return _straight_through(stretched.clamp(0, 1), stretched)


def read_gate(logits: Float[Tensor, "*shape"], gate: Gate) -> Float[Tensor, "*shape"]:
    """A mask as it is used after training: `hard_gate`, or sigmoid(l) for the soft ablation."""
    _refuse_unknown(gate)
    return logits.sigmoid() if gate == "soft" else hard_gate(logits)


def expected_opening(logits: Float[Tensor, "*shape"], gate: Gate) -> Float[Tensor, "*shape"]:
    """P(m > 0), or E[m] for the soft gate: what a price on the size of masks charges.

    A straight-through gate is open with probability 0 or 1; its gradient is that of the sigmoid.
    """
    _refuse_unknown(gate)
    if gate == "hard_concrete":
        return (logits + SHIFT).sigmoid()
    share = logits.sigmoid()
    return _straight_through(hard_gate(logits), share) if gate == "straight_through" else share


def opening_logit(probability: float, gate: Gate) -> float:
    """The l at which a gate is open with this probability; of a straight-through gate, sigmoid(l).

    Raises:
        InputError: a probability outside (0, 1), or an unknown gate.
    """
    _refuse_unknown(gate)
    if not 0 < probability < 1:
        raise InputError(
            f"opening {probability}",
            rule="gates start open with a probability strictly between 0 and 1",
            fix="pass for example 0.5",
        )
    logit = math.log(probability / (1 - probability))
    return logit - SHIFT if gate == "hard_concrete" else logit


def hard_gate(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1 where sigmoid(l) > 1/2, else 0."""
    return (logits > 0).to(logits.dtype)


def _straight_through(value: Tensor, smooth: Tensor) -> Tensor:
    """The value of one, exactly, with the gradient of the other."""
    return value.detach() + (smooth - smooth.detach())


def _refuse_unknown(gate: str) -> None:
    if gate not in get_args(Gate):
        raise InputError(
            f"gate {gate!r}",
            rule="a gate is one of " + ", ".join(get_args(Gate)),
            fix="choose one of them",
        )

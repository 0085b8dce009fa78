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

To add a gate, write its class here and list it in `GATES`.
"""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from theory.errors import InputError

# The name of a gate: a key of `GATES`.
Gate = str

# beta, gamma and zeta of Louizos et al.
TEMPERATURE, LOWER, UPPER = 2 / 3, -0.1, 1.1
# P(m > 0) = sigmoid(l + SHIFT) for the hard concrete gate.
SHIFT = -TEMPERATURE * math.log(-LOWER / UPPER)


class GateKind(ABC):
    """One kind of gate: a formula above, as it is drawn, read, priced and started.

    `random` says whether `draw` needs the u, uniform on [0, 1], one for each logit.
    """

    random = True

    @abstractmethod
    def draw(self, logits: Tensor, u: Tensor | None) -> Tensor:
        """The mask of a training step, with its gradient; u is None unless the gate is random."""

    def read(self, logits: Tensor) -> Tensor:
        """The mask after training."""
        return hard_gate(logits)

    def expected_opening(self, logits: Tensor) -> Tensor:
        """P(m > 0)."""
        return logits.sigmoid()

    def opening_logit(self, probability: float) -> float:
        """The l at which a gate is open with this probability."""
        return math.log(probability / (1 - probability))


class Bernoulli(GateKind):
    """m = 1[u < sigmoid(l)]."""

    def draw(self, logits: Tensor, u: Tensor | None) -> Tensor:
        assert u is not None
        share = logits.sigmoid()
        return _straight_through((u < share).to(logits.dtype), share)


class StraightThrough(GateKind):
    """m = 1[l > 0]. It is open with probability 0 or 1; its gradient is that of the sigmoid."""

    random = False

    def draw(self, logits: Tensor, u: Tensor | None) -> Tensor:
        return self.expected_opening(logits)

    def expected_opening(self, logits: Tensor) -> Tensor:
        return _straight_through(hard_gate(logits), logits.sigmoid())


class HardConcrete(GateKind):
    """m = clip(1.2 sigmoid((log u - log(1 - u) + l) / beta) - 0.1, 0, 1)."""

    def draw(self, logits: Tensor, u: Tensor | None) -> Tensor:
        assert u is not None
        stretched = LOWER + (UPPER - LOWER) * ((u.logit(1e-6) + logits) / TEMPERATURE).sigmoid()
        return _straight_through(stretched.clamp(0, 1), stretched)

    def expected_opening(self, logits: Tensor) -> Tensor:
        return (logits + SHIFT).sigmoid()

    def opening_logit(self, probability: float) -> float:
        return super().opening_logit(probability) - SHIFT


class Soft(GateKind):
    """m = sigmoid(l), after training too; its expected opening is E[m]."""

    random = False

    def draw(self, logits: Tensor, u: Tensor | None) -> Tensor:
        return logits.sigmoid()

    def read(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()


GATES: dict[Gate, GateKind] = {
    "bernoulli": Bernoulli(),
    "straight_through": StraightThrough(),
    "hard_concrete": HardConcrete(),
    "soft": Soft(),
}


def gate_kind(gate: Gate) -> GateKind:
    """The kind of gate of this name.

    Raises:
        InputError: there is none; so raise all functions below.
    """
    if gate not in GATES:
        raise InputError(
            f"gate {gate!r}",
            rule="a gate is one of " + ", ".join(GATES),
            fix="choose one of them",
        )
    return GATES[gate]


def draw_uniforms(
    logits: Float[Tensor, "*shape"], gate: Gate, generator: torch.Generator
) -> Float[Tensor, "*shape"] | None:
    """The u of a random gate, one for each logit; None where the gate is not random."""
    if not gate_kind(gate).random:
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
    if isinstance(u, torch.Generator):
        u = draw_uniforms(logits, gate, u)
    return gate_kind(gate).draw(logits, u)


def read_gate(logits: Float[Tensor, "*shape"], gate: Gate) -> Float[Tensor, "*shape"]:
    """A mask as it is used after training: `hard_gate`, or sigmoid(l) for the soft ablation."""
    return gate_kind(gate).read(logits)


def expected_opening(logits: Float[Tensor, "*shape"], gate: Gate) -> Float[Tensor, "*shape"]:
    """P(m > 0), or E[m] for the soft gate: what a price on the size of masks charges."""
    return gate_kind(gate).expected_opening(logits)


def opening_logit(probability: float, gate: Gate) -> float:
    """The l at which a gate is open with this probability; of a straight-through gate, sigmoid(l).

    Raises:
        InputError: a probability outside (0, 1), or an unknown gate.
    """
    kind = gate_kind(gate)
    if not 0 < probability < 1:
        raise InputError(
            f"opening {probability}",
            rule="gates start open with a probability strictly between 0 and 1",
            fix="pass for example 0.5",
        )
    return kind.opening_logit(probability)


def hard_gate(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1 where sigmoid(l) > 1/2, else 0."""
    return (logits > 0).to(logits.dtype)


def _straight_through(value: Tensor, smooth: Tensor) -> Tensor:
    """The value of one, exactly, with the gradient of the other."""
    return value.detach() + (smooth - smooth.detach())

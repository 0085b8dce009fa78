"""Mixings that break C1 by a degree, each with a witness: another latent with the same image.

At degree 0 each is its base. At degree r, inputs of probability r under the standard normal law
have lost something; of a fold, r / 2 are laid onto others. Condition C1: SmartCLIP, CVPR 2025,
Condition 4.2-i.
"""

from abc import abstractmethod

import torch
from jaxtyping import Float
from scipy.special import ndtri
from torch import Tensor

from simulators.mixings import Mixing
from theory.errors import InputError


class Broken(Mixing):
    """g(x) = base(spoil(x)): a smooth mixing of inputs that have lost something.

    Args:
        base: a mixing that fulfils C1.
        degree: 0 (C1 holds) to 1.
        coordinate: the input that is spoiled.
    """

    def __init__(self, base: Mixing, *, degree: float, coordinate: int = 0) -> None:
        if not 0 <= degree <= 1:
            raise InputError(
                f"degree={degree}",
                rule="a condition is broken by a degree from 0 (holds) to 1",
                fix="give 0 <= degree <= 1",
            )
        if not 0 <= coordinate < base.inputs:
            raise InputError(
                f"coordinate={coordinate} of {base.inputs} inputs",
                rule="one of the inputs is spoiled",
                fix=f"give 0 to {base.inputs - 1}",
            )
        self.base = base
        self.degree = degree
        self.coordinate = coordinate
        self.inputs, self.outputs = base.inputs, base.outputs
        self.slopes = base.slopes if degree == 0 else (0.0, base.slopes[1])

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        return self.base(self._with(x, self._spoiled(x)) if self.degree else x)

    def inverse(self, y: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        if self.degree:
            raise InputError(
                f"the inverse of a mixing broken by degree {self.degree}",
                rule="two latents share an image, so there is none",
                fix="use degree=0, or base.inverse for the spoiled latent",
            )
        return self.base.inverse(y)

    def twin(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The witness: x' with g(x') = g(x) and x' != x wherever something is lost, else x."""
        return self._with(x, self._other(x)) if self.degree else x

    @abstractmethod
    def _spoiled(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """What is left of the coordinate."""

    @abstractmethod
    def _other(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Another value of the coordinate with the same image, or the same value."""

    def _with(self, x: Float[Tensor, "n d"], value: Float[Tensor, " n"]) -> Float[Tensor, "n d"]:
        kept = torch.arange(self.inputs) != self.coordinate
        return torch.where(kept, x, value[:, None])


class Folded(Broken):
    """x_j -> q + s((x_j - q) / w) w with s even: x_j and 2 q - x_j have the same image.

    s(t) = sqrt(1 + t^2) is a smooth |t|. The fold q is the (degree / 2)-quantile: a share of
    degree / 2 is laid onto the rest, and at degree 1 the coordinate keeps its size and no sign.
    """

    width = 0.1

    @property
    def _fold(self) -> float:
        return float(ndtri(self.degree / 2))

    def _spoiled(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        t = (x[:, self.coordinate] - self._fold) / self.width
        return self._fold + self.width * torch.sqrt(1 + t * t)

    def _other(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        return 2 * self._fold - x[:, self.coordinate]


class Saturated(Broken):
    """x_j -> x_j, bent to a constant in both tails, of joint probability `degree`.

    The map is C^1: identity up to half of the threshold, then a parabola to the flat part.
    """

    @property
    def _threshold(self) -> float:
        return float(ndtri(1 - self.degree / 2))

    def _spoiled(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        top = self._threshold
        if top == 0:
            return torch.zeros_like(x[:, 0])
        size = x[:, self.coordinate].abs().clamp(max=top)
        bent = size - (size - top / 2).clamp(min=0).square() / top
        return bent * x[:, self.coordinate].sign()

    def _other(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        value = x[:, self.coordinate]
        flat = value.abs() >= self._threshold
        further = torch.where(value < 0, value - 1, value + 1)
        return torch.where(flat, further, value)


class Quantised(Broken):
    """x_j -> a staircase with steps of 1/2 in the middle of its law, of probability `degree`.

    The steps make g discontinuous; x_j moved within its step has the same image.
    """

    step = 0.5

    def _inside(self, x: Float[Tensor, "n d"]) -> Tensor:
        return x[:, self.coordinate].abs() < float(ndtri((1 + self.degree) / 2))

    def _spoiled(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        value = x[:, self.coordinate]
        return torch.where(self._inside(x), torch.round(value / self.step) * self.step, value)

    def _other(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        # The point mirrored at the middle of its step, unless that falls outside the stairs.
        value = x[:, self.coordinate]
        mirrored = 2 * torch.round(value / self.step) * self.step - value
        reached = self._inside(self._with(x, mirrored))
        return torch.where(self._inside(x) & reached, mirrored, value)


class RankLoss(Broken):
    """x_j -> x_j h(x_s), h = 0 on inputs of probability `degree`: the Jacobian loses one rank.

    h(t) = exp(-1 / (t - q)) for t > q and 0 below, which is C^infinity; q is the degree-quantile.
    x_s is the coordinate after x_j.
    """

    def __init__(self, base: Mixing, *, degree: float, coordinate: int = 0) -> None:
        super().__init__(base, degree=degree, coordinate=coordinate)
        if base.inputs < 2:
            raise InputError(
                f"{base.inputs} inputs",
                rule="one coordinate decides where the other is lost",
                fix="give a mixing of at least 2 inputs",
            )
        self.switch = (coordinate + 1) % base.inputs

    def _gate(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        if self.degree == 1:
            return torch.zeros_like(x[:, 0])
        above = (x[:, self.switch] - float(ndtri(self.degree))).clamp(min=1e-6)
        return torch.exp(-1 / above)

    def _spoiled(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        return x[:, self.coordinate] * self._gate(x)

    def _other(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        value = x[:, self.coordinate]
        return torch.where(self._gate(x) == 0, value + 1, value)

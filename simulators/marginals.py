"""p(z_j): laws of one coordinate, by quantile, distribution function and density."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import sympy
import torch
from jaxtyping import Float
from torch import Tensor

from theory.errors import InputError

REALS = sympy.Interval.open(-sympy.oo, sympy.oo)


class Marginal(ABC):
    """A law on the line; `quantile` turns a uniform on (0, 1) into a sample.

    Attributes:
        support: where the density is positive: an open interval, or a finite set.
    """

    support: sympy.Set

    @abstractmethod
    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """F^-1(u)."""

    @abstractmethod
    def cumulative(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """F(x) = P(z <= x)."""

    @abstractmethod
    def log_density(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """log p(x): of the Lebesgue density, or of the probability where the support is finite."""

    @property
    def continuous(self) -> bool:
        return not self.support.is_FiniteSet


@dataclass(frozen=True, slots=True)
class Normal(Marginal):
    """Standard normal."""

    @property
    def support(self) -> sympy.Set:
        return REALS

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.special.ndtri(u)

    def cumulative(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.special.ndtr(x)

    def log_density(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return -0.5 * (x * x + math.log(2 * math.pi))


@dataclass(frozen=True, slots=True)
class Laplace(Marginal):
    """p(x) = exp(-sqrt(2) |x|) / sqrt(2): mean 0, variance 1, heavier tails than the normal."""

    @property
    def support(self) -> sympy.Set:
        return REALS

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        tail = torch.minimum(u, 1 - u)
        return torch.sign(u - 0.5) * -(2 * tail).log() / math.sqrt(2)

    def cumulative(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        tail = 0.5 * torch.exp(-math.sqrt(2) * x.abs())
        return torch.where(x < 0, tail, 1 - tail)

    def log_density(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return -math.sqrt(2) * x.abs() - 0.5 * math.log(2)


@dataclass(frozen=True, slots=True)
class Uniform(Marginal):
    """Uniform on (-sqrt(3), sqrt(3)): mean 0, variance 1, a bounded support."""

    @property
    def support(self) -> sympy.Set:
        return sympy.Interval.open(-sympy.sqrt(3), sympy.sqrt(3))

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return math.sqrt(3) * (2 * u - 1)

    def cumulative(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return (0.5 + x / math.sqrt(12)).clamp(0, 1)

    def log_density(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        inside = torch.full_like(x, -0.5 * math.log(12))
        return inside.masked_fill(x.abs() >= math.sqrt(3), -math.inf)


@dataclass(frozen=True, slots=True)
class Mixture(Marginal):
    """p(x) = sum_c w_c N(x; mu_c, s^2): several bumps, one connected support.

    Attributes:
        means: mu_c.
        deviation: s, common to all components.
        weights: w_c, summing to 1.
    """

    means: tuple[float, ...] = (-0.9, 0.9)
    deviation: float = 0.45
    weights: tuple[float, ...] = (0.5, 0.5)

    def __post_init__(self) -> None:
        if (
            len(self.means) != len(self.weights)
            or min(self.weights, default=0) <= 0
            or not math.isclose(sum(self.weights), 1)
            or not self.deviation > 0
        ):
            raise InputError(
                f"{len(self.means)} means with weights {self.weights}",
                rule="each component has a positive weight, and the weights sum to 1",
                fix="give one weight a mean, and a positive deviation",
            )

    @property
    def support(self) -> sympy.Set:
        return REALS

    def _standardised(self, x: Float[Tensor, "..."]) -> Float[Tensor, "... c"]:
        return (x[..., None] - torch.tensor(self.means, dtype=x.dtype)) / self.deviation

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        # The mixture's quantile lies between those of its components.
        each = torch.special.ndtri(u)[..., None] * self.deviation + torch.tensor(
            self.means, dtype=u.dtype
        )
        low, high = each.amin(-1), each.amax(-1)
        for _ in range(64):
            middle = (low + high) / 2
            below = self.cumulative(middle) < u
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def cumulative(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        weights = torch.tensor(self.weights, dtype=x.dtype)
        return (torch.special.ndtr(self._standardised(x)) * weights).sum(-1)

    def log_density(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        weights = torch.tensor(self.weights, dtype=x.dtype)
        terms = weights.log() - 0.5 * self._standardised(x).square()
        return torch.logsumexp(terms, -1) - math.log(self.deviation * math.sqrt(2 * math.pi))


@dataclass(frozen=True, slots=True)
class Discrete(Marginal):
    """P(x = values[c]) = weights[c]: a categorical concept. C2 then fails, by a finite support.

    Attributes:
        values: increasing.
        weights: positive, summing to 1.
    """

    values: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if (
            len(self.values) != len(self.weights)
            or list(self.values) != sorted(set(self.values))
            or min(self.weights, default=0) <= 0
            or not math.isclose(sum(self.weights), 1)
        ):
            raise InputError(
                f"values {self.values} with weights {self.weights}",
                rule="each value, in increasing order, has a positive weight, summing to 1",
                fix="sort the values and give one weight each",
            )

    @classmethod
    def evenly(cls, count: int) -> "Discrete":
        """0, ..., count - 1, equally likely."""
        return cls(tuple(map(float, range(count))), (1 / count,) * count)

    @property
    def support(self) -> sympy.Set:
        return sympy.FiniteSet(*self.values)

    def _edges(self, like: Tensor) -> Float[Tensor, " c"]:
        return torch.tensor(self.weights, dtype=like.dtype).cumsum(0)

    def quantile(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        index = torch.searchsorted(self._edges(u), u.contiguous(), right=True)
        values = torch.tensor(self.values, dtype=u.dtype)
        return values[index.clamp(max=len(values) - 1)]

    def cumulative(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        below = torch.searchsorted(
            torch.tensor(self.values, dtype=x.dtype), x.contiguous(), right=True
        )
        return torch.cat([torch.zeros(1, dtype=x.dtype), self._edges(x)])[below]

    def log_density(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        values = torch.tensor(self.values, dtype=x.dtype)
        index = torch.searchsorted(values, x.contiguous()).clamp(max=len(values) - 1)
        logs = torch.tensor(self.weights, dtype=x.dtype).log()[index]
        return logs.masked_fill(values[index] != x, -math.inf)

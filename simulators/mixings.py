"""g: R^d -> R^D, smooth and injective with a full-rank Jacobian, and its exact inverse.

A mixing turns latents (and noise) into an observation; condition C1 asks exactly this of it
(SmartCLIP, CVPR 2025, Condition 4.2-i). `simulators.breaks` has those that break it.
"""

# The types that zuko, torch and sympy declare are narrower than what they take and give.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalOperand=false
# pyright: reportReturnType=false

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import sympy
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Transform, constraints
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.transforms import (
    AdditiveTransform,
    ComposedTransform,
    CouplingTransform,
    DependentTransform,
    MonotonicRQSTransform,
    RotationTransform,
)

from theory.errors import InputError

SPLINE_BINS = 6
PROBES = 8192


class Leaky(Transform):
    """f(x) = x + c sqrt(1 + x^2), |c| < 1: a smooth leaky rectifier with slopes in (1 - c, 1 + c).

    Its inverse is a root of a quadratic, hence exact, and its slopes bound the conditioning of
    everything built from it on the whole of R^d.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, curvature: float) -> None:
        super().__init__()
        if not 0 <= curvature < 1:
            raise InputError(
                f"curvature={curvature}",
                rule="x + c sqrt(1 + x^2) increases exactly when |c| < 1",
                fix="give 0 <= curvature < 1",
            )
        self.curvature = curvature

    def _call(self, x: Tensor) -> Tensor:
        return x + self.curvature * torch.sqrt(1 + x * x)

    def _inverse(self, y: Tensor) -> Tensor:
        c = self.curvature
        return (y - c * torch.sqrt(1 - c * c + y * y)) / (1 - c * c)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.log1p(self.curvature * x / torch.sqrt(1 + x * x)).sum(-1)


class Mixing(ABC):
    """g with its inverse, Jacobian and volume.

    Attributes:
        inputs: d, the size of what goes in.
        outputs: D >= d, the size of what comes out.
        slopes: (a, b) with a |x - y| <= |g(x) - g(y)| <= b |x - y| on the whole domain;
            (0, inf) where no bound is known.
    """

    inputs: int
    outputs: int
    slopes: tuple[float, float] = (0.0, math.inf)

    @abstractmethod
    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        """g(x)."""

    @abstractmethod
    def inverse(self, y: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        """g^-1(y), exact for y in the image of g.

        Raises:
            InputError: g has no inverse.
        """

    @property
    def condition(self) -> float:
        """b / a: a bound on |J| |J^-1| over the whole domain, infinite where none is known."""
        a, b = self.slopes
        return b / a if a else math.inf

    def jacobian(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n D d"]:
        """J(x)[a, b] = d g_a / d x_b, by automatic differentiation."""
        return torch.func.vmap(torch.func.jacrev(lambda row: self(row[None])[0]))(x)

    def log_volume(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """log sqrt(det J^T J), which is log |det J| when D = d: how g changes a density."""
        return torch.linalg.svdvals(self.jacobian(x)).log().sum(-1)

    def conditioning(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The condition number of J at each x, measured; at most `condition`."""
        values = torch.linalg.svdvals(self.jacobian(x))
        return values[:, 0] / values[:, -1]


class Bijective(Mixing):
    """g(x) = (T(x) - b) / s, T a bijection of R^d with known determinant.

    b and s give every output mean 0 and variance 1 under standard normal inputs.

    Args:
        inputs: d.
        parts: the transforms that make up T, first to last.
        slopes: bounds for T.
        seed: of the inputs that b and s are measured on.
    """

    def __init__(
        self,
        inputs: int,
        parts: Sequence[Transform],
        *,
        slopes: tuple[float, float] = (0.0, math.inf),
        seed: int,
    ) -> None:
        self.inputs = self.outputs = inputs
        self._transform = ComposedTransform(*parts)
        self._shift, self._scale = torch.zeros(inputs).double(), torch.ones(inputs).double()
        generator = torch.Generator().manual_seed(seed)
        image = self(torch.randn(PROBES, inputs, generator=generator).double())
        self._shift, self._scale = image.mean(0), image.std(0)
        a, b = slopes
        self.slopes = (a / self._scale.max().item(), b / self._scale.min().item())

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return (self._transform(x) - self._shift) / self._scale

    def inverse(self, y: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return self._transform.inv(y * self._scale + self._shift)

    def log_volume(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        return self._transform.call_and_ladj(x)[1] - self._scale.log().sum()


class Smooth(Bijective):
    """T(x) = R_L f( ... R_1 f(R_0 x)): rotations and smooth leaky rectifiers in turn.

    All singular values of its Jacobian lie in [(1 - c)^L, (1 + c)^L], everywhere.

    Args:
        inputs: d.
        seed: of the rotations.
        layers: L, the number of nonlinear layers.
        curvature: c of `Leaky`, which chooses the conditioning; 0 makes g linear.
    """

    def __init__(
        self, inputs: int, *, seed: int = 0, layers: int = 2, curvature: float = 0.5
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        parts: list[Transform] = [_rotation(inputs, generator)]
        for _ in range(layers):
            parts += [Leaky(curvature), _rotation(inputs, generator)]
        slopes = ((1 - curvature) ** layers, (1 + curvature) ** layers)
        super().__init__(inputs, parts, slopes=slopes, seed=seed)


class Coupling(Bijective):
    """T alternates rotations with couplings y_a = x_a, y_b = spline(x_b; x_a).

    The splines are rational-quadratic on (-5, 5) and the identity outside (Durkan et al., "Neural
    spline flows", NeurIPS 2019); their knots are smooth functions of x_a.

    Args:
        inputs: d, at least 2.
        seed: of rotations and splines.
        layers: number of couplings.
        strength: 0 makes the splines the identity.
    """

    def __init__(
        self, inputs: int, *, seed: int = 0, layers: int = 2, strength: float = 1.0
    ) -> None:
        _at_least_two(inputs)
        generator = torch.Generator().manual_seed(seed)
        kept = torch.arange(inputs) < inputs // 2
        parts: list[Transform] = []
        for _ in range(layers):
            parts.append(_rotation(inputs, generator))
            parts.append(CouplingTransform(_spline(inputs, strength, generator), kept))
        super().__init__(inputs, parts, seed=seed)


class Autoregressive(Bijective):
    """T(x)_j = spline(x_j; x_1, ..., x_{j-1}), then the same in the opposite order.

    Args:
        inputs: d, at least 2.
        seed: of the splines.
        strength: 0 makes the splines the identity.
    """

    def __init__(self, inputs: int, *, seed: int = 0, strength: float = 1.0) -> None:
        _at_least_two(inputs)
        forward = torch.arange(inputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [
                MaskedAutoregressiveTransform(
                    inputs,
                    order=order,
                    univariate=MonotonicRQSTransform,
                    shapes=[(SPLINE_BINS,), (SPLINE_BINS,), (SPLINE_BINS - 1,)],
                    hidden_features=(16,),
                    activation=torch.nn.Tanh,  # T is C^1 only if its knots are
                ).double()
                for order in (forward, forward.flip(0))
            ]
        for layer in layers:
            layer.requires_grad_(False)
            for parameter in layer.hyper[-1].parameters():
                parameter.mul_(2 * strength)
        super().__init__(inputs, [layer() for layer in layers], seed=seed)


class Polynomial(Bijective):
    """T alternates rotations with shears y_b = x_b + P(x_a), P quadratic: |det J| = 1 everywhere.

    Args:
        inputs: d, at least 2.
        seed: of rotations and polynomials.
        layers: number of shears; the degree of T is 2^layers.
        strength: size of P's coefficients.
    """

    def __init__(
        self, inputs: int, *, seed: int = 0, layers: int = 2, strength: float = 0.3
    ) -> None:
        _at_least_two(inputs)
        generator = torch.Generator().manual_seed(seed)
        kept = torch.arange(inputs) < inputs // 2
        parts: list[Transform] = []
        for _ in range(layers):
            parts.append(_rotation(inputs, generator))
            parts.append(CouplingTransform(_quadratic(inputs, strength, generator), kept))
        super().__init__(inputs, [*parts, _rotation(inputs, generator)], seed=seed)


class Embedded(Mixing):
    """g(x) = Q [u, tanh(C u)], u = base(x), Q with orthonormal columns: an image larger than z.

    The first d coordinates of Q^T y give u back, so the inverse is the base's.

    Args:
        base: a mixing of d inputs and d outputs.
        outputs: D >= d.
        seed: of Q and C.
    """

    def __init__(self, base: Mixing, outputs: int, *, seed: int = 0) -> None:
        extra = outputs - base.outputs
        if extra < 0:
            raise InputError(
                f"{outputs} outputs for {base.outputs} causes",
                rule="an injective smooth map cannot lower the dimension",
                fix=f"ask for at least {base.outputs}",
            )
        self.base = base
        self.inputs, self.outputs = base.inputs, outputs
        generator = torch.Generator().manual_seed(seed)
        square = torch.randn(outputs, outputs, generator=generator, dtype=torch.float64)
        self._frame = torch.linalg.qr(square).Q
        bend = torch.randn(extra, base.outputs, generator=generator, dtype=torch.float64)
        self._bend = bend / math.sqrt(base.outputs)
        stretch = torch.linalg.matrix_norm(self._bend, 2).item() if extra else 0.0
        a, b = base.slopes
        self.slopes = (a, b * math.sqrt(1 + stretch**2))

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        u = self.base(x)
        return torch.cat([u, torch.tanh(u @ self._bend.T)], dim=1) @ self._frame.T

    def inverse(self, y: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        return self.base.inverse((y @ self._frame)[:, : self.base.outputs])


class Symbolic(Mixing):
    """g(x) = the given sympy expressions: a generator that can be read, and proved about.

    Args:
        symbols: x_1, ..., x_d.
        expressions: one of them per output.
        inverse: x_1, ..., x_d as expressions in `outputs_symbols`.
        outputs_symbols: the names y_1, ..., y_D used in `inverse`.

    Raises:
        InputError: an expression uses another symbol, or inverse(g(x)) does not simplify to x.

    >>> x, y, a, b = sympy.symbols("x y a b", real=True)
    >>> g = Symbolic([x, y], [x, y + x**2], inverse=[a, b - a**2], outputs_symbols=[a, b])
    >>> g(torch.tensor([[2.0, 1.0]])), g.inverse(torch.tensor([[2.0, 5.0]]))
    (tensor([[2., 5.]]), tensor([[2., 1.]]))
    """

    def __init__(
        self,
        symbols: Sequence[sympy.Symbol],
        expressions: Sequence[sympy.Expr],
        *,
        inverse: Sequence[sympy.Expr],
        outputs_symbols: Sequence[sympy.Symbol],
    ) -> None:
        self.inputs, self.outputs = len(symbols), len(expressions)
        for known, given in ((symbols, expressions), (outputs_symbols, inverse)):
            unknown = set().union(*(e.free_symbols for e in given)) - set(known)
            if unknown:
                raise InputError(
                    f"the symbols {sorted(map(str, unknown))} in an expression",
                    rule="expressions use the symbols of their inputs only",
                    fix=f"use {[str(s) for s in known]}",
                )
        back = dict(zip(outputs_symbols, expressions, strict=True))
        for symbol, expression in zip(symbols, inverse, strict=True):
            found = sympy.simplify(expression.subs(back, simultaneous=True))
            if found != symbol:
                raise InputError(
                    f"the inverse gives {found} for {symbol}",
                    rule="inverse(g(x)) = x, as expressions",
                    fix="correct it, or declare the symbols real or positive",
                )
        self.matrix = sympy.Matrix(expressions).jacobian(list(symbols))
        self._forward = sympy.lambdify(symbols, list(expressions), modules="torch")
        self._backward = sympy.lambdify(outputs_symbols, list(inverse), modules="torch")

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        return _columns(self._forward, x)

    def inverse(self, y: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        return _columns(self._backward, y)


def _columns(function: Callable[..., list[Tensor | float]], x: Tensor) -> Tensor:
    values = function(*x.unbind(1))
    zero = torch.zeros_like(x[:, 0])
    return torch.stack([zero + value for value in values], dim=1)


def _rotation(size: int, generator: torch.Generator) -> RotationTransform:
    if size < 1:
        raise InputError(
            f"{size} inputs", rule="a mixing has inputs", fix="give at least one dimension"
        )
    return RotationTransform(torch.randn(size, size, generator=generator).double())


def _spline(
    inputs: int, strength: float, generator: torch.Generator
) -> Callable[[Tensor], Transform]:
    """x_a -> a spline for each coordinate of x_b."""
    a, b = inputs // 2, inputs - inputs // 2
    knots = 3 * SPLINE_BINS - 1
    first = torch.randn(a, 16, generator=generator).double() / math.sqrt(a)
    last = torch.randn(16, b * knots, generator=generator).double() * strength / 8

    def transform(x_a: Tensor) -> Transform:
        free = (torch.tanh(x_a @ first) @ last).unflatten(-1, (b, knots))
        parts = free.split([SPLINE_BINS, SPLINE_BINS, SPLINE_BINS - 1], dim=-1)
        return DependentTransform(MonotonicRQSTransform(*parts), 1)

    return transform


def _quadratic(
    inputs: int, strength: float, generator: torch.Generator
) -> Callable[[Tensor], Transform]:
    """x_a -> the shift P(x_a) of x_b."""
    a, b = inputs // 2, inputs - inputs // 2
    coefficients = torch.randn(b, a, a, generator=generator).double() * strength / a

    def transform(x_a: Tensor) -> Transform:
        shift = torch.einsum("bij,...i,...j->...b", coefficients, x_a, x_a)
        return DependentTransform(AdditiveTransform(shift), 1)

    return transform


def _at_least_two(inputs: int) -> None:
    if inputs < 2:
        raise InputError(
            f"{inputs} inputs",
            rule="one coordinate steers the transform of another",
            fix="give at least 2, or use Smooth",
        )

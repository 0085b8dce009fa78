"""Generators whose truth is known by hand: does C1 hold on the domain, and why."""

from dataclasses import dataclass, field
from typing import Any

import sympy as sp

x, y, z = sp.symbols("x y z", real=True)
e, log, sin, cos, tan, tanh, atan = sp.exp, sp.log, sp.sin, sp.cos, sp.tan, sp.tanh, sp.atan
Abs, Max, Min, sign, floor, P, R = (
    sp.Abs,
    sp.Max,
    sp.Min,
    sp.sign,
    sp.floor,
    sp.Piecewise,
    sp.Rational,
)
pi, oo = sp.pi, sp.oo


@dataclass(frozen=True, kw_only=True)
class Case:
    """g on a domain; `injective` and `smooth` (C^1 with full rank everywhere) are known by hand."""

    g: tuple[Any, ...]
    domain: dict[Any, tuple[Any, Any]] = field(default_factory=dict)
    injective: bool
    smooth: bool
    variables: tuple[Any, ...] = (x,)

    @property
    def truth(self) -> bool:
        return self.injective and self.smooth


def line(g: Any, injective: bool, smooth: bool, low: Any = -oo, high: Any = oo) -> Case:
    g = g if isinstance(g, tuple) else (g,)
    return Case(g=g, domain={x: (low, high)}, injective=injective, smooth=smooth)


def plane(g: tuple[Any, ...], injective: bool, smooth: bool, **bounds: tuple[Any, Any]) -> Case:
    domain = {symbol: bounds[symbol.name] for symbol in (x, y) if symbol.name in bounds}
    return Case(g=g, domain=domain, injective=injective, smooth=smooth, variables=(x, y))


YES, NO = True, False
UNIT, SQUARE = (0, 1), (-1, 1)

FIRST: list[Case] = [
    # polynomials and powers in one variable
    line(x, YES, YES),
    line(3 - 2 * x, YES, YES),
    line(x**2, NO, NO),
    line(x**2, YES, YES, 0, 3),
    line(x**2, YES, YES, -3, 0),
    line(x**3, YES, NO),
    line(x**3 + x, YES, YES),
    line(x**3 - x, NO, NO),
    line(x**5 + x**3 + x, YES, YES),
    line(sp.sqrt(x), YES, YES, 0, oo),
    line(x ** R(3, 2), YES, YES, 0, oo),
    line(sp.sqrt(x), YES, NO, -1, 1),
    line(x ** R(1, 3), YES, NO, -1, 1),
    # poles
    line(1 / x, YES, YES, 0, oo),
    line(1 / x, YES, NO, -1, 1),
    line(x - 1 / x, NO, NO, -2, 2),
    line(x - 1 / x, YES, YES, 0, 2),
    line(1 / (1 + x**2), NO, NO),
    line(x / (1 + x**2), YES, YES, -1, 1),
    line(x / (1 + x**2), NO, NO, -2, 2),
    line(tan(x), NO, NO, -4, 4),
    line(tan(x), YES, YES, -pi / 2, pi / 2),
    line(tan(x), YES, YES, -1, 1),
    line(tan(x), YES, NO, 1, 2),
    # exponentials, logarithms, saturating functions
    line(e(x), YES, YES),
    line(1 / (1 + e(-x)), YES, YES),
    line(log(x), YES, YES, 0, oo),
    line(log(x), YES, NO, -1, 1),
    line(log(1 + x**2), NO, NO),
    line(tanh(x), YES, YES),
    line(atan(x) + x / 10, YES, YES),
    line(sp.erf(x), YES, YES),
    line(e(-(x**2)), NO, NO),
    line(e(-(x**2)), YES, YES, 0, oo),
    line(x * e(-x), NO, NO, 0, 3),
    line(x + sin(x) / 2, YES, YES),
    line(x + sin(x), YES, NO),
    line(x + 2 * sin(x), NO, NO),
    line(sin(x), YES, YES, -1, 1),
    line((cos(x), sin(x)), YES, YES, 0, 6),
    line((cos(x), sin(x)), NO, YES, 0, 7),
    line(sp.gamma(x), NO, NO, R(1, 2), 5),
    line(sp.gamma(x), YES, YES, 2, 5),
    line(sp.gamma(x), NO, NO, -2, 2),
    # branches
    line(Max(x, 0), NO, NO),
    line(Max(x, 0), YES, YES, 1, 2),
    line(Min(x, 2 * x), YES, NO),
    line(Abs(x), NO, NO),
    line(Abs(x), YES, YES, 0, 1),
    line(x * Abs(x), YES, NO),
    line(x * Abs(x) + x, YES, YES),
    line(x + Abs(x) / 2, YES, NO),
    line(sign(x), NO, NO),
    line(x + sign(x), YES, NO),
    line(P((-x, x < 0), (x, True)), NO, NO),
    line(P((x, x < 0), (2 * x, True)), YES, NO),
    line(P((x, x < 0), (x + x**2, True)), YES, YES),
    line(P((x, x < 0), (x + 1, True)), YES, NO),
    line(P((e(x) - 1, x < 0), (x, True)), YES, YES),
    line(P((x, x < 0), (x - x**2, True)), NO, NO),
    line(P((x, x < 0), (5, sp.Eq(x, 0)), (x, True)), YES, NO),
    line(floor(x), NO, NO, 0, 3),
    line(x + floor(x), YES, NO, 0, 3),
    line(x + floor(x), YES, YES, 0, 1),
    line(sp.ceiling(x) - x, NO, NO, 0, 3),
    line(sp.frac(x), NO, NO, 0, 2),
    line(sp.frac(x), YES, YES, 0, 1),
    # two variables
    plane((x + y, x - y), YES, YES),
    plane((x + y, 2 * x + 2 * y), NO, NO),
    plane((x, y + x**2), YES, YES),
    plane((x * y, x + y), NO, NO, x=UNIT, y=UNIT),
    plane((x + y, x * y), YES, YES, x=(2, 3), y=(0, 1)),
    plane((e(x) * cos(y), e(x) * sin(y)), YES, YES, x=UNIT, y=UNIT),
    plane((e(x) * cos(y), e(x) * sin(y)), NO, YES),
    plane((x * cos(y), x * sin(y)), YES, YES, x=(0, 1), y=(0, 3)),
    plane((x * cos(y), x * sin(y)), NO, YES, x=(0, 1), y=(0, 7)),
    plane((x + sin(y) / 2, y - cos(x) / 2), YES, YES),
    plane((x + 2 * sin(y), y - 2 * cos(x)), NO, NO),
    plane((x**2 - y**2, 2 * x * y), NO, NO, x=SQUARE, y=SQUARE),
    plane((x**2 - y**2, 2 * x * y), YES, YES, x=UNIT, y=SQUARE),
    plane((x, Abs(y)), NO, NO),
    plane((x, y + Abs(x)), YES, NO),
    plane((x, y + x * Abs(x)), YES, YES),
    plane((Max(x, y), Min(x, y)), NO, NO),
    plane((Max(x, y), y), NO, NO),
    plane((x, y / x), YES, YES, x=UNIT),
    plane((x, y / x), YES, NO, x=SQUARE),
    plane((x + y, sign(x) * y), NO, NO),
    plane((x, y, x * y), YES, YES),
    plane((x**2, x * y, y**2), NO, NO),
]

# Written after every answer on FIRST was right or open, of other kinds and for no rule of the code.
SECOND: list[Case] = [
    line(sp.sinh(x), YES, YES),
    line(sp.cosh(x), NO, NO),
    line(sp.asinh(3 * x) - x / 10, NO, NO),
    line(sp.asin(x), YES, YES, -1, 1),
    line(sp.acos(x / 2), YES, YES, -1, 1),
    line(sp.asin(x), YES, NO, -2, 2),
    line(sp.atanh(x), YES, YES, -1, 1),
    line(2**x, YES, YES),
    line(x**x, NO, NO, 0, 2),
    line(x**x, YES, YES, 1, 3),
    line(log(log(x)), YES, YES, 1, oo),
    line(log(log(x)), YES, NO, 0, 3),
    line(sp.cot(x), YES, YES, 0, pi),
    line(sp.cot(x), NO, NO, -3, 3),
    line(sp.sec(x), NO, NO, -1, 1),
    line(sp.sec(x), YES, YES, 0, 1),
    line(1 / (x - 1) + 1 / (x + 1), NO, NO, -3, 3),
    line((x**2 - 1) / (x - 1), YES, NO, 0, 2),
    line(x**4 - 4 * x**3 + 6 * x**2 - 4 * x, NO, NO),
    line(x**7 + R(1, 10) * x - 3, YES, YES),
    line(x**3 - 3 * x**2 + 3 * x, YES, NO),
    line(x**3 - 3 * x**2 + 4 * x, YES, YES),
    line(e(-1 / x), YES, YES, 0, oo),
    line(log(1 + e(x)), YES, YES),
    line(x / (1 + Abs(x)), YES, YES),
    line(x / Abs(x), NO, NO, -1, 1),
    line(sp.sqrt(x**2), NO, NO),
    line(sp.sqrt(1 + x**2) + x, YES, YES),
    line(Abs(x - 1) + Abs(x + 1), NO, NO),
    line(Abs(x - 1) + 3 * x, YES, NO),
    line(Max(0, x) ** 2 + x, YES, YES),
    line(Max(-1, Min(1, x)), NO, NO),
    line(Max(x, x**3), YES, NO),
    line(P((sin(x), x < 0), (x, True)), YES, YES, -1, 1),
    line(P((x, x < 1), (2 - x, x < 2), (x - 2, True)), NO, NO),
    line(P((x**2, x >= 0), (-(x**2), True)), YES, NO),
    line(P((1 / x, x < -1), (-2 - x, True)), YES, YES, -3, 3),
    line(P((-1 / x, x < -1), (2 + x, True)), YES, YES, -3, 3),
    line(floor(x) ** 2, NO, NO, -2, 2),
    line(floor(2 * x) / 2 + (x - floor(2 * x) / 2), YES, YES, 0, 2),
    line(sp.Mod(x, 1) + 2 * x, NO, NO, 0, 2),
    line(sp.Heaviside(x) * x + x, YES, NO, -1, 1),
    line(sin(1 / x), NO, NO, R(1, 100), 1),
    line(sin(x) / x, YES, YES, 1, 3),
    line(sp.besselj(0, x), NO, NO, 0, 10),
    line(sp.LambertW(x), YES, YES, 0, 5),
    line(sp.factorial(x), YES, YES, 2, 4),
    line((x**2, x**3), YES, NO),
    line((x**2 - 1, x**3 - x), NO, YES),
    line((cos(x), sin(x), x), YES, YES),
    line((e(x), e(-x)), YES, YES),
    plane((x + R(3, 10) * tanh(x + y), y + R(3, 10) * tanh(x - y)), YES, YES),
    plane((x**3 + y, y**3 - x), YES, YES),
    plane((x**3 - y, y**3 - x), NO, NO),
    plane((x + y**2, y + x**2), NO, NO, x=SQUARE, y=SQUARE),
    plane((x + y**2 / 4, y + x**2 / 4), YES, YES, x=SQUARE, y=SQUARE),
    plane((x / (x**2 + y**2), y / (x**2 + y**2)), YES, YES, x=(1, 2), y=(1, 2)),
    plane((x / (x**2 + y**2), y / (x**2 + y**2)), YES, NO, x=SQUARE, y=SQUARE),
    plane((log(x + y), log(x * y)), NO, NO, x=(1, 2), y=(1, 2)),
    plane((log(x) + y, log(y) - x), YES, YES, x=(1, 2), y=(1, 2)),
    plane((e(x + y), e(x - y)), YES, YES),
    plane((x * e(y), y), YES, YES),
    plane((x * e(y), y**2), NO, NO),
    plane((sp.sqrt(x**2 + y**2), sp.atan2(y, x)), YES, YES, x=(1, 2), y=(1, 2)),
    plane((Abs(x) + Abs(y), x - y), NO, NO),
    plane((x + Max(y, 0) / 2, y), YES, NO),
    plane((P((x, y < 0), (x + y**2, True)), y), YES, YES),
    plane((P((x, y < 0), (-x, True)), y), YES, NO),
    plane((P((x, x + y < 0), (2 * x, True)), y), NO, NO),
    plane((x + floor(y), y), YES, NO, x=UNIT, y=(0, 2)),
    plane((x * (1 + y**2), y * (1 + x**2)), NO, NO),
    plane((x, y, Max(x, y)), YES, NO),
    plane((x + y, x * y, x - y), YES, YES),
    plane((cos(x) * (2 + cos(y)), sin(x) * (2 + cos(y)), sin(y)), NO, YES, x=(0, 7), y=(0, 7)),
]

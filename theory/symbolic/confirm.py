"""Two points with one image, to 40 digits: what a search in double precision finds is checked here.

A saturating map such as 1 / (1 + exp(-x)) has images that agree in double precision and are not
equal. Newton's method in 60 digits either finds a second point near the candidate, or moves away.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# sympy's own annotations are narrower than what it takes and returns:
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from jaxtyping import Float

from theory.conditions.verdict import Collision

DIGITS = 60
ROUNDS = 12


def defined_at(
    expressions: Sequence[sp.Expr], variables: Sequence[sp.Symbol], point: Float[np.ndarray, " d"]
) -> bool:
    """Every expression has a finite real value at the point.

    >>> x = sp.Symbol("x", real=True)
    >>> [defined_at([sp.log(x)], [x], np.array([value])) for value in (1.0, -1.0)]
    [True, False]
    """
    at = {v: sp.Rational(float(value)) for v, value in zip(variables, point, strict=True)}
    for expression in expressions:
        value = sp.sympify(expression.subs(at)).evalf(20, chop=False)
        if value.is_finite is False or value is sp.nan:
            return False
        imaginary = sp.im(value)
        if imaginary.is_number and abs(imaginary) > sp.Float("1e-12") * (1 + abs(sp.re(value))):
            return False
    return True


def confirmed(
    expressions: Sequence[sp.Expr],
    variables: Sequence[sp.Symbol],
    domain: Sequence[sp.Interval],
    candidate: Collision,
) -> Collision | None:
    """The collision with its second point moved to the exact solution; None if there is none near.

    >>> x = sp.Symbol("x", real=True)
    >>> near = Collision(first=np.array([0.5]), second=np.array([-0.5000001]), distance=1e-7)
    >>> confirmed([x**2], [x], [sp.Interval.open(-1, 1)], near).second
    array([-0.5])
    """
    try:
        function = sp.lambdify(list(variables), list(expressions), modules="mpmath")
        with mpmath.workdps(DIGITS):
            first = [mpmath.mpf(float(value)) for value in candidate.first]
            second = [mpmath.mpf(float(value)) for value in candidate.second]

            def equal(row: int, y: list[Any]) -> bool:
                return _exactly_equal(expressions[row], variables, first, y)

            found = _newton(function, first, second, equal)
            if found is None:
                return None
            second = np.array([float(value) for value in found])
    except (ValueError, TypeError, ZeroDivisionError, ArithmeticError, NameError, AttributeError):
        return None
    moved = np.abs(second - candidate.second)
    apart = np.abs(second - candidate.first)
    if moved.max() > 0.1 * apart.max():
        return None
    inside = all(
        bool(sp.Float(float(value)) > side.start) and bool(sp.Float(float(value)) < side.end)
        for value, side in zip(second, domain, strict=True)
    )
    return Collision(first=candidate.first, second=second, distance=0.0) if inside else None


def _exactly_equal(
    expression: sp.Expr, variables: Sequence[sp.Symbol], first: list[Any], second: list[Any]
) -> bool:
    """Equal at two points by exact arithmetic: for a component that does not move there."""
    values = [
        expression.subs({v: sp.Rational(float(p)) for v, p in zip(variables, point, strict=True)})
        for point in (first, second)
    ]
    return (values[0] - values[1]).is_zero is True


def _newton(
    function: Any, first: list[Any], second: list[Any], equal: Callable[[int, list[Any]], bool]
) -> list[Any] | None:
    """y with g(y) = g(x) to 40 digits, relative to how fast g moves at y."""
    target = _real(function(*first))
    step_width = mpmath.mpf(10) ** (-DIGITS // 3)
    for _ in range(ROUNDS):
        miss = [a - b for a, b in zip(_real(function(*second)), target, strict=True)]
        slopes = []
        for index in range(len(second)):
            ahead, behind = list(second), list(second)
            ahead[index] += step_width
            behind[index] -= step_width
            slopes.append(
                [
                    (a - b) / (2 * step_width)
                    for a, b in zip(_real(function(*ahead)), _real(function(*behind)), strict=True)
                ]
            )
        # Rows on one scale: a component that hardly moves must still be met exactly.
        scales = [max(abs(column[row]) for column in slopes) for row in range(len(target))]
        rows = [row for row, scale in enumerate(scales) if scale > 1e-20 * (1 + abs(target[row]))]
        still = [row for row in range(len(target)) if row not in rows]
        if not rows:
            return second if all(equal(row, second) for row in still) else None
        matrix = np.array([[float(column[r] / scales[r]) for column in slopes] for r in rows])
        relative = [miss[r] / scales[r] for r in rows]
        size = max(abs(value) for value in relative)
        if size < mpmath.mpf(10) ** -40:
            return second if all(equal(row, second) for row in still) else None
        if size > 1e10:
            return None
        right = np.array([float(value / size) for value in relative])
        step = np.linalg.lstsq(matrix, right, rcond=1e-10)[0]
        second = [y - size * mpmath.mpf(float(s)) for y, s in zip(second, step, strict=True)]
    return None


def _real(values: Any) -> list[Any]:
    result = [mpmath.mpmathify(value) for value in values]
    if any(isinstance(value, mpmath.mpc) and value.imag != 0 for value in result):
        raise ValueError("complex")
    return [mpmath.re(value) for value in result]

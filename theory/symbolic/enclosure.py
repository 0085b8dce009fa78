"""[f](X) contains {f(x) : x in X}: the range of a sympy expression over many boxes at once.

Interval arithmetic (Moore 1966). Ends are rounded outwards after every step, so an enclosure is a
proof. A function that is not known here gets the whole line, which is no information and no error.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# sympy's own annotations are narrower than what it takes and returns:
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false, reportUnknownLambdaType=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float
from sympy.functions.elementary.piecewise import ExprCondPair

Ends = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]
Function = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]

LARGEST = float(np.finfo(float).max)
# libm and numpy stay within 4 units in the last place, scipy.special within 1e-13.
ULPS = 4


def enclose(expression: sp.Expr, boxes: Mapping[sp.Symbol, Ends]) -> Ends:
    """Lower and upper ends of the expression over each box, for points where it is defined.

    Args:
        expression: in the variables of `boxes`, real wherever it is defined.
        boxes: the ends [n] of each variable.

    Returns:
        Lower ends [n] and upper ends [n], infinite where nothing is known.

    >>> x = sp.Symbol("x", real=True)
    >>> low, high = enclose(x**2 - 1, {x: (np.array([-1.0]), np.array([2.0]))})
    >>> float(low.round(9)[0]), float(high.round(9)[0])
    (-1.0, 3.0)
    """
    count = len(next(iter(boxes.values()))[0]) if boxes else 1
    known: dict[Any, Ends] = dict(boxes)

    def visit(node: Any) -> Ends:
        if node not in known:
            with np.errstate(all="ignore"):
                low, high = _of(node, visit, count)
            known[node] = _honest(low, high)
        return known[node]

    return visit(expression)


def _of(node: Any, visit: Callable[[Any], Ends], count: int) -> Ends:
    if node.is_number and node.is_extended_real:
        return _constant(node, count)
    if isinstance(node, sp.Add):
        return _fold(node.args, visit, _add)
    if isinstance(node, sp.Mul):
        return _fold(node.args, visit, _times)
    if isinstance(node, sp.Pow):
        return _power(node, visit)
    if isinstance(node, sp.Max | sp.Min):
        pick = np.maximum if isinstance(node, sp.Max) else np.minimum
        ends = [visit(arg) for arg in node.args]
        return pick.reduce([low for low, _ in ends]), pick.reduce([high for _, high in ends])
    if isinstance(node, sp.Piecewise):
        ends = [visit(pair.expr) for pair in node.args if isinstance(pair, ExprCondPair)]
        return np.minimum.reduce([e[0] for e in ends]), np.maximum.reduce([e[1] for e in ends])
    if isinstance(node, sp.polygamma):
        rule = {0: _special("digamma"), 1: _special("trigamma", falling=True)}.get(node.args[0])
    else:
        rule = RULES.get(node.func) if len(node.args) == 1 else None
    if rule is None:
        return np.full(count, -np.inf), np.full(count, np.inf)
    return rule(*visit(node.args[-1]))


def _honest(low: Any, high: Any) -> Ends:
    """No NaN, and no end that lies beyond every number."""
    lost = np.isnan(low) | np.isnan(high)
    low = np.where(lost, -np.inf, np.where(low == np.inf, LARGEST, low))
    high = np.where(lost, np.inf, np.where(high == -np.inf, -LARGEST, high))
    return low, high


def _outwards(low: Any, high: Any, ulps: int = 1) -> Ends:
    for _ in range(ulps):
        low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    return low, high


def _constant(node: sp.Expr, count: int) -> Ends:
    value = float(node)
    low = high = value
    if not (node.is_Integer and abs(value) < 2**53):
        low, high = np.nextafter(value, -np.inf), np.nextafter(value, np.inf)
    return np.full(count, low), np.full(count, high)


def _fold(
    args: tuple[Any, ...], visit: Callable[[Any], Ends], join: Callable[[Ends, Ends], Ends]
) -> Ends:
    total = visit(args[0])
    for arg in args[1:]:
        total = _honest(*join(total, visit(arg)))
    return total


def _add(one: Ends, other: Ends) -> Ends:
    return _outwards(one[0] + other[0], one[1] + other[1])


def _times(one: Ends, other: Ends) -> Ends:
    # 0 times infinity is 0 here: an infinite end stands for ever larger finite values.
    products = [np.nan_to_num(a * b, nan=0.0, posinf=np.inf, neginf=-np.inf)
                for a in one for b in other]  # fmt: skip
    low, high = np.minimum.reduce(products), np.maximum.reduce(products)
    return _outwards(low, high)


def _power(node: sp.Pow, visit: Callable[[Any], Ends]) -> Ends:
    base, exponent = node.as_base_exp()
    low, high = visit(base)
    if exponent.is_Integer:
        return _integer_power(low, high, int(exponent))
    if base is sp.E:
        return _exp(*visit(exponent))
    low = np.maximum(low, 0.0)  # a real power is real where its base is not negative
    if exponent.is_number and exponent.is_real:
        size = abs(float(exponent))
        ends = _outwards(low**size, high**size, ULPS)
        ends = np.maximum(ends[0], 0.0), ends[1]
        return ends if exponent.is_positive else _reciprocal(*ends)
    return _exp(*_honest(*_times(visit(exponent), _honest(*_log(low, high)))))


def _integer_power(low: Any, high: Any, exponent: int) -> Ends:
    size = abs(exponent)
    if size % 2 == 0:
        least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(abs(low), abs(high)))
        most = np.maximum(abs(low), abs(high))
        ends = _outwards(least**size, most**size, ULPS)
        ends = np.maximum(ends[0], 0.0), ends[1]
    else:
        ends = _outwards(low**size, high**size, ULPS)
        # A base that ends at 0 keeps ending there: rounding must not push it across.
        ends = np.where(low >= 0, np.maximum(ends[0], 0), ends[0]), ends[1]
        ends = ends[0], np.where(high <= 0, np.minimum(ends[1], 0), ends[1])
    return ends if exponent > 0 else _reciprocal(*ends)


def _reciprocal(low: Any, high: Any) -> Ends:
    """1 / x for x in [low, high] without 0; nothing is known where 0 lies inside."""
    inside = (low < 0) & (high > 0)
    least = np.where(high == 0, -np.inf, 1 / np.where(high == 0, 1.0, high))
    most = np.where(low == 0, np.inf, 1 / np.where(low == 0, 1.0, low))
    least, most = _outwards(least, most)
    least = np.where(low >= 0, np.maximum(least, 0), least)
    most = np.where(high <= 0, np.minimum(most, 0), most)
    return np.where(inside, -np.inf, least), np.where(inside, np.inf, most)


def _exp(low: Any, high: Any) -> Ends:
    ends = _outwards(np.exp(low), np.exp(high), ULPS)
    return np.maximum(ends[0], 0.0), ends[1]


def _log(low: Any, high: Any) -> Ends:
    least = np.where(low > 0, np.log(np.where(low > 0, low, 1.0)), -np.inf)
    most = np.where(high > 0, np.log(np.where(high > 0, high, 1.0)), np.inf)
    return _outwards(least, most, ULPS)


def _wave(low: Any, high: Any, peak: float, function: Function) -> Ends:
    """sin or cos, whose greatest value 1 is at `peak` + 2 pi k and whose least is pi later."""
    far = ~((abs(low) < 1e9) & (abs(high) < 1e9)) | (high - low >= 2 * np.pi)
    low, high = np.where(far, 0.0, low), np.where(far, 0.0, high)
    ends = [function(low), function(high)]
    least, most = _outwards(np.minimum(*ends), np.maximum(*ends), ULPS)
    slack = 1e-6 * (1 + abs(low) * 1e-8)

    def reaches(top: float) -> Any:
        first = top + 2 * np.pi * np.ceil((low - slack - top) / (2 * np.pi))
        return first <= high + slack

    most = np.where(far | reaches(peak), 1.0, most)
    least = np.where(far | reaches(peak + np.pi), -1.0, least)
    return np.maximum(least, -1.0), np.minimum(most, 1.0)


def _sin(low: Any, high: Any) -> Ends:
    return _wave(low, high, np.pi / 2, np.sin)


def _cos(low: Any, high: Any) -> Ends:
    return _wave(low, high, 0.0, np.cos)


def _tan(low: Any, high: Any) -> Ends:
    least, most = _cos(low, high)
    safe = ((least > 0) | (most < 0)) & (high - low < np.pi)
    ends = _outwards(np.tan(low), np.tan(high), ULPS)
    return np.where(safe, ends[0], -np.inf), np.where(safe, ends[1], np.inf)


def _cosh(low: Any, high: Any) -> Ends:
    least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(abs(low), abs(high)))
    ends = _outwards(np.cosh(least), np.cosh(np.maximum(abs(low), abs(high))), ULPS)
    return np.maximum(ends[0], 1.0), ends[1]


def _abs(low: Any, high: Any) -> Ends:
    least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(abs(low), abs(high)))
    return least, np.maximum(abs(low), abs(high))


def _rising(
    function: Function, *, inside: tuple[float, float] = (-np.inf, np.inf)
) -> Callable[[Any, Any], Ends]:
    """An increasing function, on the part of the line where it is defined."""

    def rule(low: Any, high: Any) -> Ends:
        least = function(np.clip(low, *inside))
        most = function(np.clip(high, *inside))
        return _outwards(least, most, ULPS)

    return rule


def _special(name: str, *, falling: bool = False) -> Callable[[Any, Any], Ends]:
    """A monotone function of scipy.special: erf on the line, psi and psi' where x > 0."""

    def rule(low: Any, high: Any) -> Ends:
        from scipy import special

        table: dict[str, Function] = {
            "erf": special.erf,
            "erfc": special.erfc,
            "digamma": special.digamma,
            "trigamma": lambda x: special.polygamma(1, x),
        }
        first, second = (high, low) if falling else (low, high)
        least, most = table[name](first), table[name](second)
        least, most = least - 1e-12 * (1 + abs(least)), most + 1e-12 * (1 + abs(most))
        if name in ("digamma", "trigamma"):
            known = low > 0
            floor = 0.0 if name == "trigamma" else -np.inf
            return np.where(known, np.maximum(least, floor), -np.inf), np.where(known, most, np.inf)
        return np.maximum(least, -1.0), np.minimum(most, 2.0)

    return rule


def _gamma(low: Any, high: Any) -> Ends:
    """Gamma where x > 0: at least 0.885603, convex, rising from 1.4617 on."""
    from scipy import special

    left, right = special.gamma(low), special.gamma(high)
    most = np.maximum(left, right) * (1 + 1e-12)
    least = np.where(low >= 1.5, left * (1 - 1e-12), 0.8856)
    return np.where(low > 0, least, -np.inf), np.where(low > 0, most, np.inf)


RULES: dict[Any, Callable[[Any, Any], Ends]] = {
    sp.exp: _exp,
    sp.log: _log,
    sp.sin: _sin,
    sp.cos: _cos,
    sp.tan: _tan,
    sp.sec: lambda low, high: _reciprocal(*_cos(low, high)),
    sp.csc: lambda low, high: _reciprocal(*_sin(low, high)),
    sp.cosh: _cosh,
    sp.sech: lambda low, high: _reciprocal(*_honest(*_cosh(low, high))),
    sp.sinh: _rising(np.sinh),
    sp.tanh: _rising(np.tanh),
    sp.atan: _rising(np.arctan),
    sp.asinh: _rising(np.arcsinh),
    sp.asin: _rising(np.arcsin, inside=(-1.0, 1.0)),
    sp.atanh: _rising(np.arctanh, inside=(-1.0, 1.0)),
    sp.acosh: _rising(np.arccosh, inside=(1.0, np.inf)),
    sp.acos: lambda low, high: _outwards(
        np.arccos(np.clip(high, -1, 1)), np.arccos(np.clip(low, -1, 1)), ULPS
    ),
    sp.erf: _special("erf"),
    sp.erfc: _special("erfc", falling=True),
    sp.gamma: _gamma,
    sp.Abs: _abs,
    sp.sign: lambda low, high: (np.sign(low), np.sign(high)),
    sp.floor: lambda low, high: (np.floor(low), np.floor(high)),
    sp.ceiling: lambda low, high: (np.ceil(low), np.ceil(high)),
}

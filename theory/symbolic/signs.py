"""The sign of an expression on an open box, proved or left open.

Four proofs are tried, cheap ones first: the signs of factors; exact root counts of polynomials in
one variable (Sturm); sympy's assumptions after a shift x = low + p, p > 0; and interval arithmetic
on ever smaller boxes. Effort is counted in boxes, not in seconds, so an answer does not depend on
the machine.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# sympy's own annotations are narrower than what it takes and returns:
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false

from collections.abc import Mapping
from itertools import product
from typing import Literal

import numpy as np
import sympy as sp
from jaxtyping import Float

from theory.symbolic.enclosure import Ends, enclose

Sign = Literal["positive", "negative", "changes", "unknown"]
Box = Mapping[sp.Symbol, sp.Interval]

MOST_BOXES = 20_000
# Beyond this many operations sympy's own rewriting can take minutes.
LONG = 120
SHORT = 40


def opposite(sign: Sign) -> Sign:
    """The sign of -x.

    >>> opposite("positive")
    'negative'
    """
    if sign == "positive":
        return "negative"
    return "positive" if sign == "negative" else sign


def proved_sign(expression: sp.Expr, box: Box, *, boxes: int = MOST_BOXES) -> Sign:
    """Positive or negative on the whole box, or both somewhere in it, or unknown.

    Args:
        expression: real and continuous on the box, which is for the caller to prove.
        box: an open interval for each variable.
        boxes: the most boxes that interval arithmetic may look at.

    >>> x = sp.Symbol("x", real=True)
    >>> proved_sign(x + 2, {x: sp.Interval.open(-1, 1)})
    'positive'
    >>> proved_sign(x, {x: sp.Interval.open(-1, 1)})
    'changes'
    >>> proved_sign(x**2, {x: sp.Interval.open(-1, 1)})
    'unknown'
    """
    if expression.is_number:
        return _of_number(expression)
    quick = _by_intervals(expression, box, boxes=64)
    if quick != "unknown":
        return quick
    if expression.count_ops() <= LONG:
        for form in (sp.factor_terms(expression), sp.factor(expression)):
            if isinstance(form, sp.Mul | sp.Pow):
                sign = _of_factors(form, box, boxes)
                if sign != "unknown":
                    return sign
        sign = _of_polynomial(expression, box)
        if sign == "unknown" and expression.count_ops() <= SHORT:
            short = sp.simplify(expression)
            if short != expression:
                sign = proved_sign(short, box, boxes=boxes)
        if sign != "unknown":
            return sign
        sign = _by_assumptions(expression, box)
        if sign != "unknown":
            return sign
    found = _by_intervals(expression, box, boxes=boxes)
    return _from_ends(expression, box) if found == "unknown" else found


def _of_number(number: sp.Expr) -> Sign:
    if number.is_positive:
        return "positive"
    return "negative" if number.is_negative else "unknown"


def _of_factors(form: sp.Expr, box: Box, boxes: int) -> Sign:
    if isinstance(form, sp.Pow):
        base, exponent = form.as_base_exp()
        sign = proved_sign(base, box, boxes=boxes) if base.free_symbols else _of_number(base)
        if sign == "positive":
            return "positive"
        if sign == "negative" and exponent.is_Integer:
            return "positive" if exponent % 2 == 0 else "negative"
        if sign == "changes" and exponent.is_Integer and exponent > 0 and exponent % 2:
            return "changes"
        return "unknown"
    negative, changing = False, 0
    for factor in form.args:
        sign = proved_sign(factor, box, boxes=boxes)
        if sign == "unknown":
            return "unknown"
        negative ^= sign == "negative"
        changing += sign == "changes"
    if changing:
        return "changes" if changing == 1 else "unknown"
    return "negative" if negative else "positive"


def _of_polynomial(expression: sp.Expr, box: Box) -> Sign:
    """A quotient of polynomials in one variable with rational coefficients: roots are counted."""
    symbols = expression.free_symbols
    if len(symbols) != 1:
        return "unknown"
    (symbol,) = symbols
    upper, lower = sp.fraction(sp.together(expression))
    signs: list[Sign] = []
    for part in (upper, lower):
        try:
            polynomial = sp.Poly(part, symbol, domain=sp.QQ)
        except (sp.PolynomialError, sp.CoercionFailed, ValueError, TypeError):
            return "unknown"
        signs.append(_of_poly(polynomial, box[symbol]))
    if signs[1] not in ("positive", "negative"):
        return "unknown"
    return opposite(signs[0]) if signs[1] == "negative" else signs[0]


def _of_poly(polynomial: sp.Poly, interval: sp.Interval) -> Sign:
    low, high = interval.start, interval.end
    if not all(end.is_infinite or end.is_rational for end in (low, high)):
        return "unknown"
    if polynomial.is_zero:
        return "unknown"
    roots = polynomial.count_roots(
        None if low.is_infinite else low, None if high.is_infinite else high
    )
    for end in (low, high):
        if not end.is_infinite and polynomial.eval(end) == 0:
            roots -= 1
    middle = midpoint(interval)
    if roots == 0:
        return _of_number(polynomial.eval(middle))
    # A root of odd multiplicity inside is a change of sign.
    inside = [
        factor
        for factor, times in polynomial.sqf_list()[1]
        if times % 2 and _of_poly_roots(factor, low, high)
    ]
    return "changes" if inside else "unknown"


def _of_poly_roots(factor: sp.Poly, low: sp.Expr, high: sp.Expr) -> int:
    roots = factor.count_roots(None if low.is_infinite else low, None if high.is_infinite else high)
    return roots - sum(not end.is_infinite and factor.eval(end) == 0 for end in (low, high))


def midpoint(interval: sp.Interval) -> sp.Expr:
    """A point of the interval with a short name: its middle, or one unit from its only end.

    >>> midpoint(sp.Interval.open(0, 1)), midpoint(sp.Interval.open(-sp.oo, 3))
    (1/2, 2)
    """
    low, high = interval.start, interval.end
    if low.is_infinite and high.is_infinite:
        return sp.S.Zero
    if low.is_infinite:
        return high - 1
    return low + 1 if high.is_infinite else (low + high) / 2


def _by_assumptions(expression: sp.Expr, box: Box) -> Sign:
    """x = low + positive, or high - positive: sympy can then reason with its assumptions."""
    used = [variable for variable in box if variable in expression.free_symbols]
    ends: list[list[sp.Expr]] = []
    for variable in used:
        positive = sp.Symbol(f"{variable.name}_p", positive=True)
        low, high = box[variable].start, box[variable].end
        found: list[sp.Expr] = []
        if low.is_finite:
            found.append(low + positive)
        if high.is_finite:
            found.append(high - positive)
        ends.append(found or [variable])
    for chosen in product(*ends):
        shifted = expression.subs(dict(zip(used, chosen, strict=True)))
        for candidate in (shifted, sp.expand(shifted), sp.factor(shifted)):
            if candidate.is_positive:
                return "positive"
            if candidate.is_negative:
                return "negative"
    return "unknown"


def outer_ends(interval: sp.Interval) -> tuple[float, float]:
    """Doubles that enclose the interval.

    >>> outer_ends(sp.Interval.open(0, sp.oo))
    (0.0, inf)
    """
    low, high = float(interval.start), float(interval.end)
    if not _is_double(interval.start):
        low = float(np.nextafter(low, -np.inf))
    if not _is_double(interval.end):
        high = float(np.nextafter(high, np.inf))
    return low, high


def _is_double(end: sp.Expr) -> bool:
    return bool(end.is_infinite or (end.is_Rational and sp.Rational(float(end)) == end))


def _by_intervals(expression: sp.Expr, box: Box, *, boxes: int) -> Sign:
    """Halve the boxes of unknown sign, all at once, until none is left or the boxes run out."""
    used = [variable for variable in box if variable in expression.free_symbols]
    whole = np.array([outer_ends(box[variable]) for variable in used])
    pending, seen, looked = whole[None], set[Sign](), 0
    while len(pending):
        looked += len(pending)
        if looked > boxes:
            return "unknown"
        ends: dict[sp.Symbol, Ends] = {
            variable: (pending[:, i, 0], pending[:, i, 1]) for i, variable in enumerate(used)
        }
        low, high = enclose(expression, ends)
        if np.any(low > 0):
            seen.add("positive")
        if np.any(high < 0):
            seen.add("negative")
        if len(seen) == 2:
            return "changes"
        pending = _halved(pending[(low <= 0) & (high >= 0)])
    return seen.pop()


def _from_ends(expression: sp.Expr, box: Box, *, depth: int = 2) -> Sign:
    """One variable, and the expression is 0 at an end: beside that end it has its slope's sign."""
    used = [variable for variable in box if variable in expression.free_symbols]
    if len(used) != 1 or depth == 0 or expression.count_ops() > LONG:
        return "unknown"
    variable, interval = used[0], box[used[0]]
    if interval.start.is_infinite or interval.end.is_infinite:
        return "unknown"
    width = interval.end - interval.start
    slope = sp.diff(expression, variable)
    inner, seen = [interval.start, interval.end], set[Sign]()
    for side, end in enumerate((interval.start, interval.end)):
        if sp.simplify(expression.subs(variable, end)) != 0:
            continue
        for power in (2, 4, 6, 8):
            edge = end + (1 - 2 * side) * width / 2**power
            strip = {variable: sp.Interval.open(*sorted((end, edge), key=float))}
            sign = _by_intervals(slope, strip, boxes=64)
            if sign == "unknown":
                sign = _from_ends(slope, strip, depth=depth - 1)
            if sign in ("positive", "negative"):
                seen.add(opposite(sign) if side else sign)
                inner[side] = edge
                break
        else:
            return "unknown"
    if not seen:
        return "unknown"
    rest = {variable: sp.Interval.open(*inner)}
    seen.add(_by_intervals(expression, rest, boxes=2000))
    return seen.pop() if len(seen) == 1 else "unknown"


def _halved(pending: Float[np.ndarray, "n k 2"]) -> Float[np.ndarray, "m k 2"]:
    """Each box cut across its longest side; a box that cannot be cut any more is kept whole."""
    if not len(pending):
        return pending
    rows = np.arange(len(pending))
    # Infinite sides first; of finite ones the longest.
    widest = np.argmax(pending[:, :, 1] - pending[:, :, 0], axis=1)
    low, high = pending[rows, widest, 0], pending[rows, widest, 1]
    with np.errstate(all="ignore"):
        middle = (low / 2) + (high / 2)
        middle = np.where(np.isinf(high), np.maximum(1.0, np.maximum(low + 1, 2 * low)), middle)
        middle = np.where(np.isinf(low), np.minimum(-1.0, np.minimum(high - 1, 2 * high)), middle)
        middle = np.where(np.isinf(low) & np.isinf(high), 0.0, middle)
        middle = np.clip(middle, -1e308, 1e308)
    left, right = pending.copy(), pending.copy()
    left[rows, widest, 1] = middle
    right[rows, widest, 0] = middle
    return np.concatenate([left, right])

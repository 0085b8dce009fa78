"""Is an expression continuously differentiable on a box: proved by its parts, or by exact points.

A sum, product or composition of functions is analytic where every part is applied inside its
domain: log and real powers where their argument is positive, quotients where the divisor has a
sign, tan where cos has one. Between the cells of `theory.symbolic.pieces` values and derivatives on
both sides have to agree.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# sympy's own annotations are narrower than what it takes and returns:
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import sympy as sp

from theory.symbolic.pieces import Cell, Undecided, decided, faces, roots_within, without_steps
from theory.symbolic.signs import LONG, Box, midpoint, proved_sign

ENTIRE = (
    sp.exp,
    sp.sin,
    sp.cos,
    sp.sinh,
    sp.cosh,
    sp.tanh,
    sp.sech,
    sp.atan,
    sp.acot,
    sp.asinh,
    sp.erf,
    sp.erfc,
)
# Functions with what has to be positive, or has to keep a sign, for them to be analytic.
POSITIVE: dict[Any, Callable[[Any], Sequence[Any]]] = {
    sp.log: lambda u: [u],
    sp.gamma: lambda u: [u],
    sp.loggamma: lambda u: [u],
    sp.asin: lambda u: [1 - u, 1 + u],
    sp.acos: lambda u: [1 - u, 1 + u],
    sp.atanh: lambda u: [1 - u, 1 + u],
    sp.acosh: lambda u: [u - 1],
}
NONZERO: dict[Any, Callable[[Any], Any]] = {
    sp.tan: sp.cos,
    sp.sec: sp.cos,
    sp.cot: sp.sin,
    sp.csc: sp.sin,
    sp.coth: lambda u: u,
    sp.csch: lambda u: u,
}


def obstacle(
    expression: Any, box: Box, at: Mapping[sp.Symbol, sp.Expr] | None = None
) -> sp.Expr | None:
    """The first part that is not proved analytic at every point of the box; None if all are.

    Args:
        expression: free of branches.
        box: an open interval for each variable that moves.
        at: the values of variables that do not.

    >>> x = sp.Symbol("x", real=True)
    >>> obstacle(x - 1 / x, {x: sp.Interval.open(-2, 2)})
    1/x
    >>> obstacle(sp.log(x) + sp.tan(x), {x: sp.Interval.open(0, 1)}) is None
    True
    """

    def signed(part: Any, *, positive: bool) -> bool:
        sign = proved_sign(sp.sympify(part).subs(dict(at or {})), box)
        return sign == "positive" or (sign == "negative" and not positive)

    def visit(node: Any) -> sp.Expr | None:
        if node.is_number:
            return None if node.is_real and node.is_finite else node
        if node.is_Symbol:
            return None
        for arg in node.args:
            found = visit(arg)
            if found is not None:
                return found
        if isinstance(node, sp.Add | sp.Mul) or node.func in ENTIRE:
            return None
        if isinstance(node, sp.Pow):
            base, exponent = node.as_base_exp()
            if exponent.is_Integer:
                return None if exponent >= 0 or signed(base, positive=False) else node
            return None if signed(base, positive=True) else node
        if isinstance(node, sp.polygamma):
            whole = node.args[0].is_Integer and node.args[0] >= 0
            return None if whole and signed(node.args[1], positive=True) else node
        if node.func in POSITIVE and len(node.args) == 1:
            parts = POSITIVE[node.func](node.args[0])
            return None if all(signed(part, positive=True) for part in parts) else node
        if node.func in NONZERO:
            return None if signed(NONZERO[node.func](node.args[0]), positive=False) else node
        return node

    return visit(expression)


def pole(expression: sp.Expr, box: Box) -> dict[sp.Symbol, sp.Expr] | None:
    """A point of the box where an expression has no finite limit, in one of its variables.

    >>> x = sp.Symbol("x", real=True)
    >>> pole(x - 1 / x, {x: sp.Interval.open(-2, 2)})
    {x: 0}
    """
    if expression.count_ops() > LONG:
        return None
    # Other variables are held where they are unlikely to cancel anything.
    aside = {variable: midpoint(side) + _seventh(side) for variable, side in box.items()}
    for variable in box:
        held = {other: value for other, value in aside.items() if other != variable}
        root = _pole_in(expression.subs(held), variable, box[variable])
        if root is not None:
            return {**held, variable: root}
    return None


def _seventh(side: sp.Interval) -> sp.Expr:
    width = side.end - side.start
    return sp.Rational(1, 7) * (width if width.is_finite else 1)


def _pole_in(expression: sp.Expr, variable: sp.Symbol, side: sp.Interval) -> sp.Expr | None:
    divisors = [
        node.as_base_exp()[0]
        for node in expression.atoms(sp.Pow)
        if (node.as_base_exp()[1]).is_negative
    ]
    for function, nonzero in NONZERO.items():
        divisors += [nonzero(node.args[0]) for node in expression.atoms(function)]
    divisors += [node.args[0] for node in expression.atoms(sp.log, sp.gamma)]
    for divisor in divisors:
        if not divisor.free_symbols:
            continue
        for root in roots_within(divisor, variable, side) or ():
            try:
                limit = sp.limit(expression, variable, root, "+")
            except (NotImplementedError, ValueError, TypeError, RecursionError):
                continue
            if limit in (sp.oo, -sp.oo):
                return root
    return None


Fault = tuple[Literal["jump", "kink"], dict[sp.Symbol, sp.Expr]]


def fault_between(cells: Sequence[Cell], expressions: Sequence[sp.Expr]) -> Fault | None:
    """A jump or a kink between cells, with a point where it happens; None if g is C^1 across.

    Args:
        cells: of full dimension, their expressions analytic up to the faces between them.
        expressions: g with its branches: what it is worth on the faces themselves.

    Raises:
        Undecided: neither agreement nor disagreement is proved.

    >>> from theory.symbolic.pieces import cells
    >>> x = sp.Symbol("x", real=True)
    >>> g = [sp.Abs(x)]
    >>> fault_between(cells(g, {x: sp.Interval.open(-1, 2)}), g)
    ('kink', {x: 0})
    """
    for at, box in faces(cells):
        here = [
            cell
            for cell in cells
            if all(cell.box[v] == side for v, side in box.items())
            and all(value in (cell.box[v].start, cell.box[v].end) for v, value in at.items())
        ]
        values = decided([without_steps(e).subs(at) for e in expressions], box)
        point = {v: at.get(v, midpoint(box[v]) if v in box else None) for v in cells[0].box}
        for cell in here:
            sides = [e.subs(at) for e in cell.expressions]
            if not _agree(sides, values, box):
                return "jump", point
        for variable in cells[0].box:
            slopes = [[sp.diff(e, variable).subs(at) for e in c.expressions] for c in here]
            for other in slopes[1:]:
                if not _agree(slopes[0], other, box):
                    return "kink", point
    return None


def _agree(one: Sequence[sp.Expr], other: Sequence[sp.Expr], box: Box) -> bool:
    """Equal everywhere on the box, or different at one of its points."""
    middle = {variable: midpoint(side) + _seventh(side) for variable, side in box.items()}
    for a, b in zip(one, other, strict=True):
        gap = a - b
        if gap == 0:
            continue
        if gap.count_ops() <= LONG and sp.simplify(gap) == 0:
            continue
        value = gap.subs(middle)
        if value.is_number and value.is_finite and value.is_zero is False:
            return False
        raise Undecided(f"whether {a} and {b} agree is not known")
    return True


def as_point(place: Mapping[sp.Symbol, Any], variables: Sequence[sp.Symbol]) -> Any:
    """A place in double precision [d].

    >>> x = sp.Symbol("x", real=True)
    >>> as_point({x: sp.sqrt(4)}, [x])
    array([2.])
    """
    return np.array([float(place[variable]) for variable in variables])

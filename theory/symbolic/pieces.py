"""A box cut into cells without branches: |u|, max, min, sign, floor and cases are decided there.

A branch changes where its *switch* is 0: u for |u| and sign(u), u - v for max(u, v) and for the
relation u < v, u - n for floor(u). Switches whose zeros are finitely many values of one variable
cut the box along that variable; a switch of another kind leaves the expression undecided.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# sympy's own annotations are narrower than what it takes and returns:
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.relational import Relational

from theory.symbolic.enclosure import enclose
from theory.symbolic.signs import LONG, Box, Sign, outer_ends, proved_sign

MOST_CELLS = 64
MOST_STEPS = 40
BRANCHING = (sp.Abs, sp.sign, sp.Heaviside, sp.Max, sp.Min, sp.floor, sp.ceiling, Relational)


class Undecided(Exception):
    """A branch that cannot be followed; the message says which.

    >>> raise Undecided("floor(x*y) cannot be followed")
    Traceback (most recent call last):
        ...
    theory.symbolic.pieces.Undecided: floor(x*y) cannot be followed
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A part of the box and the expressions that hold there, free of branches.

    Attributes:
        box: an open interval for each variable that moves in the cell.
        at: the value of each variable that is fixed: a cut. No entries in a cell of full dimension.
        expressions: g on the cell.

    >>> x = sp.Symbol("x", real=True)
    >>> [cell.expressions for cell in cells([sp.Abs(x)], {x: sp.Interval.open(-1, 2)})]
    [(-x,), (x,)]
    """

    box: Box
    at: dict[sp.Symbol, sp.Expr]
    expressions: tuple[sp.Expr, ...]


def without_steps(expression: sp.Expr) -> sp.Expr:
    """frac and Mod written with floor, so that every step is one of floor or ceiling.

    >>> x = sp.Symbol("x", real=True)
    >>> without_steps(sp.frac(x))
    x - floor(x)
    """
    return expression.rewrite(sp.floor) if expression.has(sp.frac, sp.Mod) else expression


def cells(expressions: Sequence[sp.Expr], box: Box) -> list[Cell]:
    """The cells of full dimension, as a grid.

    Raises:
        Undecided: a switch that cannot be followed, or too many cells.
    """
    cuts = {variable: set[sp.Expr]() for variable in box}
    _collect(tuple(map(without_steps, expressions)), dict(box), cuts)
    sides = [_between(box[variable], cuts[variable]) for variable in box]
    grid = [dict(zip(box, chosen, strict=True)) for chosen in product(*sides)]
    if len(grid) > MOST_CELLS:
        raise Undecided(f"{len(grid)} cases are too many to follow")
    return [Cell(box=part, at={}, expressions=decided(expressions, part)) for part in grid]


def faces(found: Sequence[Cell]) -> list[tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, Any]]]:
    """The cells of lower dimension between cells of a grid: (fixed values, box of the rest)."""
    if not found:
        return []
    variables = list(found[0].box)
    choices: list[list[Any]] = []
    for variable in variables:
        intervals = list(dict.fromkeys(cell.box[variable] for cell in found))
        inner = [interval.start for interval in intervals if
                 any(other.end == interval.start for other in intervals)]  # fmt: skip
        choices.append([*intervals, *inner])
    result: list[tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, Any]]] = []
    for chosen in product(*choices):
        place = dict(zip(variables, chosen, strict=True))
        at = {v: side for v, side in place.items() if not isinstance(side, sp.Set)}
        if at:
            result.append((at, {v: side for v, side in place.items() if v not in at}))
    return result


def _between(interval: sp.Interval, cuts: set[sp.Expr]) -> list[sp.Interval]:
    ends = [interval.start, *sorted(cuts, key=float), interval.end]
    return [sp.Interval.open(a, b) for a, b in pairwise(ends)]


def decided(expressions: Sequence[sp.Expr], box: Box) -> tuple[sp.Expr, ...]:
    """The expressions on a box where every switch has one sign, without their branches.

    Raises:
        Undecided: a switch changes within the box, or cannot be followed.

    >>> x = sp.Symbol("x", real=True)
    >>> decided([sp.Max(x, 1 - x)], {x: sp.Interval.open(1, 2)})
    (x,)
    """
    current = tuple(map(without_steps, expressions))
    while True:
        found = _innermost(current)
        if found is None:
            return current
        value = _decide(found, box)
        if value is None:
            raise Undecided(f"{found} changes its branch")
        current = tuple(expression.xreplace({found: value}) for expression in current)


def _innermost(expressions: Sequence[sp.Expr]) -> Any:
    for expression in expressions:
        for node in sp.postorder_traversal(expression):
            if isinstance(node, BRANCHING) and node.free_symbols:
                return node
    for expression in expressions:
        left = expression.atoms(sp.Piecewise)
        if left:
            raise Undecided(f"{next(iter(left))} is not defined everywhere")
    return None


def _collect(
    expressions: tuple[sp.Expr, ...], box: dict[sp.Symbol, Any], cuts: dict[sp.Symbol, set[sp.Expr]]
) -> None:
    """Walk through the branches, and note where they change."""
    if sum(map(len, cuts.values())) > MOST_CELLS:
        raise Undecided("there are too many cases to follow")
    try:
        decided(expressions, box)
    except Undecided:
        found = expressions
        node = None
        while True:
            node = _innermost(found)
            if node is None:
                raise
            value = _decide(node, box)
            if value is None:
                break
            found = tuple(expression.xreplace({node: value}) for expression in found)
        variable, values = _zeros(node, box)
        for part in _between(box[variable], set(values)):
            _collect(found, {**box, variable: part}, cuts)
        cuts[variable].update(values)


def _switches(node: Any, box: Box) -> list[sp.Expr]:
    """The expressions whose zeros change the branch of a node."""
    if isinstance(node, sp.Max | sp.Min):
        return [a - b for i, a in enumerate(node.args) for b in node.args[:i]]
    if isinstance(node, Relational):
        return [node.lhs - node.rhs]
    if isinstance(node, sp.floor | sp.ceiling):
        low, high = _range(node.args[0], box)
        if not high - low < MOST_STEPS:
            raise Undecided(f"{node} takes too many steps")
        return [node.args[0] - n for n in range(int(np.floor(low)), int(np.ceil(high)) + 1)]
    return [node.args[0]]


def _range(expression: sp.Expr, box: Box) -> tuple[float, float]:
    ends = {
        variable: (np.array([outer_ends(side)[0]]), np.array([outer_ends(side)[1]]))
        for variable, side in box.items()
    }
    low, high = enclose(expression, ends)
    return float(low[0]), float(high[0])


def _decide(node: Any, box: Box) -> Any:
    """What a branching node is on the box; None where a switch changes or is unknown."""
    signs: list[Sign] = [proved_sign(switch, box, boxes=2000) for switch in _switches(node, box)]
    if not set(signs) <= {"positive", "negative"}:
        return None
    up = [sign == "positive" for sign in signs]
    if isinstance(node, sp.Abs):
        return node.args[0] if up[0] else -node.args[0]
    if isinstance(node, sp.sign):
        return sp.Integer(1 if up[0] else -1)
    if isinstance(node, sp.Heaviside):
        return sp.Integer(1 if up[0] else 0)
    if isinstance(node, sp.Max | sp.Min):
        return _largest(node, up)
    if isinstance(node, sp.Eq | sp.Ne):
        return sp.true if isinstance(node, sp.Ne) else sp.false
    if isinstance(node, Relational):
        above = isinstance(node, sp.Gt | sp.Ge)
        return sp.true if up[0] == above else sp.false
    # floor and ceiling: the argument lies between two neighbouring whole numbers.
    first = int(np.floor(_range(node.args[0], box)[0]))
    below = first + sum(up) - 1
    return sp.Integer(below if isinstance(node, sp.floor) else below + 1)


def _largest(node: Any, up: list[bool]) -> Any:
    """The argument of a max or min that wins; `up` holds the signs of a - b for pairs (a, b)."""
    best, rank = node.args[0], 0
    pairs = [(i, j) for i in range(len(node.args)) for j in range(i)]
    sign = dict(zip(pairs, up, strict=True))
    for i in range(1, len(node.args)):
        if sign[i, rank] == isinstance(node, sp.Max):
            best, rank = node.args[i], i
    return best


def _zeros(node: Any, box: Box) -> tuple[sp.Symbol, list[sp.Expr]]:
    """Where a node changes its branch: one variable, and finitely many of its values in the box."""
    for switch in _switches(node, box):
        if proved_sign(switch, box, boxes=2000) in ("positive", "negative"):
            continue
        free = [variable for variable in box if variable in switch.free_symbols]
        if len(free) != 1:
            raise Undecided(f"{node} changes its branch along a curve")
        values = roots_within(switch, free[0], box[free[0]])
        if values is None:
            raise Undecided(f"where {switch} vanishes is not known")
        if values:
            return free[0], values
    raise Undecided(f"the sign of a switch of {node} is not proved")


def roots_within(
    expression: sp.Expr, variable: sp.Symbol, interval: sp.Interval
) -> list[sp.Expr] | None:
    """The roots in an open interval that sympy finds, each checked; None if it finds no list.

    They may be incomplete: what lies between them is proved by `proved_sign`, not here.

    >>> x = sp.Symbol("x", real=True)
    >>> roots_within(x**2 - 2, x, sp.Interval.open(0, 5))
    [sqrt(2)]
    """
    if expression.count_ops() > LONG:
        return None
    try:
        polynomial = sp.Poly(sp.fraction(sp.together(expression))[0], variable, domain=sp.QQ)
        found = list(dict.fromkeys(sp.real_roots(polynomial))) if polynomial.degree() <= 8 else None
    except (sp.PolynomialError, sp.CoercionFailed, NotImplementedError, ValueError):
        found = _solved(expression, variable, interval)
    if found is None:
        return None
    inside = [root for root in found if bool(interval.contains(root))]
    return [root for root in inside if sp.simplify(expression.subs(variable, root)) == 0]


def _endless(interval: sp.Interval) -> bool:
    return bool(interval.start.is_infinite or interval.end.is_infinite)


def _solved(
    expression: sp.Expr, variable: sp.Symbol, interval: sp.Interval
) -> list[sp.Expr] | None:
    # Of the infinitely many roots of sin(x) on the line those near 0 will do.
    near = interval.intersect(sp.Interval.open(-10, 10)) if _endless(interval) else interval
    try:
        solved = sp.solveset(expression, variable, near)
    except (NotImplementedError, ValueError, TypeError, AttributeError):
        return None
    if solved is sp.S.EmptySet:
        return []
    return list(solved.args) if isinstance(solved, sp.FiniteSet) else None

"""Criteria for g injective with full rank on an open box, proved case by case.

Each speaks of a C^1 map, so the Jacobian of a map by cases is that of either neighbour on the faces
between them. Signs are proved on every cell and on every face.

* Triangular: g_i depends on x_1, ..., x_i alone and is strictly monotone in x_i.
* Gale-Nikaido, Math. Ann. 1965: every principal minor of Dg is positive on a box.
* Preconditioned: A g meets Gale-Nikaido for a constant matrix A; then so does g its conclusion.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# sympy's own annotations are narrower than what it takes and returns:
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, permutations

import numpy as np
import sympy as sp

from theory.symbolic.pieces import Cell, faces
from theory.symbolic.signs import Box, Sign, midpoint, proved_sign

LARGEST = 4
MOST_BOXES = 6000


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A cell or a face of it: the values `at` which it is fixed, and the box of the rest.

    >>> x = sp.Symbol("x", real=True)
    >>> line = Cell(box={x: sp.Interval.open(0, 1)}, at={}, expressions=(x,))
    >>> next(Complex(cells=[line]).places()).at
    {}
    """

    cell: Cell
    box: Box
    at: dict[sp.Symbol, sp.Expr]


@dataclass(frozen=True, kw_only=True, slots=True)
class Complex:
    """The cells of a box with the faces between them.

    >>> from theory.symbolic.pieces import cells
    >>> x = sp.Symbol("x", real=True)
    >>> box = {x: sp.Interval.open(-1, 1)}
    >>> [place.at for place in Complex(cells=cells([x * sp.Abs(x)], box)).places()]
    [{}, {}, {x: 0}, {x: 0}]
    """

    cells: Sequence[Cell]

    def places(self) -> Iterator[Place]:
        """Every cell, then every face with one of the cells beside it."""
        for cell in self.cells:
            yield Place(cell=cell, box=cell.box, at={})
        for at, box in faces(self.cells):
            for cell in self.cells:
                beside = all(
                    value in (cell.box[v].start, cell.box[v].end) for v, value in at.items()
                )
                if beside and all(cell.box[v] == side for v, side in box.items()):
                    yield Place(cell=cell, box=box, at=at)

    def jacobians(self, variables: Sequence[sp.Symbol]) -> "Jacobians":
        """Dg at every place, the faces once for each cell beside them."""
        slopes = {
            id(cell): sp.Matrix(cell.expressions).jacobian(list(variables)) for cell in self.cells
        }
        return Jacobians(entries=[(slopes[id(p.cell)].subs(p.at), p.box) for p in self.places()])


@dataclass(frozen=True, kw_only=True, slots=True)
class Jacobians:
    """Dg at every place of a complex.

    >>> x = sp.Symbol("x", real=True)
    >>> cell = Cell(box={x: sp.Interval.open(0, 1)}, at={}, expressions=(x**2,))
    >>> Complex(cells=[cell]).jacobians([x]).sign([0], [0])
    'positive'
    """

    entries: list[tuple[sp.Matrix, Box]]

    def sign(self, rows: Sequence[int], columns: Sequence[int]) -> Sign:
        """The one sign of a minor at all places, or "unknown"."""
        found: Sign = "unknown"
        for matrix, box in self.entries:
            minor = matrix.extract(list(rows), list(columns)).det()
            sign = proved_sign(minor, box, boxes=MOST_BOXES)
            if sign not in ("positive", "negative") or found not in ("unknown", sign):
                return "unknown"
            found = sign
        return found

    def times(self, left: sp.Matrix) -> "Jacobians":
        """A Dg."""
        return Jacobians(entries=[(left * matrix, box) for matrix, box in self.entries])


def criterion(domain: Complex, variables: Sequence[sp.Symbol]) -> str:
    """The criterion that proves C1 of a C^1 map, in words; empty if none does.

    >>> x = sp.Symbol("x", real=True)
    >>> cell = Cell(box={x: sp.Interval.open(0, 1)}, at={}, expressions=(x**2,))
    >>> criterion(Complex(cells=[cell]), [x])
    'triangular: g_1 is strictly monotone in x'
    """
    slopes = domain.jacobians(variables)
    found = _triangular(domain, slopes, variables)
    if found or len(variables) == 1 or len(variables) > LARGEST:
        return found
    square = len(domain.cells[0].expressions) == len(variables)
    return (_gale_nikaido(slopes) if square else "") or _preconditioned(slopes)


def _triangular(domain: Complex, slopes: Jacobians, variables: Sequence[sp.Symbol]) -> str:
    """g_i depends on x_1..x_i only, strictly monotone in x_i, in some order of both."""
    rows = len(domain.cells[0].expressions)
    uses = [
        set[sp.Basic]().union(*(cell.expressions[i].free_symbols for cell in domain.cells))
        for i in range(rows)
    ]
    known: list[sp.Symbol] = []
    steps: list[str] = []
    while len(known) < len(variables):
        for variable in variables:
            row = next(
                (
                    i
                    for i, used in enumerate(uses)
                    if variable in used
                    and variable not in known
                    and used <= {*known, variable}
                    and slopes.sign([i], [list(variables).index(variable)]) != "unknown"
                ),
                None,
            )
            if row is not None:
                known.append(variable)
                steps.append(f"g_{row + 1} is strictly monotone in {variable}")
                break
        else:
            return ""
    return "triangular: " + ", ".join(steps)


def _gale_nikaido(slopes: Jacobians) -> str:
    """Some order of the expressions and their signs make every principal minor positive."""
    size = slopes.entries[0][0].cols
    signs = [[slopes.sign([i], [j]) for j in range(size)] for i in range(size)]
    for order in permutations(range(size)):
        diagonal = [signs[row][column] for column, row in enumerate(order)]
        if "unknown" in diagonal:
            continue
        flipped = sp.zeros(size)
        for column, row in enumerate(order):
            flipped[column, row] = 1 if diagonal[column] == "positive" else -1
        if _all_minors_positive(slopes.times(flipped), size, start=2):
            return "Gale-Nikaido: every principal minor of the Jacobian is positive on the box"
    return ""


def _preconditioned(slopes: Jacobians) -> str:
    """A is the inverse of Dg in the middle of the box, so that A Dg is near the unit matrix."""
    matrix, box = slopes.entries[0]
    middle = {variable: midpoint(side) for variable, side in box.items()}
    values = matrix.subs(middle)
    if not all(value.is_real and value.is_finite for value in values):
        return ""
    inverse = np.linalg.pinv(np.array(values.evalf(), dtype=float))
    if not np.all(np.isfinite(inverse)) or np.abs(inverse).max() > 1e6:
        return ""
    left = sp.Matrix(
        [
            [sp.Rational(Fraction(float(entry)).limit_denominator(64)) for entry in row]
            for row in inverse
        ]
    )
    if _all_minors_positive(slopes.times(left), matrix.cols, start=1):
        return "Gale-Nikaido after a constant linear map: every principal minor is positive"
    return ""


def _all_minors_positive(slopes: Jacobians, size: int, *, start: int) -> bool:
    return all(
        slopes.sign(rows, rows) == "positive"
        for count in range(start, size + 1)
        for rows in combinations(range(size), count)
    )

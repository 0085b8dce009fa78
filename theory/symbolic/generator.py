"""g : Z -> R^p in sympy: its Jacobian, where that loses rank, and whether g meets C1.

SmartCLIP, CVPR 2025, Condition 4.2-i asks for g smooth and injective with a full-rank Jacobian on
the whole domain. On an open box three criteria prove it here, once g is proved C^1 there: a
triangular map with monotone diagonal; Gale-Nikaido (every principal minor of the Jacobian is
positive, Math. Ann. 1965); and Gale-Nikaido for A g, A a constant matrix.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# sympy's own annotations are narrower than what it takes and returns:
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportReturnType=false

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float
from sympy.core.function import AppliedUndef

from theory.conditions.fold import FoldSearch
from theory.conditions.verdict import (
    Answer,
    ConditionVerdict,
    Flat,
    NotSmooth,
    Refutation,
    point_words,
)
from theory.errors import InputError
from theory.symbolic.confirm import confirmed, defined_at
from theory.symbolic.criteria import Complex, criterion
from theory.symbolic.pieces import Cell, Undecided, cells, roots_within
from theory.symbolic.signs import LONG, Box, Sign, midpoint, proved_sign
from theory.symbolic.smoothness import as_point, fault_between, obstacle, pole

# Each candidate for a collision costs a tenth of a second to confirm or refuse.
MOST_CANDIDATES = 12


@dataclass(frozen=True, kw_only=True)
class SymbolicGenerator:
    """x -> (g_1(x), ..., g_p(x)) on an open box, exact.

    Attributes:
        variables: the latents x_1, ..., x_d.
        expressions: g_1, ..., g_p in those variables.
        domain: an open interval for each variable; the real line by default.

    Raises:
        InputError: fewer expressions than variables, a foreign symbol, an empty interval.

    >>> x, y = sp.symbols("x y", real=True)
    >>> g = SymbolicGenerator.of([x, y], [x + y, y + sp.exp(y)])
    >>> g.determinant, g.check().answer
    (exp(y) + 1, 'holds')
    """

    variables: tuple[sp.Symbol, ...]
    expressions: tuple[sp.Expr, ...]
    domain: tuple[sp.Interval, ...]

    @classmethod
    def of(
        cls,
        variables: Sequence[sp.Symbol],
        expressions: Sequence[sp.Expr | int],
        domain: Mapping[sp.Symbol, tuple[sp.Expr | float | int, sp.Expr | float | int]]
        | None = None,
    ) -> "SymbolicGenerator":
        """A generator from symbols, expressions and (low, high) bounds of some variables.

        Decimal numbers are read as they are written: 0.1 is 1/10.

        >>> x = sp.Symbol("x", real=True)
        >>> SymbolicGenerator.of([x], [x**2], {x: (0, 1)}).domain
        (Interval.open(0, 1),)
        """
        bounds = dict(domain or {})
        real = {symbol: sp.Symbol(symbol.name, real=True) for symbol in variables}
        parsed = [sp.nsimplify(sp.sympify(expression), rational=True) for expression in expressions]
        foreign = set[sp.Basic]().union(*(e.free_symbols for e in parsed)) - set(variables)
        if foreign or not set(bounds) <= set(variables):
            raise InputError(
                f"{sorted(map(str, foreign or set(bounds) - set(variables)))} is no latent",
                rule="a generator is made of its latents alone",
                fix="list it among the variables or give it a value",
            )
        unknown = set[Any]().union(*(e.atoms(AppliedUndef) for e in parsed))
        if unknown:
            raise InputError(
                f"{sorted(map(str, unknown))[0]} is a function without a formula",
                rule="a generator is made of known functions of its latents",
                fix="write the function out",
            )
        if len(parsed) < len(variables):
            raise InputError(
                f"{len(parsed)} expressions in {len(variables)} variables",
                rule="an injective map does not lower the dimension",
                fix="give as many expressions as variables",
            )
        intervals: list[sp.Interval] = []
        for symbol in variables:
            low, high = bounds.get(symbol, (-sp.oo, sp.oo))
            interval = sp.Interval.open(sp.nsimplify(low), sp.nsimplify(high))
            if interval is sp.S.EmptySet:
                raise InputError(
                    f"{symbol} lies between {low} and {high}",
                    rule="the domain is an open box",
                    fix="give low < high",
                )
            intervals.append(interval)
        return cls(
            variables=tuple(real[symbol] for symbol in variables),
            expressions=tuple(expression.subs(real) for expression in parsed),
            domain=tuple(intervals),
        )

    @cached_property
    def jacobian(self) -> sp.Matrix:
        """Dg, a matrix [p, d] of expressions."""
        return sp.Matrix(self.expressions).jacobian(self.variables)

    @cached_property
    def box(self) -> Box:
        """The domain by variable."""
        return dict(zip(self.variables, self.domain, strict=True))

    @cached_property
    def determinant(self) -> sp.Expr:
        """det Dg, or det(Dg^T Dg) when there are more expressions than variables."""
        return _determinant(self.jacobian)

    @cached_property
    def vanishing(self) -> sp.Set | None:
        """Where the determinant is 0 within the domain; None if sympy cannot say.

        In one variable a set of reals, in several a set of points of R^d.

        >>> x, y = sp.symbols("x y", real=True)
        >>> SymbolicGenerator.of([x], [x**2]).vanishing
        {0}
        >>> SymbolicGenerator.of([x, y], [x * y, y], {y: (0, 1)}).vanishing
        EmptySet
        """
        if self.sign(self.determinant) in ("positive", "negative"):
            return sp.S.EmptySet
        free = [v for v in self.variables if v in self.determinant.free_symbols]
        try:
            if len(self.variables) == 1:
                return sp.solveset(self.determinant, self.variables[0], self.domain[0])
            if len(free) == 1:
                roots = sp.solveset(self.determinant, free[0], self.box[free[0]])
                sets = [roots if v == free[0] else self.box[v] for v in self.variables]
                return sp.ProductSet(*sets)
        except (NotImplementedError, ValueError):
            return None
        if self.determinant == 0:
            return sp.ProductSet(*self.domain)
        condition = sp.Eq(self.determinant, 0)
        return sp.ConditionSet(sp.Tuple(*self.variables), condition, sp.ProductSet(*self.domain))

    def sign(self, expression: sp.Expr) -> Sign:
        """A proved sign of an expression on the whole domain, "changes", or "unknown".

        Args:
            expression: real and continuous on the domain.

        >>> x = sp.Symbol("x", real=True)
        >>> g = SymbolicGenerator.of([x], [x], {x: (-1, 1)})
        >>> g.sign(g.variables[0] + 2), g.sign(g.variables[0])
        ('positive', 'changes')
        """
        return proved_sign(expression, self.box)

    def check(self, *, seed: int = 0) -> ConditionVerdict:
        """C1 on the domain: "holds" by a proof, "fails" with a witness, or "cannot tell".

        "holds" needs all of: g is C^1 on the whole domain, proved from its parts and across its
        cases; a criterion for injectivity with full rank, proved on every case; and no collision
        found by the numerical search. "fails" needs two points whose images agree to 40 digits, a
        point where g is undefined, jumps or has a kink, or one where the rank drops.

        Args:
            seed: of the search for a collision, on samples of the domain (of the box from -4 to 4
                where it is unbounded).

        >>> x, y = sp.symbols("x y", real=True)
        >>> SymbolicGenerator.of([x, y], [x + sp.sin(y) / 2, y - sp.cos(x) / 2]).check().answer
        'holds'
        >>> SymbolicGenerator.of([x], [x - 1 / x], {x: (-2, 2)}).check().answer
        'fails'
        """
        try:
            self.numeric(self.samples(seed, 2))
        except (NameError, TypeError, AttributeError, NotImplementedError) as error:
            return _verdict("cannot tell", f"g cannot be evaluated in numbers ({error})")
        found = self._undefined(seed) or self._collision(seed)
        if found:
            return found
        try:
            parts = cells(self.expressions, self.box)
        except Undecided as why:
            return _verdict("cannot tell", f"no two points were found to collide, but {why}")
        found = self._rough(parts)
        if found:
            return found
        return self._by_rank(Complex(cells=parts))

    def _undefined(self, seed: int) -> ConditionVerdict | None:
        """A sample of the domain without a real value."""
        points = self.samples(seed)
        # Doubles overflow where the expression is still defined: exact arithmetic has the word.
        for point in points[~np.isfinite(self.numeric(points)).all(axis=1)]:
            if not defined_at(self.expressions, self.variables, point):
                return _verdict(
                    "fails",
                    f"{point_words(point)} has no real image, though it lies in the domain",
                    NotSmooth(point=point, what="undefined"),
                )
        return None

    def _collision(self, seed: int) -> ConditionVerdict | None:
        search = FoldSearch(self._tamed, self.samples(seed), seed=seed)
        for number, collision in enumerate(search.collisions()):
            sure = confirmed(self.expressions, self.variables, self.domain, collision)
            if sure is not None:
                first, second = point_words(sure.first), point_words(sure.second)
                return _verdict("fails", f"{first} and {second} have the same image", sure)
            if number == MOST_CANDIDATES:
                break
        return None

    def _rough(self, parts: Sequence[Cell]) -> ConditionVerdict | None:
        """Where g is not C^1, or what keeps that from being proved; None if it is C^1."""
        for cell in parts:
            for expression in cell.expressions:
                place = pole(expression, cell.box)
                if place is not None:
                    point = as_point(
                        {v: place.get(v, midpoint(cell.box[v])) for v in self.variables},
                        self.variables,
                    )
                    return _verdict(
                        "fails",
                        f"{expression} has a pole at {point_words(point)}",
                        NotSmooth(point=point, what="undefined"),
                    )
        for place in Complex(cells=parts).places():
            for expression in place.cell.expressions:
                part = obstacle(expression, place.box, place.at)
                if part is not None:
                    return _verdict(
                        "cannot tell", f"{part} is not proved smooth on the whole domain"
                    )
        try:
            fault = fault_between(parts, self.expressions)
        except Undecided as why:
            return _verdict("cannot tell", f"no two points were found to collide, but {why}")
        if fault is None:
            return None
        what, place = fault
        point = as_point(place, self.variables)
        words = "jumps" if what == "jump" else "has a kink"
        return _verdict(
            "fails", f"g {words} at {point_words(point)}", NotSmooth(point=point, what=what)
        )

    def _by_rank(self, domain: Complex) -> ConditionVerdict:
        """g is C^1: prove a criterion, or find where the rank drops."""
        reason = criterion(domain, self.variables)
        if reason:
            return _verdict("holds", reason)
        signs: set[Sign] = set()
        for place in domain.places():
            jacobian = sp.Matrix(place.cell.expressions).jacobian(self.variables)
            determinant = _determinant(jacobian).subs(place.at)
            flat = _root(determinant, place.box)
            if flat is not None:
                flat |= place.at
                point = as_point(flat, self.variables)
                slopes = np.array(jacobian.subs(flat), dtype=float)
                direction = np.linalg.svd(slopes)[2][-1]
                return _verdict(
                    "fails",
                    f"the Jacobian loses rank at {point_words(point)}",
                    Flat(point=point, direction=direction, singular_value=0.0),
                )
            sign = proved_sign(determinant, place.box)
            signs.add(sign)
            if sign == "changes":
                return _verdict(
                    "fails", f"the determinant {determinant} changes its sign, so the rank drops"
                )
        if {"positive", "negative"} <= signs:
            return _verdict("fails", "the determinant changes its sign, so the rank drops")
        return _verdict(
            "cannot tell", "no criterion applies and no two points were found to collide"
        )

    def _tamed(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n p"]:
        """g for the search: beside a pole a large number instead of none."""
        return np.nan_to_num(self.numeric(points), nan=1e30, posinf=1e30, neginf=-1e30)

    def numeric(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n p"]:
        """g at points [n, d], in double precision."""
        with np.errstate(all="ignore"):
            values = self._function(*points.T)
        columns = [np.broadcast_to(_real(value), len(points)) for value in values]
        return np.stack(columns, axis=1)

    @cached_property
    def _function(self) -> Callable[..., Sequence[Any]]:
        return sp.lambdify(self.variables, list(self.expressions), modules=["scipy", "numpy"])

    def samples(self, seed: int, count: int = 200) -> Float[np.ndarray, "n d"]:
        """Uniform points of the domain, of (-4, 4) where an end is infinite."""
        rng = np.random.default_rng(seed)
        ends = [
            (
                float(i.start) if i.start.is_finite else min(-4.0, float(i.end) - 8),
                float(i.end) if i.end.is_finite else max(4.0, float(i.start) + 8),
            )
            if i.start.is_finite or i.end.is_finite
            else (-4.0, 4.0)
            for i in self.domain
        ]
        low, high = np.array(ends).T
        return rng.uniform(low, high, size=(count, len(self.variables)))

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def latex(self) -> str:
        """The map, its domain and its determinant in LaTeX.

        >>> x = sp.Symbol("x", real=True)
        >>> print(SymbolicGenerator.of([x], [x**3]).latex())
        g(x) = \\left[\\begin{matrix}x^{3}\\end{matrix}\\right],\\quad \\det Dg = 3 x^{2}
        """
        names = ", ".join(sp.latex(variable) for variable in self.variables)
        square = len(self.expressions) == len(self.variables)
        volume = r"\det Dg" if square else r"\det Dg^\top Dg"
        return (
            f"g({names}) = {sp.latex(sp.Matrix(self.expressions))},"
            rf"\quad {volume} = {sp.latex(self.determinant)}"
        )


def _verdict(answer: Answer, reason: str, witness: Refutation | None = None) -> ConditionVerdict:
    return ConditionVerdict(condition="C1", answer=answer, reason=reason, witness=witness)


def _real(values: Any) -> Float[np.ndarray, "..."]:
    """Real parts, NaN where a value is not real."""
    array = np.asarray(values, dtype=complex)
    real, imaginary = np.real(array), np.imag(array)
    return np.where(np.abs(imaginary) <= 1e-12 * (1 + np.abs(real)), real, np.nan)


def _determinant(jacobian: sp.Matrix) -> sp.Expr:
    rows, columns = jacobian.shape
    found: Any = (jacobian if rows == columns else jacobian.T * jacobian).det()
    return sp.simplify(found) if found.count_ops() <= LONG else found


def _root(determinant: sp.Expr, box: Box) -> dict[sp.Symbol, sp.Expr] | None:
    """A point of the box where the determinant is exactly 0, if one is easily found."""
    middle = {variable: midpoint(side) for variable, side in box.items()}
    if determinant == 0:
        return middle
    if determinant.count_ops() > LONG:
        return None
    free = [variable for variable in box if variable in determinant.free_symbols]
    if len(free) == 1:
        roots = roots_within(determinant, free[0], box[free[0]])
        return {**middle, free[0]: roots[0]} if roots else None
    origin = {v: sp.S.Zero if side.contains(0) == sp.true else middle[v] for v, side in box.items()}
    return next((at for at in (origin, middle) if determinant.subs(at).is_zero), None)

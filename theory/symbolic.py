"""g : Z -> R^p in sympy: its Jacobian, where that loses rank, and whether g is injective.

SmartCLIP, CVPR 2025, Condition 4.2-i asks for g smooth and injective with a full-rank Jacobian on
the whole domain. On an open box two criteria decide it here: a triangular map with monotone
diagonal, and Gale-Nikaido (every principal minor of the Jacobian positive, Math. Ann. 1965). Signs
are proved by sympy's assumptions or by interval arithmetic with subdivision.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# sympy's own annotations are narrower than what it takes and returns:
# pyright: reportArgumentType=false, reportCallIssue=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations, product
from typing import Literal

import mpmath
import numpy as np
import sympy as sp
from jaxtyping import Float

from theory.conditions import ConditionVerdict, check_invertible
from theory.errors import InputError

Sign = Literal["positive", "negative", "unknown"]
BOXES = 4000


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

        >>> x = sp.Symbol("x", real=True)
        >>> SymbolicGenerator.of([x], [x**2], {x: (0, 1)}).domain
        (Interval.open(0, 1),)
        """
        bounds = dict(domain or {})
        real = {symbol: sp.Symbol(symbol.name, real=True) for symbol in variables}
        parsed = [sp.sympify(expression) for expression in expressions]
        foreign = set[sp.Basic]().union(*(e.free_symbols for e in parsed)) - set(variables)
        if foreign or not set(bounds) <= set(variables):
            raise InputError(
                f"{sorted(map(str, foreign or set(bounds) - set(variables)))} is no latent",
                rule="a generator is made of its latents alone",
                fix="list it among the variables or give it a value",
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
    def determinant(self) -> sp.Expr:
        """det Dg, or det(Dg^T Dg) when there are more expressions than variables."""
        square = len(self.expressions) == len(self.variables)
        matrix = self.jacobian if square else self.jacobian.T * self.jacobian
        return sp.simplify(matrix.det())

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
        if self.sign(self.determinant) != "unknown":
            return sp.S.EmptySet
        free = [v for v in self.variables if v in self.determinant.free_symbols]
        domain = dict(zip(self.variables, self.domain, strict=True))
        try:
            if len(self.variables) == 1:
                return sp.solveset(self.determinant, self.variables[0], self.domain[0])
            if len(free) == 1:
                roots = sp.solveset(self.determinant, free[0], domain[free[0]])
                sets = [roots if v == free[0] else domain[v] for v in self.variables]
                return sp.ProductSet(*sets)
        except (NotImplementedError, ValueError):
            return None
        if self.determinant == 0:
            return sp.ProductSet(*self.domain)
        condition = sp.Eq(self.determinant, 0)
        return sp.ConditionSet(sp.Tuple(*self.variables), condition, sp.ProductSet(*self.domain))

    def sign(self, expression: sp.Expr) -> Sign:
        """A proved sign of an expression on the whole domain, or "unknown".

        >>> x = sp.Symbol("x", real=True)
        >>> g = SymbolicGenerator.of([x], [x], {x: (-1, 1)})
        >>> g.sign(g.variables[0] + 2), g.sign(g.variables[0])
        ('positive', 'unknown')
        """
        expression = sp.simplify(expression)
        # x = low + positive, or high - positive: sympy can then reason with its assumptions.
        ends: list[list[sp.Expr]] = []
        for variable, interval in zip(self.variables, self.domain, strict=True):
            positive = sp.Symbol(f"{variable.name}_p", positive=True)
            found: list[sp.Expr] = []
            if interval.start.is_finite:
                found.append(interval.start + positive)
            if interval.end.is_finite:
                found.append(interval.end - positive)
            ends.append(found or [variable])
        for chosen in product(*ends):
            shifted = expression.subs(dict(zip(self.variables, chosen, strict=True)))
            for candidate in (expression, sp.expand(shifted), sp.factor(shifted)):
                if candidate.is_positive:
                    return "positive"
                if candidate.is_negative:
                    return "negative"
        return self._interval_sign(expression)

    def _interval_sign(self, expression: sp.Expr) -> Sign:
        try:
            function = sp.lambdify(self.variables, expression, modules=[mpmath.iv, "mpmath"])
            box = tuple((float(i.start), float(i.end)) for i in self.domain)
            pending, seen = [box], set[Sign]()
            for _ in range(BOXES):
                if not pending:
                    return seen.pop() if len(seen) == 1 else "unknown"
                box = pending.pop()
                value = mpmath.iv.mpf(function(*(mpmath.iv.mpf(side) for side in box)))
                if value.a > 0:
                    seen.add("positive")
                elif value.b < 0:
                    seen.add("negative")
                else:
                    widest = max(range(len(box)), key=lambda i: box[i][1] - box[i][0])
                    low, high = box[widest]
                    if np.isinf(high):
                        middle = 0.0 if np.isinf(low) else max(1.0, low + 1, 2 * low)
                    else:
                        middle = (
                            min(-1.0, high - 1, 2 * high) if np.isinf(low) else (low + high) / 2
                        )
                    for side in ((low, middle), (middle, high)):
                        pending.append((*box[:widest], side, *box[widest + 1 :]))
                if len(seen) > 1:
                    return "unknown"
        except (TypeError, NameError, AttributeError, ValueError, ArithmeticError):
            return "unknown"  # a function that interval arithmetic does not know
        return "unknown"

    def check(self, *, seed: int = 0) -> ConditionVerdict:
        """C1 on the domain: "holds" by a criterion, "fails" with two points, or "cannot tell".

        Args:
            seed: of the numerical search for a collision, on samples of the domain (of the box
                from -4 to 4 where it is unbounded).

        >>> x, y = sp.symbols("x y", real=True)
        >>> SymbolicGenerator.of([x, y], [x + sp.sin(y) / 2, y - sp.cos(x) / 2]).check().answer
        'holds'
        >>> verdict = SymbolicGenerator.of([x], [x**3 - x]).check()
        >>> verdict.answer, verdict.witness is not None
        ('fails', True)
        """
        by = self._triangular() or self._gale_nikaido()
        if by:
            return ConditionVerdict(condition="C1", answer="holds", reason=by)
        if self.determinant == 0:
            return ConditionVerdict(
                condition="C1",
                answer="fails",
                reason="the determinant is 0 everywhere: the map loses a dimension",
                witness=check_invertible(self.numeric, self.samples(seed), seed=seed).witness,
            )
        found = check_invertible(self.numeric, self.samples(seed), seed=seed)
        if found.answer == "fails":
            return found
        zeros = self.vanishing
        if isinstance(zeros, sp.FiniteSet | sp.ProductSet) and zeros.is_empty is False:
            return ConditionVerdict(
                condition="C1",
                answer="fails",
                reason=f"the Jacobian loses rank on {zeros}",
                witness=found.witness,
            )
        return ConditionVerdict(
            condition="C1",
            answer="cannot tell",
            reason="neither criterion applies and no two points were found to collide",
        )

    def numeric(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n p"]:
        """g at points [n, d], in double precision."""
        function = sp.lambdify(self.variables, list(self.expressions), modules="numpy")
        values = function(*points.T)
        return np.stack([np.broadcast_to(value, len(points)) for value in values], axis=1).astype(
            float
        )

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

    def _triangular(self) -> str:
        """g_i depends on x_1..x_i only, strictly monotone in x_i, in some order of both."""
        size = len(self.variables)
        uses = [expression.free_symbols for expression in self.expressions]
        known: list[sp.Symbol] = []
        steps: list[str] = []
        while len(known) < size:
            for variable in self.variables:
                row = next(
                    (
                        i
                        for i, used in enumerate(uses)
                        if variable in used
                        and variable not in known
                        and used <= {*known, variable}
                        and self.sign(self.jacobian[i, self.variables.index(variable)]) != "unknown"
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

    def _gale_nikaido(self) -> str:
        """Some order of the expressions and their signs make every principal minor positive."""
        size = len(self.variables)
        if len(self.expressions) != size or size > 4:
            return ""
        for order in permutations(range(size)):
            matrix = self.jacobian.extract(list(order), list(range(size)))
            signs = [self.sign(matrix[i, i]) for i in range(size)]
            if "unknown" in signs:
                continue
            flip = sp.diag(*(1 if sign == "positive" else -1 for sign in signs))
            matrix = flip * matrix
            if all(
                self.sign(matrix.extract(list(rows), list(rows)).det()) == "positive"
                for count in range(2, size + 1)
                for rows in combinations(range(size), count)
            ):
                return "Gale-Nikaido: every principal minor of the Jacobian is positive on the box"
        return ""

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

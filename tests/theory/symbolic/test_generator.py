"""Injectivity decided symbolically, against generators whose answer is known."""

import numpy as np
import pytest
import sympy as sp

from theory import InputError
from theory.conditions import Collision, NotSmooth
from theory.symbolic import SymbolicGenerator

x, y, z = sp.symbols("x y z", real=True)
e = sp.exp


@pytest.mark.parametrize(
    ("variables", "expressions", "domain", "answer"),
    [
        ([x], [x**2], None, "fails"),
        ([x], [x**2], {x: (0, 1)}, "holds"),
        ([x], [x**2], {x: (-1, 0)}, "holds"),
        ([x], [x**3], None, "fails"),  # injective, but its derivative is 0 at 0
        ([x], [e(x)], None, "holds"),
        ([x], [1 / (1 + e(-x))], None, "holds"),
        ([x], [sp.Abs(x)], None, "fails"),
        ([x], [sp.cos(x), sp.sin(x)], {x: (0, 7)}, "fails"),
        ([x, y], [x + y, 2 * x + 2 * y], None, "fails"),
        ([x, y], [y + 1, x + y], None, "holds"),
        ([x, y], [x * y, x + y], {x: (0, 1), y: (0, 1)}, "fails"),
        ([x, y], [x + sp.sin(y) / 2, y - sp.cos(x) / 2], None, "holds"),
        ([x, y], [e(x) * sp.cos(y), e(x) * sp.sin(y)], {x: (0, 1), y: (0, 1)}, "holds"),
        ([x, y, z], [x + y**2, y + e(y), z**3 + z + x], None, "holds"),
    ],
)
def test_known_generators(variables: list, expressions: list, domain: dict | None, answer: str):
    generator = SymbolicGenerator.of(variables, expressions, domain)
    verdict = generator.check()
    assert verdict.answer == answer, verdict
    if isinstance(verdict.witness, Collision):
        one, other = verdict.witness.first, verdict.witness.second
        assert not np.allclose(one, other)
        values = generator.numeric(np.stack([one, other]))
        np.testing.assert_allclose(values[0], values[1], atol=1e-5)


def test_the_complex_exponential_folds_without_a_flat_point():
    """Its Jacobian has full rank everywhere, yet points 2 pi apart collide: never "holds"."""
    generator = SymbolicGenerator.of([x, y], [e(x) * sp.cos(y), e(x) * sp.sin(y)])
    assert generator.vanishing is sp.S.EmptySet
    assert generator.check().answer == "fails"


def test_jacobian_and_determinant_agree_with_differences():
    generator = SymbolicGenerator.of([x, y], [x * y + x, sp.sin(x) + y**3])
    function = sp.lambdify(generator.variables, generator.jacobian)
    point = np.array([0.3, -0.7])
    step = 1e-6
    for column in range(2):
        shift = np.eye(2)[column] * step
        pair = generator.numeric(np.stack([point + shift, point - shift]))
        np.testing.assert_allclose(
            function(*point)[:, column], (pair[0] - pair[1]) / (2 * step), rtol=1e-6
        )
    determinant = sp.lambdify(generator.variables, generator.determinant)
    assert determinant(*point) == pytest.approx(np.linalg.det(function(*point)))


@pytest.mark.parametrize(
    ("bounds", "expression", "sign"),
    [
        ((-1, 0), x, "negative"),
        ((-sp.oo, 0), x, "negative"),
        ((0, sp.oo), x, "positive"),
        ((-1, 1), x, "changes"),
        ((-1, 1), x**2, "unknown"),
        ((0, 1), x - x**2 + sp.Rational(1, 100), "positive"),
        ((0, 3), sp.sin(x) - sp.Rational(1, 10), "changes"),
        ((-sp.oo, sp.oo), 2 + sp.sin(x), "positive"),
    ],
)
def test_signs_are_proved_or_unknown(bounds: tuple, expression: sp.Expr, sign: str):
    generator = SymbolicGenerator.of([x], [expression], {x: bounds})
    assert generator.sign(generator.expressions[0]) == sign


def test_where_the_rank_drops():
    assert SymbolicGenerator.of([x], [x**3 - 3 * x]).vanishing == sp.FiniteSet(-1, 1)
    zeros = SymbolicGenerator.of([x, y], [x**2, y]).vanishing
    assert zeros is not None
    assert (0, 5) in zeros
    assert (1, 5) not in zeros


def test_foreign_symbols_and_bad_domains_are_refused():
    with pytest.raises(InputError, match="'y'"):
        SymbolicGenerator.of([x], [x + y])
    with pytest.raises(InputError, match="1 expressions in 2 variables"):
        SymbolicGenerator.of([x, y], [x + y])
    with pytest.raises(InputError, match="x lies between 1 and 0"):
        SymbolicGenerator.of([x], [x], {x: (1, 0)})


def test_functions_without_a_formula_are_refused():
    with pytest.raises(InputError, match="without a formula"):
        SymbolicGenerator.of([x], [sp.Function("f")(x)])


@pytest.mark.parametrize(
    ("expression", "bounds", "what", "at"),
    [
        (sp.tan(x), (1, 2), "undefined", np.pi / 2),
        (1 / (x - 1), (0, 3), "undefined", 1.0),
        (x + sp.floor(x), (sp.Rational(1, 2), sp.Rational(3, 2)), "jump", 1.0),
        (x + sp.Abs(x - 1) / 2, (0, 3), "kink", 1.0),
        (sp.Piecewise((x, x < 0), (5, sp.Eq(x, 0)), (x, True)), (-1, 1), "jump", 0.0),
    ],
)
def test_where_smoothness_fails_is_named(expression: sp.Expr, bounds: tuple, what: str, at: float):
    witness = SymbolicGenerator.of([x], [expression], {x: bounds}).check().witness
    assert isinstance(witness, NotSmooth)
    assert witness.what == what
    assert witness.point == pytest.approx(at)


@pytest.mark.parametrize(
    "expression",
    [1 / (1 + e(-x)), sp.atan(x), sp.tanh(x), sp.erf(x)],
)
def test_saturation_is_no_collision(expression: sp.Expr):
    """Images that agree in double precision and not in 40 digits."""
    assert SymbolicGenerator.of([x], [expression], {x: (-200, 200)}).check().answer == "holds"


def test_a_generator_that_cannot_be_evaluated_is_left_open():
    verdict = SymbolicGenerator.of([x], [sp.polylog(2, x)], {x: (0, 1)}).check()
    assert verdict.answer == "cannot tell"
    assert "polylog" in verdict.reason

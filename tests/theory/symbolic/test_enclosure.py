"""An enclosure holds every value of the function, for all functions that are known."""

import numpy as np
import pytest
import sympy as sp

from theory.symbolic.enclosure import RULES, enclose

x, y = sp.symbols("x y", real=True)
FUNCTIONS = [
    *(rule(x) for rule in RULES if rule not in (sp.asin, sp.acos, sp.atanh, sp.acosh, sp.log)),
    sp.log(x**2 + 1),
    sp.asin(x / 20),
    sp.acos(x / 20),
    sp.atanh(x / 20),
    sp.acosh(x**2 + 1),
    sp.polygamma(0, x**2 + 1),
    sp.polygamma(1, x**2 + 1),
    x**3,
    x**-3,
    x**-2,
    sp.sqrt(x**2 + 1),
    (x**2 + 1) ** sp.Rational(-3, 2),
    (x**2 + 1) ** x,
    2**x,
    x / 3 - sp.pi * x**2,
    sp.Max(x, 1) + sp.Min(x, 2),
    x * sp.sin(x) - x,
    sp.Piecewise((x, x < 0), (x**2, True)),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_values_lie_within_the_enclosure(function: sp.Expr):
    rng = np.random.default_rng(0)
    numeric = sp.lambdify(x, function, modules=["scipy", "numpy"])
    low = rng.uniform(-10, 10, 300)
    high = low + rng.exponential(1, 300) ** 2
    least, most = enclose(function, {x: (low, high)})
    for share in np.linspace(0, 1, 23):
        with np.errstate(all="ignore"):
            values = np.broadcast_to(numeric(np.clip(low + (high - low) * share, low, high)), 300)
        slack = 1e-13 * (1 + np.abs(values))
        known = np.isfinite(values)
        assert np.all((values >= least - slack)[known])
        assert np.all((values <= most + slack)[known])


def test_infinite_ends_and_overflow_are_no_nan():
    low, high = enclose(
        sp.exp(x) - sp.exp(2 * x) + 0 * y, {x: (np.array([900.0]), np.array([np.inf]))}
    )
    assert low[0] == -np.inf
    assert high[0] == np.inf


def test_an_unknown_function_has_the_whole_line():
    low, high = enclose(sp.zeta(x), {x: (np.array([2.0]), np.array([3.0]))})
    assert (low[0], high[0]) == (-np.inf, np.inf)

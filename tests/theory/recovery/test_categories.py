"""Categorical scores against scikit-learn and closed forms."""

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from theory.errors import InputError
from theory.recovery.categories import NEIGHBOURS, categorical_score

RNG = np.random.default_rng(0)
VALUES = RNG.choice(4, size=2000, p=[0.5, 0.3, 0.15, 0.05])
CODE = VALUES[:, None] + RNG.normal(size=(2000, 2))


def halves(code: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
    return code[:1000], values[:1000], code[1000:], values[1000:]


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    x, c, y, d = halves(CODE, VALUES)
    model = KNeighborsClassifier(NEIGHBOURS).fit(x / x.std(0), c)
    expected = balanced_accuracy_score(d, model.predict(y / x.std(0)))
    # Ties between values fall otherwise: the prior breaks them here.
    assert categorical_score(x, c, y, d).balanced_accuracy == pytest.approx(expected, abs=0.03)


def test_explained_log_loss_of_gaussian_classes() -> None:
    """Two equal classes at +-1, unit noise: the best log-loss is known by quadrature."""
    values = RNG.integers(2, size=40_000)
    code = 2.0 * values[:, None] - 1 + RNG.normal(size=(40_000, 1))
    score = categorical_score(code[:20_000], values[:20_000], code[20_000:], values[20_000:])
    grid = np.linspace(-8, 8, 4001)
    density = np.exp(-((grid - 1) ** 2) / 2) / math.sqrt(2 * math.pi)
    best = np.trapezoid(density * np.log1p(np.exp(-2 * grid)), grid)
    assert score.explained <= 1 - best / math.log(2) + 0.01
    assert score.explained == pytest.approx(1 - best / math.log(2), abs=0.08)
    # Purity is the between-class share of the variance.
    assert score.purity[0] == pytest.approx(0.5, abs=0.02)
    assert score.chance == 0.5


def test_noise_tells_nothing_and_a_copy_everything() -> None:
    noise = categorical_score(*halves(RNG.normal(size=(2000, 2)), VALUES))
    assert noise.balanced_accuracy == pytest.approx(0.25, abs=0.05)
    assert noise.explained < 0.02
    assert max(map(abs, noise.purity)) < 0.03
    copy = categorical_score(*halves(VALUES[:, None].astype(float), VALUES))
    assert (copy.balanced_accuracy, copy.purity) == (1.0, (1.0,))
    assert copy.explained > 0.9


def test_odd_inputs_have_a_defined_answer() -> None:
    x, c, y, d = halves(CODE, VALUES)
    nothing = categorical_score(x[:, :0], c, y[:, :0], d)
    assert math.isnan(nothing.balanced_accuracy)
    assert nothing.purity == ()
    constant = categorical_score(np.ones_like(x), c, np.ones_like(y), d)
    assert all(map(math.isnan, constant.purity))
    unseen = categorical_score(x, c, y, np.full_like(d, 9))
    assert unseen.balanced_accuracy == 0
    assert math.isnan(unseen.explained)
    one = categorical_score(x, np.zeros_like(c), y, np.zeros_like(d))
    assert (one.balanced_accuracy, one.chance) == (1.0, 1.0)
    with pytest.raises(InputError, match="all negative"):
        categorical_score(x, np.full_like(c, -1), y, d)
    with pytest.raises(InputError, match="NaN"):
        categorical_score(x * np.nan, c, y, d)

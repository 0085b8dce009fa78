"""The shared search against scikit-learn's, one search a target."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from theory.recovery.grid import Grid


@pytest.mark.parametrize(
    ("columns", "settings"), [(2, {}), (5, {"first_rows": 100, "margin": 0.5})]
)
def test_every_r2_is_that_of_scikit_learn(columns: int, settings: dict[str, float]) -> None:
    generator = torch.Generator().manual_seed(columns)
    x = torch.randn(330, columns, generator=generator, dtype=torch.float64)
    noise = torch.randn(330, 1, generator=generator, dtype=torch.float64)
    y = torch.cat([x[:, :1] + noise, torch.sin(3 * x[:, :1]), x[:, :1] * x[:, 1:2], noise], 1)
    known, new = slice(0, 250), slice(250, None)
    grid = Grid(landmarks=64, **settings)
    chosen = grid.search(x[known], y[known])
    found = grid.refit(x[known], y[known], x[new], chosen)
    candidates = {"alpha": list(grid.alphas), "gamma": list(grid.gammas)}
    for target in range(y.shape[1]):
        model = GridSearchCV(KernelRidge(kernel="rbf"), candidates, cv=3)
        wanted = model.fit(x[known].numpy(), y[known, target].numpy()).predict(x[new].numpy())
        expected = r2_score(y[new, target].numpy(), wanted)
        score = r2_score(y[new, target].numpy(), found[:, target].numpy())
        assert score == pytest.approx(expected, abs=0.005)
    assert np.isfinite(found.numpy()).all()

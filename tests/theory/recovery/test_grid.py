"""The shared search against scikit-learn's, one search a target."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from theory.recovery.gaussian import GaussianKernel
from theory.recovery.grid import Grid
from theory.recovery.ridge import squared_distances


@pytest.mark.parametrize(("columns", "landmarks"), [(1, 64), (2, 64), (5, 0), (9, 512)])
def test_every_r2_is_that_of_scikit_learn(columns: int, landmarks: int) -> None:
    """One, two, five and nine inputs: low rank kernels, dense ones and near identities."""
    generator = torch.Generator().manual_seed(columns)
    x = torch.randn(330, columns, generator=generator, dtype=torch.float64)
    noise = torch.randn(330, 1, generator=generator, dtype=torch.float64)
    y = torch.cat([x[:, :1] + noise, torch.sin(3 * x[:, :1]), x.square().sum(1, True), noise], 1)
    known, new = slice(0, 250), slice(250, None)
    grid = Grid(landmarks=landmarks)
    chosen = grid.search(x[known], y[known])
    found = grid.refit(x[known], y[known], x[new], chosen)
    candidates = {"alpha": list(grid.alphas), "gamma": list(grid.gammas)}
    for target in range(y.shape[1]):
        model = GridSearchCV(KernelRidge(kernel="rbf"), candidates, cv=3)
        wanted = model.fit(x[known].numpy(), y[known, target].numpy()).predict(x[new].numpy())
        expected = r2_score(y[new, target].numpy(), wanted)
        score = r2_score(y[new, target].numpy(), found[:, target].numpy())
        assert score == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(("columns", "gamma"), [(1, 0.2), (2, 4.0), (6, 0.2), (6, 100.0)])
def test_predictions_are_those_of_scikit_learn(columns: int, gamma: float) -> None:
    generator = torch.Generator().manual_seed(columns)
    x = torch.randn(400, columns, generator=generator, dtype=torch.float64)
    y = torch.sin(2 * x[:, :1]) + 0.1 * torch.randn(400, 3, generator=generator).double()
    fit, asked = torch.arange(100, 400), torch.arange(100)
    kernel = GaussianKernel(
        x=x, gamma=gamma, distances=squared_distances(x, x).float(), landmarks=100
    )
    found = kernel.predict(fit, asked, y[fit], (1.0, 0.001), polish=True)
    for index, alpha in enumerate((1.0, 0.001)):
        model = KernelRidge(kernel="rbf", gamma=gamma, alpha=alpha).fit(x[fit], y[fit])
        np.testing.assert_allclose(found[:, index], model.predict(x[asked]), atol=0.005)

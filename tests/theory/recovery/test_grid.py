"""The shared search against scikit-learn's, one search a target."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from torch.utils._python_dispatch import TorchDispatchMode

from theory.errors import InputError
from theory.recovery.gaussian import ROWS
from theory.recovery.grid import Grid


def plain(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Linear and noisy, wavy, a sum of squares, and noise."""
    generator = torch.Generator().manual_seed(columns)
    x = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    noise = torch.randn(rows, 1, generator=generator, dtype=torch.float64)
    y = [x[:, :1] + noise, torch.sin(3 * x[:, :1]), x.square().sum(1, True), noise]
    return x, torch.cat(y, 1)


def heavy(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets whose largest rows hold most of their variance."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    noise = rng.standard_t(2, size=rows)
    y = [x[:, 0], np.exp(1.5 * x[:, 0]), noise / 10 + x[:, 0], np.sinh(2 * x[:, 1])]
    return torch.from_numpy(x), torch.from_numpy(np.stack(y, 1))


PROBLEMS = {
    # Low rank kernels, dense ones and near identities.
    "1 input": (*plain(330, 1), 64),
    "2 inputs": (*plain(330, 2), 64),
    "5 inputs": (*plain(330, 5), 0),
    "9 inputs": (*plain(330, 9), 512),
    # Few rows, on which errors differ by more than their means do.
    "heavy tails, 200 rows": (*heavy(300, 7), 512),
    "heavy tails, 120 rows": (*heavy(220, 22), 512),
    "heavy tails, 90 rows": (*heavy(190, 21), 512),
    "heavy tails, 61 rows": (*heavy(161, 23), 16),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_choice_and_every_r2_is_that_of_scikit_learn(problem: str) -> None:
    x, y, landmarks = PROBLEMS[problem]
    rows = len(x) - (80 if "input" in problem else 100)
    known, new = slice(0, rows), slice(rows, None)
    y = (y - y[known].mean(0)) / y[known].std(0)
    grid = Grid(landmarks=landmarks)
    chosen = grid.search(x[known], y[known])
    found = grid.refit(x[known], y[known], x[new], chosen)
    candidates = {"alpha": list(grid.alphas), "gamma": list(grid.gammas)}
    for target, pair in enumerate(chosen):
        model = GridSearchCV(KernelRidge(kernel="rbf"), candidates, cv=3)
        wanted = model.fit(x[known].numpy(), y[known, target].numpy()).predict(x[new].numpy())
        assert pair == (model.best_params_["gamma"], model.best_params_["alpha"])
        expected = r2_score(y[new, target].numpy(), wanted)
        score = r2_score(y[new, target].numpy(), found[:, target].numpy())
        # A low rank form may raise the penalty by half.
        assert score == pytest.approx(expected, abs=1e-3 if 2 * landmarks <= rows else 1e-8)


class Largest(TorchDispatchMode):
    """The largest number of entries of any tensor made."""

    entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.entries = max(self.entries, tensor.numel())
        return made


@pytest.mark.parametrize("landmarks", [0, 64])
def test_no_tensor_pairs_all_rows_to_predict_with_all_rows_to_fit(landmarks: int) -> None:
    x, y = plain(5_300, 1)
    grid = Grid(landmarks=landmarks)
    with Largest() as largest:
        grid.refit(x[:300], y[:300], x[300:], [(0.01, 0.001), (10 ** (2 / 3), 0.1)] * 2)
    assert largest.entries <= max(300 * 300, 300 * ROWS, 4 * len(x))


def test_too_many_and_too_few_rows_are_refused() -> None:
    x, y = plain(200, 1)
    with pytest.raises(InputError, match="5 rows for 3 folds"):
        Grid().search(x[:5], y[:5])
    grid = Grid(most_rows=199)
    with pytest.raises(InputError, match=r"fitted on 200 rows.*at most 199.*Ridge\(\)"):
        grid.search(x, y)
    with pytest.raises(InputError, match="fitted on 200 rows"):
        grid.refit(x, y, x, [(0.01, 1.0)] * 4)

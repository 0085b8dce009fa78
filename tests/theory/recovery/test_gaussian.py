"""Kernel ridge by each of its three ways against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from theory.errors import InputError
from theory.recovery.gaussian import GaussianKernel, _direct, gaussian


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 5e-3), (torch.float64, 2e-3)])
@pytest.mark.parametrize(("columns", "gamma"), [(1, 0.2), (2, 4.0), (6, 0.2), (6, 100.0)])
def test_predictions_are_those_of_scikit_learn(
    columns: int, gamma: float, precision: torch.dtype, tolerance: float
) -> None:
    generator = torch.Generator().manual_seed(columns)
    x = torch.randn(400, columns, generator=generator, dtype=torch.float64)
    y = torch.sin(2 * x[:, :1]) + 0.1 * torch.randn(400, 3, generator=generator).double()
    kernel = GaussianKernel(gamma=gamma, landmarks=100, precision=precision)
    found = kernel.predict(x[100:], y[100:], x[:100], (1.0, 0.001))
    for index, alpha in enumerate((1.0, 0.001)):
        model = KernelRidge(kernel="rbf", gamma=gamma, alpha=alpha).fit(x[100:], y[100:])
        np.testing.assert_allclose(found[:, index], model.predict(x[:100]), atol=tolerance)


def test_a_system_that_float32_makes_indefinite_is_solved_in_float64() -> None:
    """Every row twice: K + alpha I has the eigenvalue alpha = 1e-8."""
    half = torch.eye(25) / 2 + 0.5
    kernel = half.repeat(2, 2)
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(kernel.numpy() + np.float32(1e-8) * np.eye(50, dtype=np.float32))
    y = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = torch.linalg.solve(kernel.double() + 1e-8 * torch.eye(50), y)
    torch.testing.assert_close(_direct(kernel.clone(), y, 1e-8), wanted, rtol=1e-6, atol=1)


def test_entries_are_those_of_scikit_learn_and_none_is_denormal() -> None:
    x = 30 * torch.randn(300, 3, generator=torch.Generator().manual_seed(0)).double()
    found = gaussian(x, x[:7], gamma=0.3, precision=torch.float32)
    wanted = rbf_kernel(x.numpy(), x[:7].numpy(), gamma=0.3)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert wanted.min() < 1e-300
    assert float(found.min()) >= 9e-14


def test_a_penalty_of_nothing_on_repeated_rows_is_refused() -> None:
    x = torch.zeros(8, 2, dtype=torch.float64)
    kernel = GaussianKernel(gamma=0.1, landmarks=0, precision=torch.float64)
    with pytest.raises(InputError, match="the penalty is 0"):
        kernel.predict(x, x, x, (0.0,))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize(("columns", "gamma"), [(1, 0.2), (2, 4.0), (6, 0.2), (6, 100.0)])
def test_on_a_gpu_it_says_the_same(columns: int, gamma: float, precision: torch.dtype) -> None:
    x = torch.randn(400, columns, generator=torch.Generator().manual_seed(0)).double()
    y = torch.sin(2 * x[:, :1])
    kernel = GaussianKernel(gamma=gamma, landmarks=100, precision=precision)
    here = kernel.predict(x[100:], y[100:], x[:100], (1.0, 0.001))
    there = kernel.predict(*(part.cuda() for part in (x[100:], y[100:], x[:100])), (1.0, 0.001))
    tolerance = 5e-3 if precision is torch.float32 else 1e-6
    torch.testing.assert_close(there.cpu(), here, atol=tolerance, rtol=0)

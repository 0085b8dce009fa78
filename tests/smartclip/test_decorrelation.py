"""Decorrelation: against numpy's covariance, on copies, and its gradient."""

import numpy as np
import pytest
import torch

from smartclip.decorrelation import decorrelation


def draw(samples: int = 64, coordinates: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(samples, coordinates, dtype=torch.float64, generator=generator)


def test_it_is_the_sum_of_squared_covariances_of_pairs():
    image = draw() + 3
    covariance = np.cov(image.numpy().T, bias=True)
    upper = covariance[np.triu_indices(5, 1)]
    assert decorrelation(image).item() == pytest.approx((upper**2).sum(), rel=1e-10)


def test_a_copy_costs_more_than_a_curved_function_and_that_more_than_something_new():
    first, other = draw(4096, 2).unbind(1)

    def cost(second: torch.Tensor) -> float:
        columns = torch.stack([first, (second - second.mean()) / second.std()], 1)
        return decorrelation(columns).item()

    assert cost(first) > cost(first**3) > 10 * cost(other)


def test_gradient():
    assert torch.autograd.gradcheck(decorrelation, draw(8, 3).requires_grad_())


@pytest.mark.gpu
def test_on_a_gpu_it_is_what_it_is_on_a_cpu():
    image = draw()
    assert decorrelation(image.cuda()).item() == pytest.approx(decorrelation(image).item())

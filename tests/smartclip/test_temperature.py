import doctest
import math

import pytest
import torch

import smartclip.temperature
from smartclip.temperature import Temperature
from theory.errors import InputError


def test_a_learned_scale_comes_back_from_its_bound():
    temperature = Temperature(90.0)
    optimiser = torch.optim.SGD(temperature.parameters(), lr=1.0)
    for _ in range(3):  # upwards, far past the bound
        optimiser.zero_grad()
        (-temperature()).backward()
        optimiser.step()
    assert temperature().item() == pytest.approx(100)
    optimiser.zero_grad()
    (temperature() / 100).backward()
    optimiser.step()
    assert temperature().item() == pytest.approx(100 / math.e, rel=1e-4)


def test_a_fixed_scale_has_no_parameter_and_is_saved():
    temperature = Temperature(2.0, learned=False)
    assert list(temperature.parameters()) == []
    other = Temperature(5.0, learned=False)
    other.load_state_dict(temperature.state_dict())
    assert other().item() == pytest.approx(2)


def test_two_forwards_before_one_backward():
    temperature = Temperature()
    (temperature() + temperature()).backward()
    assert temperature.log_scale.grad.item() == pytest.approx(2 / 0.07, rel=1e-5)


@pytest.mark.parametrize(("scale", "largest"), [(0.0, 100.0), (101.0, 100.0), (1.0, math.inf)])
def test_bad_input_is_named(scale, largest):
    with pytest.raises(InputError, match="scale"):
        Temperature(scale, largest=largest)


def test_examples_run():
    assert doctest.testmod(smartclip.temperature).failed == 0

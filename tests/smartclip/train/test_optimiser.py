import copy

import pytest
import torch
from torch import nn

from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.config import TrainConfig
from smartclip.train.optimiser import (
    OptimiserConfig,
    WeightAverage,
    clip_gradients,
    make_optimiser,
)
from theory.errors import InputError


def small():
    torch.manual_seed(0)
    config = MLPConfig(width=8, depth=1)
    text = MLPTextTower(3, 6, config, state_width=8)
    return SmartCLIP(MLPImageTower(4, 6, config), text, width=text.width, dimension=6, heads=2)


def test_published_settings_give_each_part_its_rate_and_decay():
    model = small()
    config = TrainConfig(learning_rate=1e-6, mask_learning_rate=1e-3, budget_learning_rate=1e-2)
    optimiser = make_optimiser(model, config, OptimiserConfig(weight_decay=1e-2))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(parameter)]: (group["peak"], group["weight_decay"])
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert found.keys() == set(names.values())
    for name, settings in found.items():
        part = name.partition(".")[0]
        decays = part.endswith("tower") and name.endswith("weight")
        rate = {"mask_network": 1e-3, "shared_logits": 1e-2}.get(part, 1e-6)
        assert settings == (rate, 1e-2 if decays else 0.0), name


@pytest.mark.parametrize("longest", [0.1, 1e6])
def test_clipping_is_that_of_torch(longest):
    model = small()
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    model.shared_logits.grad = None
    twin = copy.deepcopy(model)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        other.grad = None if one.grad is None else one.grad.clone()
    expected = nn.utils.clip_grad_norm_(twin.parameters(), longest)
    torch.testing.assert_close(clip_gradients(list(model.parameters()), longest), expected)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert one.grad is other.grad or torch.allclose(one.grad, other.grad)


def test_the_average_follows_its_formula():
    model = small()
    start = model.image_tower.project.bias.detach().clone()
    average = WeightAverage(model, 0.75)
    with torch.no_grad():
        model.image_tower.project.bias += 4
    average.update(model)
    average.update(model)
    average.copy_to(model)
    torch.testing.assert_close(model.image_tower.project.bias, start + 4 * (1 - 0.75**2))


@pytest.mark.parametrize(
    "change",
    [{"weight_decay": -0.1}, {"clip_norm": 0.0}, {"ema_decay": 1.0}, {"first_moment": 1.0}],
    ids=str,
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        OptimiserConfig(**change)

"""Each ablation is one word, and trains."""

from dataclasses import replace

import pytest
import torch

from experiments.recipes.ablations import ablated, ablations
from experiments.recipes.vectors import VectorRecipe, identifying
from smartclip.towers.mlp import MLPConfig
from smartclip.train.loop import train
from theory.errors import InputError

SMALL = VectorRecipe(
    tower=MLPConfig(width=8, depth=1),
    train=replace(identifying(), steps=8, refine_steps=2, batch_size=16, checkpoint_every=100),
)


@pytest.mark.parametrize("name", ablations())
def test_an_ablation_trains(name, tmp_path):
    recipe = ablated(SMALL, name)
    assert (recipe == SMALL) == (name == "whole")
    world = recipe.world()
    model = recipe.model(world, torch.device("cpu"))
    start = model.text_tower.project.weight.detach().clone()
    how = {"objective": recipe.objective, "quiet": True}
    train(model, recipe.source(world), recipe.train, tmp_path, **how)
    assert not torch.equal(model.text_tower.project.weight, start)
    mask = model.encode_text(world.sample(16, seed=0).text)[1]
    # Masks of the published model start all ones, and ten steps do not close a gate.
    assert mask.eq(1).all() == (name in ("published", "clip", "long-clip"))


def test_an_unknown_ablation_is_refused():
    with pytest.raises(InputError, match="ablation 'masks'"):
        ablated(SMALL, "masks")

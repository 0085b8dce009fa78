"""The published settings, and twins that differ in size only."""

import json
from dataclasses import asdict
from itertools import pairwise

import pytest
import torch

from experiments.recipes.published import RECIPES, vit_b_16, vit_l_14
from smartclip.gates import hard_gate
from smartclip.train.config import TrainConfig
from smartclip.train.optimiser import make_optimiser
from smartclip.train.schedule import learning_rate_factor, pruning, thinning
from theory.errors import InputError


@pytest.mark.parametrize(
    ("recipe", "dimension", "heads"), [(vit_b_16(), 512, 8), (vit_l_14(), 768, 12)]
)
def test_the_published_settings(recipe, dimension, heads):
    train, size = recipe.train, recipe.architecture
    assert (size.dimension, size.text.width, recipe.heads) == (dimension, dimension, heads)
    assert (size.text.context, recipe.kept, size.quick_gelu) == (248, 20, True)
    assert (train.similarity, train.logit_scale, train.budget) == ("cosine", 100, 0)
    assert (train.learning_rate, train.mask_learning_rate) == (1e-6, 1e-3)
    assert (recipe.optimiser.weight_decay, train.batch_size, recipe.epochs) == (1e-2, 1024, 3)
    assert (recipe.gate, recipe.policy, recipe.split) == ("straight_through", "prefix", "published")
    # 2 mean|m| + 10 (H + H), up to a factor, is (H + H) / 2 + sparsity |m|.
    whole = 2 / dimension, 10.0
    ours = train.sparsity, 0.5
    assert whole[0] / whole[1] == pytest.approx(ours[0] / ours[1])


def test_rates_warm_up_and_fall_along_a_cosine():
    train = vit_b_16().for_data(3_000 * 1024).train
    assert train.steps == 9_000
    factors = [learning_rate_factor(step, train) for step in range(train.steps)]
    assert factors[:200] == pytest.approx([(step + 1) / 200 for step in range(200)])
    assert factors[200 + 4400] == pytest.approx(0.5)
    assert factors[-1] < 1e-6
    assert all(after < before for before, after in pairwise(factors[200:]))
    assert {thinning(step, train) for step in (0, 1, 8_999)} == {1.0}
    assert pruning(0, train) == 1.0


def test_a_cosine_has_no_phases():
    with pytest.raises(InputError, match="schedule"):
        TrainConfig(schedule="cosine", refine_steps=10)
    with pytest.raises(InputError, match="schedule"):
        TrainConfig(schedule="cosine", refine_steps=0, align_until=0.1, prune_from=0.2)


@pytest.mark.parametrize("name", RECIPES)
def test_a_twin_differs_in_size_only(name: str):
    full, twin = RECIPES[name](seed=5), RECIPES[name](seed=5).debug()
    size = {"name", "record", "model", "weights", "heads", "epochs", "train", "execution"}
    changed = {key for key in asdict(full) if asdict(full)[key] != asdict(twin)[key]}
    assert changed <= size
    size = {"steps", "batch_size", "warm_up_steps", "sparsity", "log_every", "checkpoint_every"}
    before, after = asdict(full.train), asdict(twin.train)
    assert {key for key in before if before[key] != after[key]} <= size
    assert twin.train.sparsity * 16 == pytest.approx(
        full.train.sparsity * full.architecture.dimension
    )
    assert "not yet run" in full.record.minutes
    json.dumps(full.to_dict())


def test_training_starts_from_exactly_the_clip_of_the_weights():
    model, found = vit_b_16(seed=1).debug().make(torch.device("cpu"))
    again, _ = vit_b_16(seed=1).debug().make(torch.device("cpu"))
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[name])
    tokens = vit_b_16().tokenizer.tokenise(["a bear", "a pen. a chair"])
    with torch.no_grad():
        text, mask = model.encode_text(tokens)
        torch.testing.assert_close(text, found.text_tower(tokens)[0])
    assert mask.all()
    assert hard_gate(model.mask_network.score.bias).all()


def test_decay_is_for_the_backbone_only():
    recipe = vit_b_16().debug()
    model, _ = recipe.make(torch.device("cpu"))
    optimiser = make_optimiser(model, recipe.train, recipe.optimiser)
    masks = {id(parameter) for parameter in model.mask_network.parameters()}
    for group in optimiser.param_groups:
        of_masks = {id(parameter) in masks for parameter in group["params"]}
        assert len(of_masks) == 1
        assert group["lr"] == (1e-3 if of_masks == {True} else 1e-6)
        if of_masks == {True}:
            assert group["weight_decay"] == 0
    decays = {group["weight_decay"] for group in optimiser.param_groups}
    assert decays == {0.0, 1e-2}


def test_too_few_pictures_are_refused():
    with pytest.raises(InputError, match="1,000 pictures for batches of 1024"):
        vit_b_16().for_data(1_000)

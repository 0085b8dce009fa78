"""The digits run from end to end at toy size: what it writes, and that CLIP gets the same deal."""

import json
from dataclasses import replace

import pytest
import torch

from experiments.pictures import train_pictures
from experiments.recipes.digits import DigitPictures, DigitSource, digits
from experiments.recipes.pictures import as_clip
from smartclip.gates import hard_gate
from smartclip.model import SmartCLIP
from smartclip.text import Tokenizer


@pytest.fixture(scope="module")
def recipe():
    full = digits(seed=3)
    train = replace(full.train, steps=6, batch_size=16, log_every=2, checkpoint_every=4)
    return replace(full, train=train, clip=as_clip(train))


@pytest.fixture(scope="module")
def result(recipe, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return train_pictures(recipe, root, device=torch.device("cpu"), quiet=True)


def test_retrieval_of_both_models_beside_chance(result):
    table = result.table()
    assert set(table["model"]) == {"SmartCLIP, masked", "SmartCLIP, unmasked", "CLIP"}
    assert {"R@1", "R@5", "R@10", "chance@1", "chance@10"} <= set(table.columns)
    # 1,000 queries, each right for about 1 % of the scenes by chance.
    assert table["chance@1"].between(0.5, 2).all()


def test_what_is_kept(result):
    path = result.folder.path
    kept = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert {
        "config.json", "versions.json", "result.json", "tokenizer.json",
        "smartclip/metrics.jsonl", "smartclip/checkpoint.safetensors",
        "clip/metrics.jsonl", "clip/checkpoint.safetensors",
        "figures/sheet.png", "figures/retrieval.png", "figures/readout.png",
        "figures/masks.png", "figures/training.png",
    } <= kept  # fmt: skip
    assert json.loads((path / "result.json").read_text())["readout"].keys() == {"SmartCLIP", "CLIP"}
    assert "plain CLIP" in result.section().verdict


def test_clip_gets_the_same_towers_batches_and_steps(recipe):
    tokenizer = Tokenizer.fit(["a seven in the top left", "lower right: 2"])
    cpu = torch.device("cpu")
    ours, clip = (recipe.model(tokenizer, cpu, clip=flag) for flag in (False, True))
    assert {n for n, _ in ours.image_tower.named_parameters()} == {
        n for n, _ in clip.image_tower.named_parameters()
    }
    assert torch.equal(
        ours.image_tower.transformer.conv1.weight, clip.image_tower.transformer.conv1.weight
    )
    assert (recipe.train.steps, recipe.train.batch_size, recipe.train.seed) == (
        recipe.clip.steps, recipe.clip.batch_size, recipe.clip.seed,
    )  # fmt: skip
    assert clip.all_open
    assert not ours.all_open


def test_a_caption_is_right_about_every_scene_it_describes():
    data = DigitPictures()
    gallery = data.galleries()[0]
    batch = data.test.sample(len(gallery.texts), seed=1_000_003)
    caption = 17
    places = sorted(data.family.captions[batch.caption[caption]])
    columns = [data.family.concepts.index(place) for place in places]
    same = (batch.z[:, columns] == batch.z[caption, columns]).all(1)
    assert torch.equal(gallery.relevant[:, caption], same)
    assert gallery.relevant[caption, caption]


def test_batches_are_a_pure_function_of_seed_and_step():
    data = DigitPictures()
    first, again = (DigitSource(data.train, data.tokenizer, seed=5) for _ in range(2))
    first.batch(0, 4, torch.device("cpu"))
    for ours, theirs in zip(
        first.batch(3, 4, torch.device("cpu")), again.batch(3, 4, torch.device("cpu")), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_masks_are_hard_after_training(recipe, result):
    assert isinstance(recipe.model(Tokenizer.fit(["a"]), torch.device("cpu"), clip=True), SmartCLIP)
    assert set(result.code.mask.unique().tolist()) <= {0.0, 1.0}
    assert hard_gate(torch.tensor([-1.0, 1.0])).tolist() == [0.0, 1.0]

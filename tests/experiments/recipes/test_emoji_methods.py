"""SmartCLIP, CLIP and Long-CLIP get the same deal."""

from dataclasses import replace

import pytest
import torch

from experiments.recipes.emoji import TwoCaptionSource
from experiments.recipes.emoji_methods import clip, long_clip, smartclip
from smartclip.text import Tokenizer

CPU = torch.device("cpu")
METHODS = [make(seed=4, steps=3) for make in (clip, long_clip, smartclip)]


@pytest.fixture(scope="module")
def tokenizer(emoji_twin):
    rows = range(len(emoji_twin))
    return Tokenizer.fit(caption.text for row in rows for caption in emoji_twin.captions_of(row))


def test_steps_batches_rates_and_towers_are_alike(tokenizer):
    same = ("steps", "refine_steps", "batch_size", "learning_rate", "seed", "schedule")
    assert len({tuple(getattr(m.train, name) for name in same) for m in METHODS}) == 1
    towers = [method.model(tokenizer, CPU) for method in METHODS]
    first = towers[0].state_dict()
    for model in towers[1:]:
        for name, tensor in model.state_dict().items():
            if name.startswith("image_tower") or name == "text_tower.projection":
                expected = first[name] * (1 if model.all_open or "image" in name else 0.1)
                assert torch.allclose(tensor, expected), name
    assert [model.all_open for model in towers] == [True, True, False]


def test_the_second_caption_is_one_of_the_picture_and_the_first_its_label(emoji_twin, tokenizer):
    source = TwoCaptionSource(emoji_twin, tokenizer, seed=5)
    images, tokens = source.batch(3, 40, CPU)
    drawn = emoji_twin.sample(40, seed=5, start=120)
    assert torch.equal(images, drawn.image)
    labels = [emoji_twin.emoji[row].label for row in drawn.index.tolist()]
    assert torch.equal(tokens[:, 0], tokenizer.tokenise(labels))
    assert torch.equal(tokens[:, 1], tokenizer.tokenise(drawn.text))
    assert (tokens[:, 0] != tokens[:, 1]).any()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_what_is_trained_is_not_trained_again(emoji_twin, tokenizer, tmp_path, method, monkeypatch):
    small = replace(method, train=replace(method.train, batch_size=8))
    first, folder = small.trained(emoji_twin, tokenizer, tmp_path, device=CPU, quiet=True)
    monkeypatch.setattr(TwoCaptionSource, "batch", None)
    again, same = small.trained(emoji_twin, tokenizer, tmp_path, device=CPU, quiet=True)
    assert folder == same
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name

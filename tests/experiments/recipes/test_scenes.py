"""Scenes as pictures with worded captions: what is right about what."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.recipes.scenes import MEASURE_SEED, ScenePictures, scenes
from simulators.reading import read_scene
from smartclip.train.source import PairSource

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> ScenePictures:
    return ScenePictures()


def test_values_number_what_the_latents_say(data: ScenePictures):
    batch = data.world.sample(200, seed=3)
    values = data.values(batch)
    assert values.shape == (200, len(data.family.concepts))
    position = list(data.family.concepts).index("left position")
    first = sum(data.family.space.sizes[:position])
    assert len(np.unique(values[:, position])) == 6
    same = values[:, None, position] == values[None, :, position]
    z = batch.z[:, first : first + 2].numpy()
    np.testing.assert_array_equal(same, (z[:, None] == z[None]).all(2))


def test_a_caption_is_right_about_scenes_that_have_what_it_says(data: ScenePictures):
    (gallery,) = data.galleries()
    batch = data.world.sample(len(gallery.texts), seed=MEASURE_SEED + 1)
    assert gallery.relevant.diagonal().all()
    caption = 7
    named = [str(name) for name in data.family.captions[int(batch.caption[caption])]]
    columns = [list(data.family.concepts).index(name) for name in named]
    values = data.values(batch)[:, columns]
    expected = (values == values[caption]).all(1)
    np.testing.assert_array_equal(gallery.relevant[:, caption].numpy(), expected)
    assert 1 <= expected.sum() < len(expected) / 2


def test_every_caption_fits_and_every_piece_is_known(data: ScenePictures):
    texts = [str(text) for text in data.world.sample(1_000, seed=11).text]
    assert data.tokenizer.too_long(texts) == []
    assert data.tokenizer.unseen(texts) == 0


def test_rows_are_those_of_the_batch(data: ScenePictures):
    source = data.source(4)
    images, tokens = source.batch(2, 6, CPU)
    some = source.rows(2, 6, slice(2, 5), CPU)
    assert torch.equal(images[2:5], some[0])
    assert torch.equal(tokens[2:5], some[1])


def test_pairs_are_two_captions_of_the_pictures_of_a_batch(data: ScenePictures):
    source = data.source(4)
    assert isinstance(source, PairSource)
    one, other = source.pairs(2, 50, CPU)
    assert torch.equal(one, source.batch(2, 50, CPU)[1])
    twice = [data.world.texts(50, seed=4, start=100, draw=draw) for draw in (0, 1)]
    assert torch.equal(other, data.tokenizer.tokenise(list(map(str, twice[1]))))
    for first, second in zip(*(map(read_scene, map(str, texts)) for texts in twice), strict=True):
        assert all(first[concept] == second[concept] for concept in first.keys() & second.keys())


def test_captions_share_gates_only_where_a_budget_is_charged(data: ScenePictures):
    free = scenes(seed=0).debug()
    charged = replace(free, train=replace(free.train, budget=0.05))
    assert free.model(data.tokenizer, CPU, clip=False).shared_logits is None
    assert charged.model(data.tokenizer, CPU, clip=False).shared_logits is not None
    assert charged.model(data.tokenizer, CPU, clip=True).shared_logits is None


def test_what_is_known_of_a_caption_is_what_it_says(data: ScenePictures):
    batch = data.world.sample(300, seed=6)
    known = data.known(batch)
    assert known.said.shape == (300, len(known.words)) == (300, 62)
    assert (known.said.sum(1) == 3).all()
    assert torch.equal(known.latents, batch.z)
    for text, said in zip(batch.text, known.said, strict=True):
        named = [read_scene(known.words[word]) for word in np.flatnonzero(said)]
        assert {concept: value for one in named for concept, value in one.items()} == read_scene(
            str(text)
        )


def test_a_twin_is_small_and_costs_no_setting():
    full, twin = scenes(seed=2), scenes(seed=2).debug()
    assert twin.train.sparsity == full.train.sparsity
    assert twin.train.total_steps < 10 < full.train.total_steps
    assert "CLIP not yet run" in full.record.minutes
    assert "record" not in full.to_dict()

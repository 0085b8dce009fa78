"""Scenes as pictures with worded captions: what is right about what."""

import numpy as np
import pytest
import torch

from experiments.datasets.scenes import MEASURE_SEED, SceneData, Scenes
from simulators.reading import read_scene
from smartclip.train.source import PairSource, RowSource

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> SceneData:
    return Scenes().load()


def test_values_number_what_the_latents_say(data: SceneData):
    batch = data.world.sample(200, seed=3)
    values = data.values(batch)
    assert values.shape == (200, len(data.family.concepts))
    position = list(data.family.concepts).index("left position")
    first = sum(data.family.space.sizes[:position])
    assert len(np.unique(values[:, position])) == 6
    same = values[:, None, position] == values[None, :, position]
    z = batch.z[:, first : first + 2].numpy()
    np.testing.assert_array_equal(same, (z[:, None] == z[None]).all(2))


def test_a_caption_is_right_about_scenes_that_have_what_it_says(data: SceneData):
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


def test_every_caption_fits_and_every_piece_is_known(data: SceneData):
    texts = [str(text) for text in data.world.sample(1_000, seed=11).text]
    assert data.tokenizer.too_long(texts) == []
    assert data.tokenizer.unseen(texts) == 0


def test_rows_are_those_of_the_batch(data: SceneData):
    with data.source(seed=4, captions=1) as source:
        images, tokens = source.batch(2, 6, CPU)
        assert isinstance(source, RowSource)
        some = source.rows(2, 6, slice(2, 5), CPU)
    assert torch.equal(images[2:5], some[0])
    assert torch.equal(tokens[2:5], some[1])


def test_pairs_are_two_captions_of_the_pictures_of_a_batch(data: SceneData):
    with data.source(seed=4, captions=1) as source:
        assert isinstance(source, PairSource)
        one, other = source.pairs(2, 50, CPU)
        assert torch.equal(one, source.batch(2, 50, CPU)[1])
    twice = [data.world.texts(50, seed=4, start=100, draw=draw) for draw in (0, 1)]
    assert torch.equal(other, data.tokenizer.tokenise(list(map(str, twice[1]))))
    for first, second in zip(*(map(read_scene, map(str, texts)) for texts in twice), strict=True):
        assert all(first[concept] == second[concept] for concept in first.keys() & second.keys())


def test_what_is_known_of_a_caption_is_what_it_says(data: SceneData):
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


def test_a_twin_is_small_and_has_the_phases_of_the_whole():
    full, twin = Scenes().method("ours"), Scenes(debug=True).method("ours")
    assert twin.steps < 10 < full.steps == 10_000
    assert full.captions_first is not None
    assert full.captions_first.steps == 3000
    assert [phase.gates for phase in full.phases] == ["open", "open", "drawn", "drawn", "held"]
    assert not full.phases[0].captions_learn
    assert not full.model.shared_gates

"""Scenes of handwriting: what a caption is right about."""

import torch

from experiments.datasets.digits import MEASURE_SEED, Digits


def test_a_caption_is_right_about_every_scene_it_describes():
    data = Digits().load()
    gallery = data.galleries()[0]
    batch = data.test.sample(len(gallery.texts), seed=MEASURE_SEED)
    caption = 17
    places = sorted(map(str, data.family.captions[int(batch.caption[caption])]))
    columns = [data.family.concepts.index(place) for place in places]
    same = (batch.z[:, columns] == batch.z[caption, columns]).all(1)
    assert torch.equal(gallery.relevant[:, caption], same)
    assert gallery.relevant[caption, caption]


def test_handwriting_that_is_asked_about_never_occurs_in_training():
    data = Digits().load()
    seen, held_out = data.labelled(held_out=False), data.labelled(held_out=True)
    assert not torch.equal(seen.images[:100], held_out.images[:100])
    assert (data.train.split, data.test.split) == ("train", "test")

import pytest
import torch

from simulators import DigitWorld
from simulators.digits import PLACES, _handwriting, read_digits
from theory.captions import CaptionFamily
from theory.errors import InputError


def test_captions_are_read_back_into_exactly_their_mask_and_digits():
    world = DigitWorld()
    batch = world.sample(20_000, seed=0)
    masks = world.family.matrix[batch.caption]
    digits = batch.z.long().tolist()
    for sentence, mask, values in zip(batch.text, masks, digits, strict=True):
        expected = {
            place: value for place, value, named in zip(PLACES, values, mask, strict=True) if named
        }
        assert read_digits(sentence) == expected


def test_every_place_is_identified_alone_and_none_is_named_alone():
    family = DigitWorld().family
    assert all(family.closure(place) == {place} for place in PLACES)
    assert all(len(caption) == 2 for caption in family.captions)


def test_images_hold_the_handwriting_and_keep_off_each_other():
    world = DigitWorld()
    batch = world.sample(200, seed=0)
    assert batch.image.shape == (200, 1, 20, 20)
    assert batch.image.min() == 0
    assert batch.image.max() == 1
    glyphs = world._glyphs[world.writings(batch.z.double(), batch.image_noise.double())]
    cells = batch.image.view(200, 2, 10, 2, 10).permute(0, 1, 3, 2, 4).reshape(200, 4, 10, 10)
    torch.testing.assert_close(cells.sum((2, 3)), glyphs.sum((2, 3)))


def test_held_out_handwriting_never_occurs_in_training():
    train, test = DigitWorld(), DigitWorld(split="test")
    ours = {tuple(glyph.flatten().tolist()) for glyph in train._glyphs}
    theirs = {tuple(glyph.flatten().tolist()) for glyph in test._glyphs}
    assert not ours & theirs
    for world in (train, test):
        batch = world.sample(8000, seed=0)
        chosen = world.writings(batch.z.double(), batch.image_noise.double())
        assert (world._count.cumsum(0)[batch.z.long()] > chosen).all()
        assert len(chosen.unique()) == len(world._glyphs)
        assert ((world._count.cumsum(0) - world._count)[batch.z.long()] <= chosen).all()


def test_a_sample_does_not_depend_on_its_batch():
    world = DigitWorld()
    whole, part = world.sample(50, seed=2), world.sample(10, seed=2, start=20)
    assert torch.equal(whole.image[20:30], part.image)
    assert whole.text[20:30] == part.text
    assert world.sample(50, seed=2, draw=1).text != whole.text


def test_the_swap_keeps_the_digits_of_the_block():
    world = DigitWorld()
    batch = world.sample(300, seed=0)
    swapped = world.swap(batch, ["top left"], seed=1)
    assert torch.equal(swapped.z[:, 0], batch.z[:, 0])
    same = (swapped.z[:, 1:] == batch.z[:, 1:]).float().mean().item()
    assert same == pytest.approx(0.1, abs=0.05)


def test_bad_worlds_are_refused():
    with pytest.raises(InputError, match="places"):
        DigitWorld(CaptionFamily.from_captions([["a", "b", "c", "d"]]))
    with pytest.raises(InputError, match="split"):
        _handwriting("validation")

import pytest
import torch

from simulators import SceneWorld
from simulators.captions import SubsetsOfSize, full_caption
from simulators.latents import Independent
from simulators.marginals import Discrete
from simulators.randomness import Stream, uniforms
from simulators.reading import read_scene
from simulators.scenes import CONCEPTS, LEVELS, SIZES
from theory.captions import CaptionFamily
from theory.errors import InputError


@pytest.mark.parametrize(
    "captions",
    [None, SubsetsOfSize(CONCEPTS, 1, sizes=SIZES), SubsetsOfSize(CONCEPTS, 7, sizes=SIZES)],
)
@pytest.mark.parametrize("n", [3000, pytest.param(34_000, marks=pytest.mark.slow)])
def test_captions_are_read_back_into_exactly_their_mask_and_values(captions, n):
    """By an independent reader; the slow case reads 102,000 captions over the three families."""
    world = SceneWorld(captions)
    z = world._draw(n, 0, 0, Stream.LATENTS)
    mentions = world.mentions(n, seed=0)
    u = uniforms(n, world.noise.text, seed=0, stream=Stream.TEXT_NOISE)
    texts = world.say(z, mentions.caption, torch.special.ndtri(u))
    masks = world.family.matrix[mentions.caption]
    columns = {concept: world.family.space.columns([concept]) for concept in CONCEPTS}
    for text, mask, row in zip(texts, masks, z.long().tolist(), strict=True):
        expected = {
            concept: tuple(row[column] for column in columns[concept])
            for concept, named in zip(CONCEPTS, mask, strict=True)
            if named
        }
        assert read_scene(text) == expected


def test_every_concept_is_identified_alone_by_default():
    family = SceneWorld().family
    assert family.sizes == tuple(len(levels) for levels in LEVELS.values())
    assert all(family.closure(concept) == {concept} for concept in CONCEPTS)


def test_a_sample_does_not_depend_on_its_batch():
    world = SceneWorld()
    whole, part = world.sample(100, seed=2), world.sample(30, seed=2, start=50)
    torch.testing.assert_close(whole.image[50:80], part.image, atol=1e-5, rtol=0)
    assert whole.text[50:80] == part.text
    assert torch.equal(whole.z[50:80], part.z)


@pytest.mark.parametrize("concept", CONCEPTS)
def test_every_value_can_be_seen(concept):
    """Changing one concept, and nothing else, changes the image, by more than its noise does."""
    world = SceneWorld()
    batch = world.sample(40, seed=0)
    z, noise = batch.z.double(), batch.image_noise.double()
    [column, *_] = world.family.space.columns([concept])
    other = z.clone()
    other[:, column] = (z[:, column] + 1) % LEVELS[concept][0]
    changed = (world.render(other, noise) - batch.image).abs()
    assert changed.amax((1, 2, 3)).min() > 0.08
    if " " in concept:
        half = slice(32, 64) if concept.startswith("left") else slice(0, 32)
        assert changed[..., half].max() < 1e-5


def test_images_determine_the_latents():
    """C1 on the noiseless image: no two of 2,000 random scenes look the same."""
    world = SceneWorld()
    law = Independent([Discrete.evenly(n) for levels in LEVELS.values() for n in levels])
    z = law.from_uniforms(uniforms(2000, law.uniforms, seed=0, stream=Stream.LATENTS))
    images = world.render(z, torch.zeros(2000, world.noise.image).double()).flatten(1)
    distances = torch.cdist(images, images) + 1e9 * torch.eye(2000)
    same = (z[:, None] == z[None]).all(2) & ~torch.eye(2000, dtype=torch.bool)
    assert distances[~same].min() > 0.5


def test_objects_stay_in_their_half_and_boxes_fit():
    world = SceneWorld()
    batch = world.sample(500, seed=1)
    objects = world.truth.objects(batch)
    assert objects.masks[:, 0, :, 32:].max() == 0
    assert objects.masks[:, 1, :, :32].max() == 0
    # Nothing is cut off at the border or at the seam.
    for which, columns in ((0, (0, 31)), (1, (32, 63))):
        for column in columns:
            assert objects.masks[:, which, :, column].max() < 0.6
    assert objects.masks[:, :, [0, 63]].max() == 0
    x0, y0, x1, y1 = objects.boxes.unbind(2)
    assert (x1 - x0).min() >= 5
    assert (y1 - y0).max() <= 27
    row, which = 7, 1
    mask = objects.masks[row, which] >= 0.5
    a, b, c, d = objects.boxes[row, which].tolist()
    assert mask[b:d, a:c].sum() == mask.sum()
    assert mask[b].any()
    assert mask[d - 1].any()
    assert mask[:, a].any()
    assert mask[:, c - 1].any()


def test_without_paragraphs_captions_are_short_and_nothing_else_changes():
    long, short = (SceneWorld(paragraphs=flag).sample(300, seed=5) for flag in (True, False))
    assert max(len(text.split()) for text in long.text) > 77
    assert max(len(text.split()) for text in short.text) < 40
    assert torch.equal(long.image, short.image)
    assert torch.equal(long.caption, short.caption)
    for text in short.text[:100]:
        assert read_scene(text)


def test_the_picture_scales():
    small, large = SceneWorld(pixels=64), SceneWorld(pixels=128)
    z, noise = small.sample(8, seed=0).z.double(), torch.zeros(8, 14).double()
    shrunk = torch.nn.functional.avg_pool2d(large.render(z, noise), 2)
    assert (shrunk - small.render(z, noise)).abs().mean() < 0.01


def test_the_swap_keeps_the_words_of_the_block_true():
    world = SceneWorld()
    batch = world.sample(200, seed=0)
    swapped = world.swap(batch, ["left position", "light"], seed=3)
    held = world.family.space.columns(["left position", "light"])
    assert torch.equal(swapped.z[:, held], batch.z[:, held])
    assert (swapped.image != batch.image).flatten(1).any(1).all()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: SceneWorld(CaptionFamily.from_captions([["a"]])), "dimension"),
        (lambda: SceneWorld(full_caption(list("abcdefghijklmnop"))), "concepts"),
        (lambda: SceneWorld(pixels=63), "pixels"),
    ],
)
def test_bad_worlds_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()

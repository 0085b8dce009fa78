import networkx as nx
import pytest
import torch

from simulators import VectorWorld
from simulators.breaks import Folded
from simulators.captions import Bernoulli, Contradicting, Hallucinating, ValueDependent, Weighted
from simulators.latents import Causal, Flow, Gaussian
from simulators.mixings import Smooth
from simulators.world import CHUNK
from theory.captions import CaptionFamily
from theory.errors import InputError

FAMILY = CaptionFamily.from_captions(
    [["a", "b"], ["b", "c"], ["a", "c", "d"]], sizes={"b": 2}, weights=[1, 2, 3]
)
WORLDS = {
    "default": lambda: VectorWorld(FAMILY),
    "dependent": lambda: VectorWorld(FAMILY, latents=Gaussian(5, dependence=0.6)),
    "flow": lambda: VectorWorld(FAMILY, latents=Flow(5)),
    "causal": lambda: VectorWorld(
        FAMILY,
        latents=Causal(
            nx.DiGraph([("a", "b"), ("b", "c"), ("c", "d")]), list("abcd"), sizes={"b": 2}
        ),
    ),
    "larger image": lambda: VectorWorld(FAMILY, image_dimension=20),
    "no noise": lambda: VectorWorld(FAMILY, image_noise=0, text_noise=0),
    "bernoulli": lambda: VectorWorld(Bernoulli(list("abc"))),
    "shared noise": lambda: VectorWorld(FAMILY, shared_noise=0.5),
    "hallucinating": lambda: VectorWorld(Hallucinating(Weighted(FAMILY), rate=0.3)),
    "value dependent": lambda: VectorWorld(ValueDependent(FAMILY, degree=0.5)),
    "folded": lambda: VectorWorld(FAMILY, image_mixing=Folded(Smooth(7), degree=0.5)),
}


def fields(batch):
    return {
        name: getattr(batch, name)
        for name in ("z", "caption", "image", "text", "image_noise", "text_noise")
    }


@pytest.mark.parametrize("name", WORLDS)
def test_a_sample_does_not_depend_on_its_batch(name):
    world = WORLDS[name]()
    whole = fields(world.sample(64, seed=3, start=CHUNK - 40))
    for first, last in ((0, 1), (5, 12), (39, 64)):
        part = fields(world.sample(last - first, seed=3, start=CHUNK - 40 + first))
        for field, value in part.items():
            torch.testing.assert_close(value, whole[field][first:last], atol=2e-6, rtol=1e-6)
            if field != "image" and field != "text":
                assert torch.equal(value, whole[field][first:last])


@pytest.mark.parametrize("name", WORLDS)
def test_shapes_types_and_seeds(name):
    world = WORLDS[name]()
    batch = world.sample(300, seed=0)
    assert batch.z.shape == batch.latents.shape == (300, world.family.dimension)
    assert batch.image.shape == (300, world.image_dimension)
    assert batch.text.shape == (300, world.text_dimension)
    assert {batch.z.dtype, batch.image.dtype, batch.text.dtype} == {torch.float32}
    assert batch.caption.dtype == torch.int64
    other = world.sample(300, seed=1)
    assert (batch.image != other.image).any(1).all()


def test_the_truth_explains_image_and_text():
    world = VectorWorld(FAMILY)
    batch = world.sample(500, seed=0)
    truth = world.truth
    causes = truth.image.inverse(batch.image.double())
    torch.testing.assert_close(causes[:, :5].float(), batch.z, atol=1e-4, rtol=0)
    torch.testing.assert_close(causes[:, 5:].float(), batch.image_noise, atol=1e-4, rtol=0)
    said = truth.text.inverse(batch.text.double())
    masks = torch.tensor(FAMILY.dimension_masks)[batch.caption]
    torch.testing.assert_close(said[:, :5].float(), batch.z * masks, atol=1e-4, rtol=0)
    mentioned = torch.tensor(FAMILY.matrix)[batch.caption]
    assert torch.equal(said[:, 5:9] > 0, mentioned)
    assert truth.sizes == FAMILY.sizes
    assert truth.family is FAMILY
    assert torch.isfinite(truth.latents.log_density(batch.z.double())).all()


def test_draws_are_captions_of_the_same_image():
    world = VectorWorld(FAMILY)
    first, second = world.sample(2000, seed=0), world.sample(2000, seed=0, draw=1)
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.z, second.z)
    joint = torch.zeros(3, 3).index_put_(
        (first.caption, second.caption), torch.tensor(1.0), accumulate=True
    )
    w = torch.tensor(FAMILY.weights)
    assert (joint / 2000 - w[:, None] * w).abs().max() < 0.04


@pytest.mark.parametrize("name", ["default", "dependent", "causal", "folded"])
def test_the_swap_holds_the_block_and_redraws_the_rest(name):
    world = WORLDS[name]()
    batch = world.sample(CHUNK + 100, seed=0)
    swapped = world.swap(batch, ["b"], seed=0)
    held = FAMILY.space.columns(["b"])
    rest = [column for column in range(5) if column not in held]
    assert torch.equal(swapped.z[:, held], batch.z[:, held])
    assert (swapped.z[:, rest] != batch.z[:, rest]).all()
    assert (swapped.image_noise != batch.image_noise).all()
    # A product law: 5 standard errors around no correlation.
    table = torch.corrcoef(torch.cat([swapped.z, swapped.image_noise], dim=1).T)
    assert table[held][:, [*rest, 5, 6]].abs().max() < 5 / len(batch) ** 0.5
    again = world.render(swapped.z.double(), swapped.image_noise.double())
    torch.testing.assert_close(again.float(), swapped.image, atol=1e-5, rtol=1e-5)
    assert swapped.text is batch.text


def test_false_mentions_are_said_and_true_ones_kept():
    world = VectorWorld(Contradicting(Weighted(FAMILY), rate=0.4))
    batch = world.sample(500, seed=0)
    said = world.truth.text.inverse(batch.text.double())[:, :5]
    false = world.mentions(500, seed=0).false
    wrong = false.repeat_interleave(torch.tensor(FAMILY.sizes), dim=1)
    masks = torch.tensor(FAMILY.dimension_masks)[batch.caption]
    off = (said - batch.z * masks).abs() > 1e-3
    assert torch.equal(off, wrong)
    assert wrong.any()


def test_tokens_say_what_the_vector_says():
    world = VectorWorld(FAMILY)
    batch = world.sample(50, seed=0)
    words, present = world.tokens(batch)
    assert words.shape == (50, 4, 4 + 2)
    assert torch.equal(present, torch.tensor(FAMILY.matrix)[batch.caption])
    assert (words[~present] == 0).all()
    row, k = present.nonzero()[3].tolist()
    assert words[row, k, k] == 1
    columns = FAMILY.space.columns([FAMILY.concepts[k]])
    assert torch.equal(words[row, k, 4 : 4 + len(columns)], batch.z[row, columns])


def test_outputs_have_about_unit_variance():
    batch = VectorWorld(FAMILY).sample(4000, seed=0)
    for part in (batch.image, batch.text):
        assert part.mean(0).abs().max() < 0.6
        assert part.std(0).min() > 0.4
        assert part.std(0).max() < 1.6


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: VectorWorld(FAMILY, latents=Gaussian(4)), "dimension 4"),
        (lambda: VectorWorld(FAMILY, image_mixing=Smooth(3)), "3 inputs"),
        (lambda: VectorWorld(FAMILY, image_dimension=3), "3 outputs"),
        (lambda: VectorWorld(FAMILY, image_mixing=Smooth(7), image_dimension=8), "image_dimension"),
        (lambda: VectorWorld(FAMILY, text_mixing=Smooth(3)), "3 inputs"),
        (lambda: VectorWorld(FAMILY).sample(0, seed=0), "n=0"),
        (
            lambda: VectorWorld(FAMILY).swap(VectorWorld(FAMILY).sample(2, seed=0), ["x"], seed=0),
            "x",
        ),
    ],
)
def test_bad_worlds_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()

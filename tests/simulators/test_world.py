import numpy as np
import pytest
import torch

from simulators import DigitWorld, SceneWorld, VectorWorld
from simulators.world import CHUNK, Batch
from theory.captions import CaptionFamily
from theory.errors import InputError

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"]], sizes={"b": 2})
WORLDS = {"vector": lambda: VectorWorld(FAMILY), "scene": SceneWorld, "digit": DigitWorld}
EXACT = ("z", "caption", "image_noise", "text_noise")


@pytest.fixture(params=WORLDS)
def world(request):
    return WORLDS[request.param]()


def test_a_sample_is_a_function_of_seed_and_index(world):
    whole = world.sample(40, seed=9, start=CHUNK - 20)
    for first, n in ((0, 40), (7, 1), (19, 3), (30, 10)):
        part = world.sample(n, seed=9, start=CHUNK - 20 + first)
        for field in EXACT:
            assert torch.equal(getattr(part, field), getattr(whole, field)[first : first + n])
        torch.testing.assert_close(part.image, whole.image[first : first + n])
        if isinstance(world, VectorWorld):
            torch.testing.assert_close(part.text, whole.text[first : first + n])
        else:
            assert torch.equal(part.image, whole.image[first : first + n])
            assert part.text == whole.text[first : first + n]


@pytest.mark.parametrize("draw", [0, 1])
def test_texts_without_images_are_those_of_the_sample(world, draw):
    sample, texts = (
        world.sample(6, seed=4, start=3, draw=draw).text,
        world.texts(6, seed=4, start=3, draw=draw),
    )
    assert type(sample) is type(texts)
    assert texts == sample if isinstance(texts, list) else torch.equal(texts, sample)
    with pytest.raises(InputError, match="n=0 samples"):
        world.texts(0, seed=4)


def test_captions_follow_the_family(world):
    batch = world.sample(4000, seed=0)
    counts = np.bincount(batch.caption.numpy(), minlength=len(world.family.captions))
    expected = 4000 * np.array(world.family.weights)
    # Six standard deviations for every caption.
    assert (np.abs(counts - expected) < 6 * np.sqrt(expected)).all()
    assert world.truth.family is world.family
    assert world.truth.sizes == world.family.sizes


def test_tensors_go_to_the_device_and_back(world):
    batch = world.sample(3, seed=0, device="meta")
    assert {getattr(batch, field).device.type for field in (*EXACT, "image")} == {"meta"}
    assert isinstance(batch.text, list) or batch.text.device.type == "meta"
    assert len(batch) == 3


def test_no_global_state_is_touched(world):
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    world.sample(10, seed=0)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_rendering_again_gives_the_image(world):
    batch = world.sample(10, seed=0)
    again = world.render(batch.z, batch.image_noise)
    torch.testing.assert_close(again.float(), batch.image, atol=1e-4, rtol=0)


def test_vectors_are_differentiable_in_the_latents():
    world = VectorWorld(FAMILY)
    batch = world.sample(5, seed=0)
    z = batch.z.double().requires_grad_()
    world.render(z, batch.image_noise.double())[:, 0].sum().backward()
    causes = torch.cat([batch.z, batch.image_noise], dim=1).double()
    exact = world.truth.image.jacobian(causes)[:, 0, : FAMILY.dimension]
    torch.testing.assert_close(z.grad, exact)


def test_swapping_everything_keeps_the_latents_and_redraws_the_noise(world):
    batch = world.sample(20, seed=0)
    # The same seed on purpose: the redraw must not repeat the noise of the batch.
    same = world.swap(batch, world.family.concepts, seed=0)
    assert torch.equal(same.z, batch.z)
    assert (same.image_noise != batch.image_noise).all()
    assert isinstance(same, Batch)


def test_worlds_show_their_family_in_a_notebook(world):
    html = world._repr_html_()
    assert type(world).__name__ in html
    assert str(world.family.concepts[0]) in html


def test_bad_addresses_are_refused(world):
    with pytest.raises(InputError, match="n=0"):
        world.sample(0, seed=0)
    with pytest.raises(InputError, match="start=-1"):
        world.sample(1, seed=0, start=-1)
    with pytest.raises(InputError, match="seed=-1"):
        world.sample(1, seed=-1)

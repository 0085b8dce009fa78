"""The contract that every registered similarity keeps, and laws of single ones.

Several processes keep it too: see `loss_job` in tests/smartclip/train/worker.py.
"""

import doctest
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

import smartclip.objective.similarities
from smartclip.objective import modular_contrastive_loss, similarity_matrix
from smartclip.objective.cross_entropy import Factors
from smartclip.objective.definition import loss_by_definition, similarity_by_definition
from smartclip.objective.similarities import SIMILARITIES, Formula, modular_form
from theory.errors import InputError

OWN = [name for name, formula in SIMILARITIES.items() if formula.masks_images]
every_similarity = pytest.mark.parametrize("similarity", SIMILARITIES)


def drawn(images, captions, dimension, seed=0, soft=False):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(images, dimension, generator=generator, dtype=torch.float64)
    text = torch.randn(captions, dimension, generator=generator, dtype=torch.float64)
    mask = torch.rand(captions, dimension, generator=generator, dtype=torch.float64)
    return image, text, mask if soft else (mask < 0.6).double()


@every_similarity
@given(
    size=st.integers(1, 7),
    dimension=st.integers(1, 5),
    scale=st.floats(0.3, 20),
    seed=st.integers(0, 1000),
    masks=st.sampled_from(["hard", "soft", "one empty"]),
    chunk_size=st.sampled_from([None, 1, 2, 3]),
)
@settings(deadline=None, max_examples=30)
def test_value_and_gradient_are_those_of_the_definition(
    similarity, size, dimension, scale, seed, masks, chunk_size
):
    image, text, mask = drawn(size, size, dimension, seed=seed, soft=masks == "soft")
    if masks == "one empty":
        mask[seed % size] = 0
    scale = torch.tensor(scale, dtype=torch.float64)
    inputs = [part.requires_grad_() for part in (image, text, mask, scale)]
    ours = modular_contrastive_loss(*inputs, similarity=similarity, chunk_size=chunk_size)
    theirs = loss_by_definition(*inputs, similarity=similarity)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    for mine, reference in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        # The slope at an empty mask is 1 / sqrt(EPSILON) times as steep: so is its rounding.
        largest = max(1.0, reference.abs().max().item())
        torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-10 * largest)


@every_similarity
def test_the_matrix_is_that_of_the_definition(similarity):
    image, text, mask = drawn(4, 7, 3, soft=True)
    if similarity in OWN:
        mask = mask[:4]
    for opened in (mask, None):
        torch.testing.assert_close(
            similarity_matrix(image, text, opened, 3.0, similarity=similarity),
            similarity_by_definition(image, text, opened, 3.0, similarity=similarity),
        )


@every_similarity
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_the_gradient_is_the_derivative(similarity, soft, chunk_size):
    image, text, mask = drawn(5, 5, 3, soft=soft, seed=1)
    assert mask.any(1).all(), "at an empty mask the cosine has a kink"
    inputs = [part.requires_grad_() for part in (image, text, mask)]
    inputs.append(torch.tensor(1.5, dtype=torch.float64, requires_grad=True))
    how = {"similarity": similarity, "chunk_size": chunk_size}
    assert torch.autograd.gradcheck(lambda *parts: modular_contrastive_loss(*parts, **how), inputs)


@every_similarity
def test_the_gradient_beside_an_empty_mask_is_the_derivative(similarity):
    image, text, mask = drawn(5, 5, 3, seed=1)
    mask[2] = 0
    assert torch.autograd.gradcheck(
        lambda *parts: modular_contrastive_loss(*parts, mask, 1.5, similarity=similarity),
        [image.requires_grad_(), text.requires_grad_()],
    )


@every_similarity
def test_a_closed_gate_gets_the_gradient_of_opening_it(similarity):
    image, text, mask = drawn(8, 8, 4)
    mask[:, 0], mask[:, 1] = 0, 1
    mask.requires_grad_()
    modular_contrastive_loss(image, text, mask, 2.0, similarity=similarity).backward()
    for row in range(8):
        opened = mask.detach().clone()
        opened[row, 0] = 1e-6
        losses = [
            loss_by_definition(image, text, m, 2.0, similarity=similarity)
            for m in (opened, mask.detach())
        ]
        gain = (losses[0] - losses[1]) / 1e-6
        assert gain != 0
        torch.testing.assert_close(mask.grad[row, 0], gain, rtol=1e-3, atol=1e-6)


@every_similarity
def test_empty_masks_tell_nothing_apart(similarity):
    image, text, mask = drawn(6, 6, 4)
    closed = torch.zeros_like(mask).requires_grad_()
    loss = modular_contrastive_loss(image, text, closed, 5.0, similarity=similarity)
    assert loss.item() == pytest.approx(math.log(6))
    loss.backward()
    assert torch.isfinite(closed.grad).all()


@every_similarity
def test_no_mask_is_an_open_mask(similarity):
    """In its value and its gradient, and so is the definition; EPSILON apart."""
    image, text = (part.requires_grad_() for part in drawn(9, 9, 5)[:2])
    wanted = modular_contrastive_loss(
        image, text, torch.ones_like(text), 2.0, similarity=similarity
    )
    for loss in (modular_contrastive_loss, loss_by_definition):
        found = loss(image, text, None, 2.0, similarity=similarity)
        torch.testing.assert_close(found, wanted)
        for one, other in zip(
            torch.autograd.grad(found, [image, text]),
            torch.autograd.grad(wanted, [image, text], retain_graph=True),
            strict=True,
        ):
            torch.testing.assert_close(one, other)


@every_similarity
def test_one_pair_has_nothing_to_be_told_from(similarity):
    inputs = [part.requires_grad_() for part in drawn(1, 1, 4)]
    loss = modular_contrastive_loss(*inputs, 3.0, similarity=similarity)
    loss.backward()
    assert abs(loss.item()) < 1e-12
    assert all((part.grad.abs() < 1e-10).all() for part in inputs)


@every_similarity
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_runs_together_are_runs_alone(similarity, chunk_size):
    """With leading dimensions, and vmapped; each run has a scale of its own."""
    runs = zip(*(drawn(6, 6, 4, seed=seed) for seed in range(3)), strict=True)
    inputs = [*map(torch.stack, runs), torch.tensor([0.5, 2.0, 5.0], dtype=torch.float64)]

    def loss(*parts):
        return modular_contrastive_loss(*parts, similarity=similarity, chunk_size=chunk_size)

    together = [part.clone().requires_grad_() for part in inputs]
    stacked = loss(*together)
    found = torch.autograd.grad(stacked.sum(), together)
    both = torch.func.grad_and_value(loss, argnums=(0, 1, 2, 3))
    mapped, values = torch.func.vmap(both)(*inputs)
    for run in range(3):
        alone = [part[run].clone().requires_grad_() for part in inputs]
        value = loss(*alone)
        torch.testing.assert_close(stacked[run], value)
        torch.testing.assert_close(values[run], value)
        for one, *many in zip(torch.autograd.grad(value, alone), found, mapped, strict=True):
            for gradient in many:
                torch.testing.assert_close(gradient[run], one)


@every_similarity
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_every_tensor_is_made_on_its_inputs_device(similarity, chunk_size):
    how = {"similarity": similarity, "chunk_size": chunk_size}
    with FakeTensorMode(), torch.no_grad():
        inputs = [torch.empty(8, 5, device="cuda") for _ in range(3)]
        for scale in (2.0, torch.empty((), device="cuda")):
            assert modular_contrastive_loss(*inputs, scale, **how).device.type == "cuda"


@pytest.mark.gpu
@every_similarity
@pytest.mark.parametrize("chunk_size", [None, 16])
def test_gpu_agrees_with_cpu(similarity, chunk_size):
    how = {"similarity": similarity, "chunk_size": chunk_size}
    here = [part.requires_grad_() for part in drawn(64, 64, 16)]
    there = [part.detach().cuda().requires_grad_() for part in here]
    losses = [modular_contrastive_loss(*parts, 2.0, **how) for parts in (here, there)]
    torch.testing.assert_close(losses[1].cpu(), losses[0])
    for ours, theirs in zip(
        torch.autograd.grad(losses[1], there), torch.autograd.grad(losses[0], here), strict=True
    ):
        torch.testing.assert_close(ours.cpu(), theirs)


@pytest.mark.parametrize("similarity", OWN)
def test_own_forms_see_the_mask_of_the_image(similarity):
    """Image i under mask i, one image at a time: the modular form with one mask for all."""
    image, text, mask = drawn(5, 5, 4)
    own = similarity_matrix(image, text, mask, 2.0, similarity=similarity)
    for i in range(5):
        modular = similarity_matrix(
            image[i : i + 1],
            text,
            mask[i : i + 1].expand(5, -1),
            2.0,
            similarity=modular_form(similarity),
        )
        torch.testing.assert_close(own[i : i + 1], modular)


def test_a_similarity_that_is_registered_is_one_everywhere(monkeypatch):
    def inner_product(x, t, m, s):
        return s * (m * x * t).sum(-1)

    def factors(x, t, m, s):
        return Factors(x, s * t * (1 if m is None else m))

    monkeypatch.setitem(
        SIMILARITIES, "inner_product", Formula(of_pair=inner_product, factors=factors)
    )
    image, text, mask = drawn(6, 6, 4)
    ours, theirs = (
        loss(image, text, mask, 2.0, similarity="inner_product")
        for loss in (modular_contrastive_loss, loss_by_definition)
    )
    torch.testing.assert_close(ours, theirs)
    assert similarity_matrix(image, text, mask, 2.0, similarity="inner_product").shape == (6, 6)


def test_own_cosine_is_clip_on_images_masked_once():
    image, text, mask = drawn(9, 9, 5)
    masked = modular_contrastive_loss(image * mask, text, None, 7.0)
    own = modular_contrastive_loss(image, text, mask, 7.0, similarity="own_cosine")
    torch.testing.assert_close(own, masked)
    assert not torch.isclose(own, modular_contrastive_loss(image, text, mask, 7.0))


@pytest.mark.parametrize("similarity", ["cosine", "masked_cosine", "own_cosine"])
def test_open_masks_are_plain_clip(similarity):
    image, text, _ = drawn(9, 9, 5)
    logits = 7 * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
    target = torch.arange(9)
    clip = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    for mask in (None, torch.ones_like(text)):
        ours = modular_contrastive_loss(image, text, mask, 7.0, similarity=similarity)
        torch.testing.assert_close(ours, clip)


def test_likelihood_ratio_is_a_density_ratio():
    """E exp S = 1 over independent pairs, for x standard normal and any caption."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(400_000, 2, generator=generator, dtype=torch.float64)
    text = torch.tensor([[0.3, -0.8]], dtype=torch.float64)
    mask = torch.ones_like(text)
    ratio = similarity_matrix(image, text, mask, 2.0, similarity="likelihood_ratio").exp()
    assert ratio.mean().item() == pytest.approx(
        1, abs=5 * ratio.std().item() / math.sqrt(len(image))
    )


@pytest.mark.parametrize("name", ["onw", "Cosine", ""])
def test_a_name_that_no_similarity_has_is_refused_everywhere(name):
    image, text, mask = drawn(4, 4, 3)
    for function in (
        modular_contrastive_loss,
        similarity_matrix,
        loss_by_definition,
        similarity_by_definition,
    ):
        with pytest.raises(InputError, match=f"similarity '{name}'.*own_likelihood_ratio"):
            function(image, text, mask, 1.0, similarity=name)
    with pytest.raises(InputError, match="similarity"):
        modular_form(name)


def test_examples_run():
    assert doctest.testmod(smartclip.objective.similarities).failed == 0

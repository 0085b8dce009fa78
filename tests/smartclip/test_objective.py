"""The modular loss against its definition, and its laws."""

import doctest
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch._subclasses.fake_tensor import FakeTensorMode

import smartclip.objective
from smartclip.cross_entropy import EPSILON
from smartclip.objective import modular_contrastive_loss, similarity_matrix
from theory.errors import InputError

SIMILARITIES = ("cosine", "distance", "likelihood_ratio")
VARIANTS = [
    {"similarity": similarity, "mask_text": mask_text, "negatives": negatives}
    for similarity in SIMILARITIES
    for mask_text in ((False, True) if similarity == "cosine" else (False,))
    for negatives in ("modular", "own")
]


def named(variant):
    return " ".join(str(value) for value in variant.values())


def drawn(images, captions, dimension, seed=0, soft=False):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(images, dimension, generator=generator, dtype=torch.float64)
    text = torch.randn(captions, dimension, generator=generator, dtype=torch.float64)
    mask = torch.rand(captions, dimension, generator=generator, dtype=torch.float64)
    return image, text, mask if soft else (mask < 0.6).double()


def by_definition(image, text, mask, scale, similarity, mask_text=False, negatives="modular"):
    """From the [B, B, D] array that the package never makes: entry k of image i and caption j."""
    x, t = image[:, None], text[None]
    m = mask[None] if negatives == "modular" else mask[:, None]
    if similarity == "cosine":
        x_norm = ((m * x.square()).sum(2) + EPSILON).sqrt()
        t_norm = ((m * t.square()).sum(2) + EPSILON).sqrt() if mask_text else t.norm(dim=2)
        logits = scale * (m * x * t).sum(2) / (x_norm * t_norm)
    else:
        terms = -scale * (x - t).square()
        if similarity == "likelihood_ratio":
            terms = terms + x.square() / 2 + torch.log(torch.as_tensor(2.0 * scale)) / 2
        logits = (m * terms).sum(2)
    return -(logits.log_softmax(0).diagonal() + logits.log_softmax(1).diagonal()).mean() / 2


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
@given(
    size=st.integers(1, 7),
    dimension=st.integers(1, 5),
    scale=st.floats(0.3, 20),
    seed=st.integers(0, 1000),
    soft=st.booleans(),
    empty=st.booleans(),
    chunk_size=st.sampled_from([None, 1, 2, 3]),
)
@settings(deadline=None, max_examples=25)
def test_equals_its_definition(variant, size, dimension, scale, seed, soft, empty, chunk_size):
    image, text, mask = drawn(size, size, dimension, seed=seed, soft=soft)
    if empty:
        mask[seed % size] = 0
    inputs = [part.requires_grad_() for part in (image, text, mask)]
    inputs.append(torch.tensor(scale, dtype=torch.float64, requires_grad=True))
    ours = modular_contrastive_loss(*inputs, **variant, chunk_size=chunk_size)
    theirs = by_definition(*inputs, **variant)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    for mine, reference in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        # The slope at an empty mask is 1 / sqrt(EPSILON) times as steep: so is its rounding.
        largest = max(1.0, reference.abs().max().item())
        torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-10 * largest)


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_the_gradient_is_the_derivative(variant, soft, chunk_size):
    image, text, mask = drawn(5, 5, 3, soft=soft, seed=1)
    assert mask.any(1).all(), "at an empty mask the cosine has a kink"
    inputs = [part.requires_grad_() for part in (image, text, mask)]
    inputs.append(torch.tensor(1.5, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(
        lambda *parts: modular_contrastive_loss(*parts, **variant, chunk_size=chunk_size), inputs
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
def test_the_gradient_beside_an_empty_mask_is_the_derivative(variant):
    image, text, mask = drawn(5, 5, 3, seed=1)
    mask[2] = 0
    assert torch.autograd.gradcheck(
        lambda *parts: modular_contrastive_loss(*parts, mask, 1.5, **variant),
        [image.requires_grad_(), text.requires_grad_()],
    )


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_one_pair_has_nothing_to_be_told_from(similarity):
    inputs = [part.requires_grad_() for part in drawn(1, 1, 4)]
    loss = modular_contrastive_loss(*inputs, 3.0, similarity=similarity)
    loss.backward()
    assert abs(loss.item()) < 1e-12
    assert all((part.grad.abs() < 1e-10).all() for part in inputs)


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
def test_a_closed_gate_still_gets_a_gradient(variant):
    image, text, mask = drawn(8, 8, 4)
    mask[:, 0] = 0
    mask.requires_grad_()
    modular_contrastive_loss(image, text, mask, 2.0, **variant).backward()
    assert (mask.grad[:, 0] != 0).any()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_empty_masks_tell_nothing_apart(similarity):
    image, text, mask = drawn(6, 6, 4)
    closed = torch.zeros_like(mask).requires_grad_()
    loss = modular_contrastive_loss(image, text, closed, 5.0, similarity=similarity)
    assert loss.item() == pytest.approx(math.log(6))
    loss.backward()
    assert torch.isfinite(closed.grad).all()


@pytest.mark.parametrize("negatives", ["modular", "own"])
def test_open_masks_are_plain_clip(negatives):
    image, text, _ = drawn(9, 9, 5)
    logits = 7 * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
    target = torch.arange(9)
    clip = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    for mask in (None, torch.ones_like(text)):
        ours = modular_contrastive_loss(image, text, mask, 7.0, negatives=negatives)
        torch.testing.assert_close(ours, clip)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_no_mask_is_an_open_mask(similarity):
    image, text, _ = drawn(9, 9, 5)
    losses = [
        modular_contrastive_loss(image, text, mask, 2.0, similarity=similarity)
        for mask in (None, torch.ones_like(text))
    ]
    torch.testing.assert_close(*losses)


def test_own_negatives_are_clip_on_images_masked_once():
    image, text, mask = drawn(9, 9, 5)
    masked = modular_contrastive_loss(image * mask, text, None, 7.0)
    own = modular_contrastive_loss(image, text, mask, 7.0, negatives="own")
    torch.testing.assert_close(own, masked)
    assert not torch.isclose(own, modular_contrastive_loss(image, text, mask, 7.0))


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


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_leading_dimensions_are_runs_with_scales_of_their_own(similarity):
    runs = [drawn(6, 6, 4, seed=seed) for seed in range(3)]
    scales = torch.tensor([0.5, 2.0, 5.0], dtype=torch.float64)
    together = modular_contrastive_loss(
        *(torch.stack(parts) for parts in zip(*runs, strict=True)), scales, similarity=similarity
    )
    for run, scale, loss in zip(runs, scales, together, strict=True):
        alone = modular_contrastive_loss(*run, scale, similarity=similarity)
        torch.testing.assert_close(loss, alone)


@pytest.mark.parametrize("chunk_size", [None, 10])
@pytest.mark.parametrize("inside", [True, False])
def test_autocast_leaves_the_loss_in_full_precision(chunk_size, inside):
    """Embeddings come in bfloat16; logits of 100 with three digits would be noise."""
    parts = [part.bfloat16() for part in drawn(32, 32, 16)]
    reference = [part.float().requires_grad_() for part in parts]
    wanted = modular_contrastive_loss(*reference, 50.0)
    wanted.backward()
    narrow = [part.requires_grad_() for part in parts]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = modular_contrastive_loss(*narrow, 50.0, chunk_size=chunk_size)
        if inside:
            loss.backward()
    if not inside:
        loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, wanted)
    for ours, theirs in zip(narrow, reference, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad.bfloat16())


def test_bad_input_is_named():
    image, text, mask = drawn(4, 4, 3)
    # While tests run, jaxtyping checks shapes and choices before the functions do.
    refused = (InputError, TypeCheckError)
    with pytest.raises(refused, match="mask"):
        similarity_matrix(image, text, mask[:, :2], 1.0)
    with pytest.raises(InputError, match="chunk"):
        modular_contrastive_loss(image, text, mask, 1.0, chunk_size=0)
    with pytest.raises(refused, match="negatives"):
        modular_contrastive_loss(image, text, mask, 1.0, negatives="others")
    with pytest.raises(refused, match="similarity"):
        modular_contrastive_loss(image, text, mask, 1.0, similarity="angle")


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_every_tensor_is_made_on_its_inputs_device(variant, chunk_size):
    with FakeTensorMode(), torch.no_grad():
        inputs = [torch.empty(8, 5, device="cuda") for _ in range(3)]
        for scale in (2.0, torch.empty((), device="cuda")):
            loss = modular_contrastive_loss(*inputs, scale, **variant, chunk_size=chunk_size)
            assert loss.device.type == "cuda"


@pytest.mark.gpu
def test_autocast_leaves_the_loss_in_full_precision_on_a_gpu():
    parts = [part.float().cuda() for part in drawn(32, 32, 16)]
    wanted = modular_contrastive_loss(*parts, 50.0)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert torch.equal(modular_contrastive_loss(*parts, 50.0), wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("variant", VARIANTS, ids=named)
@pytest.mark.parametrize("chunk_size", [None, 16])
def test_gpu_agrees_with_cpu(variant, chunk_size):
    here = [part.requires_grad_() for part in drawn(64, 64, 16)]
    there = [part.detach().cuda().requires_grad_() for part in here]
    losses = [
        modular_contrastive_loss(*p, 2.0, **variant, chunk_size=chunk_size) for p in (here, there)
    ]
    torch.testing.assert_close(losses[1].cpu(), losses[0])
    for ours, theirs in zip(
        torch.autograd.grad(losses[1], there), torch.autograd.grad(losses[0], here), strict=True
    ):
        torch.testing.assert_close(ours.cpu(), theirs)


def test_examples_run():
    assert doctest.testmod(smartclip.objective).failed == 0

"""The modular loss against its definition, and its laws."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from smartclip.objective import modular_contrastive_loss, similarity_matrix
from theory.errors import InputError

SIMILARITIES = ("cosine", "distance", "likelihood_ratio")


def drawn(images, captions, dimension, seed=0, soft=False):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(images, dimension, generator=generator, dtype=torch.float64)
    text = torch.randn(captions, dimension, generator=generator, dtype=torch.float64)
    mask = torch.rand(captions, dimension, generator=generator, dtype=torch.float64)
    return image, text, mask if soft else (mask < 0.6).double()


def by_definition(image, text, mask, scale, similarity):
    """Every pair by itself, from the [B, B, D] array that the package never makes."""
    rows = []
    for x in image:
        row = []
        for t, m in zip(text, mask, strict=True):
            if similarity == "cosine":
                row.append(scale * F.cosine_similarity(x * m, t, dim=0, eps=1e-30))
            else:
                gap = (m * (x - t).square()).sum()
                bonus = (m * (x.square() / 2 + 0.5 * math.log(2 * scale))).sum()
                row.append(-scale * gap + (bonus if similarity == "likelihood_ratio" else 0))
        rows.append(torch.stack(row))
    logits = torch.stack(rows)
    return -(logits.log_softmax(0).diagonal() + logits.log_softmax(1).diagonal()).mean() / 2


@pytest.mark.parametrize("similarity", SIMILARITIES)
@given(
    size=st.integers(1, 7),
    dimension=st.integers(1, 5),
    scale=st.floats(0.3, 20),
    seed=st.integers(),
)
@settings(deadline=None, max_examples=25)
def test_equals_its_definition_on_hard_masks(similarity, size, dimension, scale, seed):
    image, text, mask = drawn(size, size, dimension, seed=seed % 1000)
    value = modular_contrastive_loss(image, text, mask, scale, similarity=similarity)
    torch.testing.assert_close(
        value, by_definition(image, text, mask, scale, similarity), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("chunk_size", [1, 3, 4, 11])
def test_chunks_change_neither_value_nor_gradient(similarity, soft, chunk_size):
    inputs = [part.requires_grad_() for part in drawn(11, 11, 6, soft=soft)]
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    whole = modular_contrastive_loss(*inputs, scale, similarity=similarity)
    parts = modular_contrastive_loss(*inputs, scale, similarity=similarity, chunk_size=chunk_size)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(
        torch.autograd.grad(parts, [*inputs, scale]),
        torch.autograd.grad(whole, [*inputs, scale]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_streamed_gradient_is_the_derivative(similarity):
    inputs = [part.requires_grad_() for part in drawn(5, 5, 3, soft=True)]
    assert torch.autograd.gradcheck(
        lambda *parts: modular_contrastive_loss(*parts, 2.0, similarity=similarity, chunk_size=2),
        inputs,
    )


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_closed_gate_still_gets_a_gradient(similarity):
    image, text, mask = drawn(8, 8, 4)
    mask[:, 0] = 0
    mask.requires_grad_()
    modular_contrastive_loss(image, text, mask, 2.0, similarity=similarity).backward()
    assert (mask.grad[:, 0] != 0).any()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_empty_masks_tell_nothing_apart(similarity):
    image, text, mask = drawn(6, 6, 4)
    closed = torch.zeros_like(mask).requires_grad_()
    loss = modular_contrastive_loss(image, text, closed, 5.0, similarity=similarity)
    assert loss.item() == pytest.approx(math.log(6))
    loss.backward()
    assert torch.isfinite(closed.grad).all()


def test_open_masks_are_plain_clip():
    image, text, _ = drawn(9, 9, 5)
    logits = 7 * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
    target = torch.arange(9)
    clip = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    ours = modular_contrastive_loss(image, text, torch.ones_like(text), 7.0)
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


def test_bad_input_is_named():
    image, text, mask = drawn(4, 4, 3)
    # While tests run, jaxtyping checks the shapes before the function does.
    with pytest.raises((InputError, TypeCheckError), match="mask"):
        similarity_matrix(image, text, mask[:, :2], 1.0)
    with pytest.raises(InputError, match="chunk"):
        modular_contrastive_loss(image, text, mask, 1.0, chunk_size=0)


@pytest.mark.gpu
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gpu_agrees_with_cpu(similarity):
    inputs = drawn(64, 64, 16)
    here = modular_contrastive_loss(*inputs, 2.0, similarity=similarity)
    there = modular_contrastive_loss(
        *(part.cuda() for part in inputs), 2.0, similarity=similarity, chunk_size=16
    )
    torch.testing.assert_close(there.cpu(), here)

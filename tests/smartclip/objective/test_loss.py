"""What the loss does with its arguments, whatever the similarity."""

import doctest

import pytest
import torch
from jaxtyping import TypeCheckError

import smartclip.objective.loss
from smartclip.objective import modular_contrastive_loss, similarity_matrix
from theory.errors import InputError


def drawn(size, dimension):
    generator = torch.Generator().manual_seed(0)
    image, text, mask = (
        torch.randn(size, dimension, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    return image, text, (mask < 0.3).double()


@pytest.mark.parametrize("chunk_size", [None, 10])
@pytest.mark.parametrize("inside", [True, False])
def test_autocast_leaves_the_loss_in_full_precision(chunk_size, inside):
    """Embeddings come in bfloat16; logits of 100 with three digits would be noise."""
    parts = [part.bfloat16() for part in drawn(32, 16)]
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


@pytest.mark.gpu
def test_autocast_leaves_the_loss_in_full_precision_on_a_gpu():
    parts = [part.float().cuda() for part in drawn(32, 16)]
    wanted = modular_contrastive_loss(*parts, 50.0)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert torch.equal(modular_contrastive_loss(*parts, 50.0), wanted)


def test_bad_input_is_named():
    image, text, mask = drawn(4, 3)
    # While tests run, jaxtyping checks shapes before the functions do.
    refused = (InputError, TypeCheckError)
    with pytest.raises(refused, match="mask"):
        similarity_matrix(image, text, mask[:, :2], 1.0)
    with pytest.raises(InputError, match=r"mask \(4, 3\).*images.*own_cosine"):
        similarity_matrix(image[:2], text, mask, 1.0, similarity="own_cosine")
    with pytest.raises(InputError, match=r"mask \(2, 3\).*captions.*distance"):
        similarity_matrix(image[:2], text, mask[:2], 1.0, similarity="distance")
    with pytest.raises(refused, match="text"):
        modular_contrastive_loss(image[:2], text, mask, 1.0)
    with pytest.raises(InputError, match="chunk"):
        modular_contrastive_loss(image, text, mask, 1.0, chunk_size=0)


def test_examples_run():
    assert doctest.testmod(smartclip.objective.loss).failed == 0

"""The modular contrastive loss: align an image only where its caption speaks.

    L = - (1/2B) sum_i [ log softmax_j S_ij  +  log softmax_i S_ij ]_(j = i),

where the similarity S_ij of image i and caption j sees the coordinates that the mask m_j of
*caption j* keeps open. Source: SmartCLIP (CVPR 2025), the modular alignment objective.

Every similarity is written *linear in the mask*. On {0, 1} nothing changes, since m^2 = m; but the
gradient of a closed gate is then what opening it would bring, and not zero. With m^2 a gate that
closes once stays closed, and training ends with empty masks.

All three similarities are matrix products of [B, D] arrays; no [B, B, D] array is ever made.
"""

import math
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from theory.errors import InputError

Similarity = Literal["cosine", "distance", "likelihood_ratio"]

# Inside the root, so that an empty mask has cosine 0 and a finite gradient instead of 0/0.
EPSILON = 1e-12


def similarity_matrix(
    image: Float[Tensor, "images D"],
    text: Float[Tensor, "captions D"],
    mask: Float[Tensor, "captions D"],
    logit_scale: Float[Tensor, ""] | float,
    *,
    similarity: Similarity = "cosine",
) -> Float[Tensor, "images captions"]:
    r"""S_ij, with s = `logit_scale` and x = `image`, t = `text`, m = `mask`:

    - `cosine` (published): s <x_i m_j, t_j> / (|x_i m_j| |t_j|); the caption side is not masked.
    - `distance` (what the identification statements are about): -s sum_k m_jk (x_ik - t_jk)^2.
    - `likelihood_ratio`: sum_k m_jk [ -s (x_ik - t_jk)^2 + x_ik^2 / 2 + log(2 s) / 2 ].

    The third is log p(t | x) / p(t) of a Gaussian channel of precision 2s for coordinates x of
    unit variance. It makes captions with different numbers of open coordinates comparable: under
    the plain distance a caption with fewer open coordinates is closer to *every* image.

    Args:
        image: image embeddings z^_I, [images, D].
        text: caption embeddings z^_T, [captions, D].
        mask: caption masks m, [captions, D], hard in {0, 1} or soft in [0, 1].
        logit_scale: s > 0, a number or a scalar tensor (learned).
        similarity: which of the three.

    Raises:
        InputError: an unknown similarity, or shapes that do not fit.
    """
    if text.shape != mask.shape or image.shape[1:] != text.shape[1:]:
        raise InputError(
            f"image {tuple(image.shape)}, text {tuple(text.shape)}, mask {tuple(mask.shape)}",
            rule="text and mask are [captions, D] and image is [images, D] with the same D",
            fix="pass one mask row per caption and embeddings of one dimension",
        )
    if similarity == "cosine":
        masked_norm = (image.square() @ mask.T).clamp_min(0).add(EPSILON).sqrt()
        text = F.normalize(text, dim=1, eps=math.sqrt(EPSILON))
        return logit_scale * (image @ (mask * text).T) / masked_norm
    cross = image @ (mask * text).T
    caption_term = (mask * text.square()).sum(1)
    if similarity == "distance":
        return -logit_scale * (image.square() @ mask.T - 2 * cross + caption_term)
    if similarity == "likelihood_ratio":
        scale = torch.as_tensor(logit_scale, dtype=image.dtype, device=image.device)
        constant = mask.sum(1) * (0.5 * torch.log(2 * scale)) - scale * caption_term
        return (0.5 - scale) * (image.square() @ mask.T) + 2 * scale * cross + constant
    raise InputError(
        f"similarity {similarity!r}",
        rule="a similarity is one of " + ", ".join(get_args(Similarity)),
        fix="choose one of them",
    )


def modular_contrastive_loss(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    mask: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, ""] | float,
    *,
    similarity: Similarity = "cosine",
    chunk_size: int | None = None,
) -> Float[Tensor, ""]:
    """Mean of the image-to-caption and the caption-to-image cross-entropy of S, in nats.

    Args:
        image: image embeddings z^_I, [B, D]; row i belongs to caption i.
        text: caption embeddings z^_T, [B, D].
        mask: caption masks m, [B, D].
        logit_scale: s of `similarity_matrix`.
        similarity: see `similarity_matrix`.
        chunk_size: rows of S held at a time. Memory is O(B * chunk_size) instead of O(B^2), for
            one more pass of matrix products; the value does not depend on it.

    Returns:
        A scalar; 0 at best, log B when nothing is told apart.

    Example:
        >>> x = torch.eye(4)
        >>> loss = modular_contrastive_loss(x, x, torch.ones(4, 4), 100.0)
        >>> bool(loss < 1e-6)
        True
    """
    if chunk_size is not None and chunk_size < len(image):
        if chunk_size < 1:
            raise InputError(
                f"chunk_size {chunk_size}",
                rule="a chunk has at least one row",
                fix="pass 1 or more",
            )
        scale = torch.as_tensor(logit_scale, dtype=image.dtype, device=image.device)
        return _StreamedLoss.apply(image, text, mask, scale, similarity, chunk_size)
    logits = similarity_matrix(image, text, mask, logit_scale, similarity=similarity)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class _StreamedLoss(torch.autograd.Function):
    """The same loss, `chunk_size` rows of S at a time, forward and backward.

    Forward keeps only the log-normalisers of rows and columns. Backward makes each chunk of S
    again, where dL/dS_ij = (softmax_row + softmax_column - 2 [i = j]) / 2B, and lets autograd carry
    that through `similarity_matrix`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        text: Tensor,
        mask: Tensor,
        scale: Tensor,
        similarity: Similarity,
        chunk_size: int,
    ) -> Tensor:
        size = len(image)
        row_normaliser = image.new_empty(size)
        column_normaliser = image.new_full((size,), -math.inf)
        diagonal = image.new_zeros(())
        for start in range(0, size, chunk_size):
            stop = min(start + chunk_size, size)
            logits = similarity_matrix(image[start:stop], text, mask, scale, similarity=similarity)
            row_normaliser[start:stop] = logits.logsumexp(1)
            column_normaliser = torch.logaddexp(column_normaliser, logits.logsumexp(0))
            diagonal += logits.diagonal(start).sum()
        ctx.save_for_backward(image, text, mask, scale, row_normaliser, column_normaliser)
        ctx.similarity, ctx.chunk_size = similarity, chunk_size
        return ((row_normaliser + column_normaliser).sum() - 2 * diagonal) / (2 * size)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        image, text, mask, scale, row_normaliser, column_normaliser = ctx.saved_tensors
        size = len(image)
        shared = [part.detach().requires_grad_() for part in (text, mask, scale)]
        grad_image = torch.empty_like(image)
        grad_shared = [torch.zeros_like(part) for part in shared]
        for start in range(0, size, ctx.chunk_size):
            stop = min(start + ctx.chunk_size, size)
            rows = image[start:stop].detach().requires_grad_()
            with torch.enable_grad():
                logits = similarity_matrix(rows, *shared, similarity=ctx.similarity)
            with torch.no_grad():
                slope = (logits - row_normaliser[start:stop, None]).exp()
                slope += (logits - column_normaliser).exp()
                slope.diagonal(start).sub_(2)
                slope *= upstream / (2 * size)
            grad_image[start:stop], *grads = torch.autograd.grad(logits, [rows, *shared], slope)
            for total, grad in zip(grad_shared, grads, strict=True):
                total += grad
        return grad_image, *grad_shared, None, None

"""The modular contrastive loss of a batch that is spread over k processes.

Rank r holds the images i in R_r, b = B / k of them, and computes those rows of S alone:

    L_r = 1/2b ( sum_(i in R_r) log sum_j exp S_ij  +  sum_(j in R_r) log sum_i exp S_ij
                 - 2 sum_(i in R_r) S_ii ),                         L = 1/k sum_r L_r.

The columns' normalisers run over all images, of which a rank sees its own; the ranks exchange B
numbers for them. Captions and masks are gathered with gradients; images stay where they are. No
rank holds more than [b, B] of S, or [chunk_size, B] if that is less. Derived here.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from smartclip.objective import Negatives, Similarity, modular_contrastive_loss, similarity_matrix
from smartclip.train.ranks import gather_rows, own_part, rank, ranks
from theory.errors import InputError


def distributed_contrastive_loss(
    image: Float[Tensor, "b D"],
    text: Float[Tensor, "b D"],
    mask: Float[Tensor, "b D"],
    logit_scale: Float[Tensor, ""] | float,
    *,
    similarity: Similarity = "cosine",
    mask_text: bool = False,
    negatives: Negatives = "modular",
    chunk_size: int | None = None,
) -> Float[Tensor, ""]:
    """L_r, from the rows of this rank. Every rank calls it, with equally many rows.

    The mean over ranks is `modular_contrastive_loss` of the whole batch. Gradients follow the same
    convention: each rank's rows receive k dL, and averaging the gradients of parameters over ranks,
    as DDP and FSDP do, gives those of L.

    >>> x = torch.eye(4)
    >>> bool(distributed_contrastive_loss(x, x, torch.ones(4, 4), 100.0) < 1e-6)
    True
    """
    return contrastive_share(
        image,
        gather_rows(text),
        gather_rows(mask),
        logit_scale,
        similarity=similarity,
        mask_text=mask_text,
        negatives=negatives,
        chunk_size=chunk_size,
    )


def contrastive_share(
    image: Float[Tensor, "b D"],
    text: Float[Tensor, "B D"],
    mask: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, ""] | float,
    *,
    similarity: Similarity = "cosine",
    mask_text: bool = False,
    negatives: Negatives = "modular",
    chunk_size: int | None = None,
) -> Float[Tensor, ""]:
    """L_r, from the images of this rank and the captions and masks of all.

    Args:
        image: rows of this rank.
        text: of the whole batch, the same on every rank.
        mask: of the whole batch, the same on every rank.
        logit_scale: see `smartclip.objective.similarity_matrix`, as are the next three.
        similarity: which one.
        mask_text: mask the caption side of the cosine too.
        negatives: under whose mask an image meets a caption.
        chunk_size: rows of S held at a time.

    Raises:
        InputError: not b = B / k.
    """
    if len(text) != ranks() * len(image):
        raise InputError(
            f"{len(image)} images on each of {ranks()} processes and {len(text)} captions",
            rule="together the processes hold one image for each caption",
            fix="pass this rank's images and everyone's captions",
        )
    options: dict[str, Any] = {
        "similarity": similarity,
        "mask_text": mask_text,
        "negatives": negatives,
    }
    if ranks() == 1:
        return modular_contrastive_loss(
            image, text, mask, logit_scale, chunk_size=chunk_size, **options
        )
    scale = torch.as_tensor(logit_scale, dtype=image.dtype, device=image.device)
    if negatives == "own":
        return cross_entropy_share(
            lambda image, mask, text, scale: similarity_matrix(image, text, mask, scale, **options),
            (image, own_part(mask)),
            (text, scale),
            chunk_size=chunk_size,
        )
    rows_of_s = partial(similarity_matrix, **options)
    return cross_entropy_share(rows_of_s, (image,), (text, mask, scale), chunk_size=chunk_size)


def cross_entropy_share(
    similarities: Callable[..., Tensor],
    by_image: tuple[Tensor, ...],
    by_caption: tuple[Tensor, ...],
    *,
    chunk_size: int | None = None,
) -> Float[Tensor, ""]:
    """L_r for any S whose rows can be had one by one.

    Args:
        similarities: rows of S, [n, B], from n rows of each tensor in `by_image` and all of those
            in `by_caption`; differentiable.
        by_image: what S_ij depends on through i, rows of this rank, [b, ...].
        by_caption: what else it depends on, the same on every rank.
        chunk_size: rows of S held at a time.
    """
    rows = min(chunk_size or len(by_image[0]), len(by_image[0]))
    return _RowsOfLoss.apply(similarities, len(by_image), rows, *by_image, *by_caption)


def _logsumexp(logits: Tensor, dim: int) -> Tensor:
    """As torch's, in operations that a pretended device has too."""
    largest = logits.amax(dim, keepdim=True)
    return (logits - largest).exp().sum(dim).log() + largest.squeeze(dim)


class _RowsOfLoss(torch.autograd.Function):
    """L_r, and the derivative of sum_r L_r through this rank's rows of S.

    That is dS_ij = (softmax_row + softmax_column - 2 [i = j]) / 2b, provided that every rank passes
    the same upstream gradient, as it does when the loss is the mean over ranks.
    """

    @staticmethod
    def forward(
        ctx: Any,
        similarities: Callable[..., Tensor],
        image_parts: int,
        chunk_size: int,
        *parts: Tensor,
    ) -> Tensor:
        by_image, by_caption = parts[:image_parts], parts[image_parts:]
        size, first = len(by_image[0]), rank() * len(by_image[0])
        row_normalisers = []
        column_normaliser = by_image[0].new_full((ranks() * size,), -math.inf)
        diagonal = by_image[0].new_zeros(())
        for start in range(0, size, chunk_size):
            rows = (0, start, min(chunk_size, size - start))
            logits = similarities(*(part.narrow(*rows) for part in by_image), *by_caption)
            row_normalisers.append(_logsumexp(logits, 1))
            column_normaliser = torch.logaddexp(column_normaliser, _logsumexp(logits, 0))
            diagonal += logits.diagonal(first + start).sum()
        row_normaliser = torch.cat(row_normalisers)
        if ranks() > 1:
            everyones = column_normaliser.new_empty(ranks(), len(column_normaliser))
            dist.all_gather(list(everyones.unbind()), column_normaliser)
            column_normaliser = _logsumexp(everyones, 0)
        ctx.save_for_backward(row_normaliser, column_normaliser, *parts)
        ctx.similarities, ctx.image_parts, ctx.chunk_size = similarities, image_parts, chunk_size
        own_columns = column_normaliser.narrow(0, first, size)
        return ((row_normaliser + own_columns).sum() - 2 * diagonal) / (2 * size)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        row_normaliser, column_normaliser, *parts = ctx.saved_tensors
        size, first = len(row_normaliser), rank() * len(row_normaliser)
        by_caption = [part.detach().requires_grad_() for part in parts[ctx.image_parts :]]
        grads = [torch.zeros_like(part) for part in parts]
        for start in range(0, size, ctx.chunk_size):
            rows = (0, start, min(ctx.chunk_size, size - start))
            by_image = [
                part.narrow(*rows).detach().requires_grad_() for part in parts[: ctx.image_parts]
            ]
            with torch.enable_grad():
                logits = ctx.similarities(*by_image, *by_caption)
            with torch.no_grad():
                slope = (logits - row_normaliser.narrow(*rows).unsqueeze(1)).exp()
                slope += (logits - column_normaliser).exp()
                slope.diagonal(first + start).sub_(2)
                slope *= upstream / (2 * size)
            found = torch.autograd.grad(logits, [*by_image, *by_caption], slope)
            for number, gradient in enumerate(found):
                total = grads[number]
                (total.narrow(*rows) if number < ctx.image_parts else total).add_(gradient)
        return None, None, None, *grads

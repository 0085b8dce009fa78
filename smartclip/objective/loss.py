"""The modular contrastive loss, fast: align an image only where its caption speaks.

The definition is in `smartclip.objective.definition`. Here every similarity is a few matrix
products of [B, D] arrays, and no [B, B, D] array is ever made.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from smartclip.objective.cross_entropy import Factors, symmetric_cross_entropy
from smartclip.objective.similarities import Similarity, formula
from theory.errors import InputError


def similarity_matrix(
    image: Float[Tensor, "*runs images D"],
    text: Float[Tensor, "*runs captions D"],
    mask: Float[Tensor, "*runs rows D"] | None,
    logit_scale: Float[Tensor, "*scales"] | float,
    *,
    similarity: Similarity = "cosine",
) -> Float[Tensor, "*runs images captions"]:
    """S_ij of every image i and caption j, by the formula of the similarity.

    Args:
        image: image embeddings z^_I, [images, D].
        text: caption embeddings z^_T, [captions, D].
        mask: caption masks m, [captions, D], hard in {0, 1} or soft in [0, 1]; None opens all. For
            an own form, row i is the mask of the caption that image i came with, [images, D].
        logit_scale: s > 0, a number or a scalar tensor (learned).
        similarity: a key of `smartclip.objective.similarities.SIMILARITIES`.

    Several runs at once: all tensors may carry the same leading dimensions, `logit_scale` too.

    Raises:
        InputError: an unknown similarity, or shapes that do not fit.
    """
    return _factors(image, text, mask, logit_scale, similarity).logits()


def modular_contrastive_loss(
    image: Float[Tensor, "*runs B D"],
    text: Float[Tensor, "*runs B D"],
    mask: Float[Tensor, "*runs B D"] | None,
    logit_scale: Float[Tensor, "*scales"] | float,
    *,
    similarity: Similarity = "cosine",
    chunk_size: int | None = None,
) -> Float[Tensor, "*runs"]:
    """Mean of the image-to-caption and the caption-to-image cross-entropy of S, in nats.

    It is computed in float32, or in float64 for float64 inputs, under autocast too. It has a first
    derivative and no second one.

    Args:
        image: image embeddings z^_I, [B, D]; row i belongs to caption i.
        text: caption embeddings z^_T, [B, D].
        mask: caption masks m, [B, D]; None opens all, which is CLIP's loss at CLIP's cost.
        logit_scale: see `similarity_matrix`.
        similarity: see `similarity_matrix`.
        chunk_size: rows of S held at a time. Memory is O(B * chunk_size) instead of O(B^2), for
            one more pass of matrix products; the value does not depend on it.

    Returns:
        A scalar; 0 at best, log B when nothing is told apart. With leading dimensions, one each.

    Raises:
        InputError: an unknown similarity, or shapes that do not fit.

    Example:
        >>> x = torch.eye(4)
        >>> loss = modular_contrastive_loss(x, x, torch.ones(4, 4), 100.0)
        >>> bool(loss < 1e-6)
        True
    """
    if image.shape != text.shape:
        raise InputError(
            f"image {tuple(image.shape)}, text {tuple(text.shape)}",
            rule="a batch has one caption for each image",
            fix="pass embeddings of one shape",
        )
    return contrastive_loss_of_rows(
        image, text, mask, logit_scale, similarity=similarity, chunk_size=chunk_size
    )


def contrastive_loss_of_rows(
    image: Float[Tensor, "*runs b D"],
    text: Float[Tensor, "*runs B D"],
    mask: Float[Tensor, "*runs rows D"] | None,
    logit_scale: Float[Tensor, "*scales"] | float,
    *,
    similarity: Similarity = "cosine",
    chunk_size: int | None = None,
    first: int = 0,
    over_all_rows: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "*runs"]:
    """The share of the loss that b of the B images have, those from `first` on.

    Args:
        image: these images alone.
        text: all captions; see `modular_contrastive_loss`.
        mask: of all captions; for an own form, of these images alone.
        logit_scale: see `similarity_matrix`.
        similarity: see `similarity_matrix`.
        chunk_size: see `modular_contrastive_loss`.
        first: the caption to which the first of these images belongs.
        over_all_rows: see `symmetric_cross_entropy`.
    """
    if chunk_size is not None and chunk_size < 1:
        raise InputError(
            f"chunk_size {chunk_size}",
            rule="a chunk has at least one row",
            fix="pass 1 or more, or None to hold all rows",
        )
    if chunk_size is not None and chunk_size >= image.shape[-2]:
        chunk_size = None
    wide = torch.float64 if image.dtype == torch.float64 else torch.float32
    mask = None if mask is None else mask.to(wide)
    factors = _factors(image.to(wide), text.to(wide), mask, logit_scale, similarity)
    return symmetric_cross_entropy(
        factors, chunk_size=chunk_size, first=first, over_all_rows=over_all_rows
    )


def _factors(
    image: Tensor,
    text: Tensor,
    mask: Tensor | None,
    logit_scale: Tensor | float,
    similarity: Similarity,
) -> Factors:
    chosen = formula(similarity)
    side, rows = (image, "images") if chosen.masks_images else (text, "captions")
    fitting = mask is None or mask.shape == side.shape
    if not fitting or image.shape[-1:] != text.shape[-1:] or image.shape[:-2] != text.shape[:-2]:
        shapes = f"image {tuple(image.shape)}, text {tuple(text.shape)}"
        raise InputError(
            shapes if mask is None else f"{shapes}, mask {tuple(mask.shape)}",
            rule="image is [images, D] and text is [captions, D] with the same D, and mask is "
            f"[{rows}, D] for {similarity}",
            fix=f"pass embeddings of one dimension and one mask row for each of the {rows}",
        )
    scale = torch.as_tensor(logit_scale, dtype=image.dtype, device=image.device)
    return chosen.factors(image, text, mask, scale.unsqueeze(-1).unsqueeze(-1))

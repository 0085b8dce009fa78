"""The modular contrastive loss: align an image only where its caption speaks.

    L = - (1/2B) sum_i [ log softmax_j S_ij  +  log softmax_i S_ij ]_(j = i),

where the similarity S_ij of image i and caption j sees the coordinates that the mask m_j of
*caption j* keeps open. Source: SmartCLIP (CVPR 2025), the modular alignment objective.

Every similarity is written *linear in the mask*. On {0, 1} nothing changes, since m^2 = m; but the
gradient of a closed gate is then what opening it would bring, and not zero. With m^2 a gate that
closes once stays closed, and training ends with empty masks.

All similarities are matrix products of [B, D] arrays; no [B, B, D] array is ever made. The loss
itself is in `smartclip.cross_entropy`.
"""

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from smartclip.cross_entropy import EPSILON, Factors, symmetric_cross_entropy
from theory.errors import InputError

Similarity = Literal["cosine", "distance", "likelihood_ratio"]
Negatives = Literal["modular", "own"]


def similarity_matrix(
    image: Float[Tensor, "*runs images D"],
    text: Float[Tensor, "*runs captions D"],
    mask: Float[Tensor, "*runs rows D"] | None,
    logit_scale: Float[Tensor, "*scales"] | float,
    *,
    similarity: Similarity = "cosine",
    mask_text: bool = False,
    negatives: Negatives = "modular",
) -> Float[Tensor, "*runs images captions"]:
    r"""S_ij, with s = `logit_scale` and x = `image`, t = `text`, m = `mask`:

    - `cosine` (published): s <x_i m_j, t_j> / (|x_i m_j| |t_j|); the caption side is not masked.
      With `mask_text` it is: s <x_i m_j, t_j m_j> / (|x_i m_j| |t_j m_j|).
    - `distance` (what the identification statements are about): -s sum_k m_jk (x_ik - t_jk)^2.
    - `likelihood_ratio`: sum_k m_jk [ -s (x_ik - t_jk)^2 + x_ik^2 / 2 + log(2 s) / 2 ].

    The third is log p(t | x) / p(t) of a Gaussian channel of precision 2s for coordinates x of
    unit variance. It makes captions with different numbers of open coordinates comparable: under
    the plain distance a caption with fewer open coordinates is closer to *every* image.

    Args:
        image: image embeddings z^_I, [images, D].
        text: caption embeddings z^_T, [captions, D].
        mask: caption masks m, [captions, D], hard in {0, 1} or soft in [0, 1]; None opens all.
        logit_scale: s > 0, a number or a scalar tensor (learned).
        similarity: which of the three.
        mask_text: mask the caption side of the cosine too. The other two sum over open
            coordinates, so there both sides are masked already and nothing changes.
        negatives: see `modular_contrastive_loss`; with `own`, row i of `mask` is that of image i,
            [images, D].

    Several runs at once: all tensors may carry the same leading dimensions, `logit_scale` too.

    Raises:
        InputError: an unknown similarity, or shapes that do not fit.
    """
    own = negatives == "own"
    logits = _factors(image, text, mask, logit_scale, similarity, mask_text, own=own).logits()
    return logits.mT if _changes_sides(similarity, mask_text, own, mask) else logits


def modular_contrastive_loss(
    image: Float[Tensor, "*runs B D"],
    text: Float[Tensor, "*runs B D"],
    mask: Float[Tensor, "*runs B D"] | None,
    logit_scale: Float[Tensor, "*scales"] | float,
    *,
    similarity: Similarity = "cosine",
    mask_text: bool = False,
    negatives: Negatives = "modular",
    chunk_size: int | None = None,
) -> Float[Tensor, "*runs"]:
    """Mean of the image-to-caption and the caption-to-image cross-entropy of S, in nats.

    It is computed in float32, or in float64 for float64 inputs, under autocast too. It has a first
    derivative and no second one.

    Args:
        image: image embeddings z^_I, [B, D]; row i belongs to caption i.
        text: caption embeddings z^_T, [B, D].
        mask: caption masks m, [B, D]; None opens all, which is CLIP's loss at CLIP's cost.
        logit_scale: s of `similarity_matrix`.
        similarity: see `similarity_matrix`.
        mask_text: see `similarity_matrix`.
        negatives: `modular` is the formula above. `own` is the ablation that takes the modularity
            away: S_ij sees the coordinates of m_i, the mask of the caption that image i *came
            with*. An image keeps one masked embedding for all captions, as in CLIP, and a
            caption that it does not belong to never says where to look.
        chunk_size: rows of S held at a time. Memory is O(B * chunk_size) instead of O(B^2), for
            one more pass of matrix products; the value does not depend on it.

    Returns:
        A scalar; 0 at best, log B when nothing is told apart. With leading dimensions, one each.

    Raises:
        InputError: an unknown option, or shapes that do not fit.

    Example:
        >>> x = torch.eye(4)
        >>> loss = modular_contrastive_loss(x, x, torch.ones(4, 4), 100.0)
        >>> bool(loss < 1e-6)
        True
    """
    if chunk_size is not None and chunk_size < 1:
        raise InputError(
            f"chunk_size {chunk_size}",
            rule="a chunk has at least one row",
            fix="pass 1 or more, or None to hold all rows",
        )
    if negatives not in get_args(Negatives):
        raise InputError(
            f"negatives {negatives!r}",
            rule="negatives are one of " + ", ".join(get_args(Negatives)),
            fix="choose one of them",
        )
    if image.shape != text.shape:
        raise InputError(
            f"image {tuple(image.shape)}, text {tuple(text.shape)}",
            rule="a batch has one caption for each image",
            fix="pass embeddings of one shape",
        )
    size = image.shape[-2]
    if chunk_size is not None and chunk_size >= size:
        chunk_size = None
    wide = torch.float64 if image.dtype == torch.float64 else torch.float32
    image, text = image.to(wide), text.to(wide)
    mask = None if mask is None else mask.to(wide)
    factors = _factors(
        image, text, mask, logit_scale, similarity, mask_text, own=negatives == "own"
    )
    return symmetric_cross_entropy(factors, chunk_size=chunk_size)


def _factors(
    image: Tensor,
    text: Tensor,
    mask: Tensor | None,
    logit_scale: Tensor | float,
    similarity: Similarity,
    mask_text: bool,
    *,
    own: bool = False,
) -> Factors:
    """Factors of S; with `own` of S or of S', which have the same symmetric cross-entropy."""
    fitting = mask is None or mask.shape == (image if own else text).shape
    if not fitting or image.shape[-1:] != text.shape[-1:] or image.shape[:-2] != text.shape[:-2]:
        shapes = f"image {tuple(image.shape)}, text {tuple(text.shape)}"
        raise InputError(
            shapes if mask is None else f"{shapes}, mask {tuple(mask.shape)}",
            rule="text and mask are [captions, D] and image is [images, D] with the same D",
            fix="pass one mask row per caption and embeddings of one dimension",
        )
    scale = torch.as_tensor(logit_scale, dtype=image.dtype, device=image.device)
    scale = scale.unsqueeze(-1).unsqueeze(-1)
    if similarity == "cosine":
        if mask is None:
            return Factors(_unit(image), scale * _unit(text))
        if own and not mask_text:
            return Factors(_unit_where_open(image, mask), scale * _unit(text))
        if own:
            image, text = text, image
        masked = _unit_where_open(text, mask) if mask_text else mask * _unit(text)
        return Factors(image, scale * masked, q=image.square(), m=mask)
    if own:
        image, text = text, image
    mask = torch.ones_like(text) if mask is None else mask
    u = torch.cat([image, image.square()], -1)
    square, constant = -scale * mask, -scale.squeeze(-1) * (mask * text.square()).sum(-1)
    if similarity == "likelihood_ratio":
        constant = constant + mask.sum(-1) * (0.5 * torch.log(2 * scale.squeeze(-1)))
        if own:
            constant = constant + (mask * text.square()).sum(-1) / 2
        else:
            square = square + mask / 2
    elif similarity != "distance":
        raise InputError(
            f"similarity {similarity!r}",
            rule="a similarity is one of " + ", ".join(get_args(Similarity)),
            fix="choose one of them",
        )
    return Factors(u, torch.cat([2 * scale * mask * text, square], -1), constant)


def _changes_sides(similarity: Similarity, mask_text: bool, own: bool, mask: Tensor | None) -> bool:
    """Whether `_factors` are those of S': an image under its own mask is treated as a caption."""
    return own and (similarity != "cosine" or (mask_text and mask is not None))


def _unit(x: Tensor) -> Tensor:
    """x / |x|, row by row."""
    return F.normalize(x, dim=-1, eps=math.sqrt(EPSILON))


def _unit_where_open(x: Tensor, mask: Tensor) -> Tensor:
    """x m / |x m|, row by row, linear in the mask under the root."""
    return mask * x / ((mask * x.square()).sum(-1, keepdim=True) + EPSILON).sqrt()

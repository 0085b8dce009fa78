"""The modular contrastive loss of a batch that is spread over k processes.

Rank r holds the images i in R_r, b = B / k of them, and computes those rows of S alone:

    L_r = 1/2b ( sum_(i in R_r) log sum_j exp S_ij  +  sum_(j in R_r) log sum_i exp S_ij
                 - 2 sum_(i in R_r) S_ii ),                         L = 1/k sum_r L_r.

The columns' normalisers run over all images, of which a rank sees its own; the ranks exchange B
numbers for them. Captions and masks are gathered with gradients; images stay where they are. No
rank holds more than [b, B] of S, or [chunk_size, B] if that is less. Derived here.
"""

import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from smartclip.objective import Similarity
from smartclip.objective.loss import contrastive_loss_of_rows
from smartclip.objective.similarities import formula
from smartclip.train.ranks import gather_rows, own_part, rank, ranks
from theory.errors import InputError


def distributed_contrastive_loss(
    image: Float[Tensor, "b D"],
    text: Float[Tensor, "b D"],
    mask: Float[Tensor, "b D"],
    logit_scale: Float[Tensor, ""] | float,
    *,
    similarity: Similarity = "cosine",
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
    texts, masks = gather_rows(text), gather_rows(mask)
    return contrastive_share(
        image, texts, masks, logit_scale, similarity=similarity, chunk_size=chunk_size
    )


def contrastive_share(
    image: Float[Tensor, "b D"],
    text: Float[Tensor, "B D"],
    mask: Float[Tensor, "B D"] | None,
    logit_scale: Float[Tensor, ""] | float,
    *,
    similarity: Similarity = "cosine",
    chunk_size: int | None = None,
) -> Float[Tensor, ""]:
    """L_r, from the images of this rank and the captions and masks of all.

    Args:
        image: rows of this rank.
        text: of the whole batch, the same on every rank.
        mask: of the whole batch, the same on every rank; None opens all.
        logit_scale: see `smartclip.objective.similarity_matrix`.
        similarity: see `smartclip.objective.similarity_matrix`.
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
    if mask is not None and formula(similarity).masks_images:
        mask = own_part(mask)
    return contrastive_loss_of_rows(
        image,
        text,
        mask,
        logit_scale,
        similarity=similarity,
        chunk_size=chunk_size,
        first=rank() * len(image),
        over_all_rows=_over_all_ranks if ranks() > 1 else None,
    )


def _over_all_ranks(normalisers: Tensor) -> Tensor:
    """log sum_r exp of what each rank r passes."""
    everyones = normalisers.new_empty(ranks(), *normalisers.shape)
    dist.all_gather(list(everyones.unbind()), normalisers)
    # Not torch.logsumexp, which a pretended device lacks.
    largest = everyones.amax(0)
    return (everyones - largest).exp().sum(0).log() + largest

"""Held-out pairs while training: the loss, and how often the right partner comes first.

Each rank embeds its rows and answers for them: its images among all captions, its captions among
all images. Masks are hard and whitening uses running statistics, as after training.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from smartclip.model import Features
from smartclip.objective import Similarity, similarity_matrix
from smartclip.objective.similarities import modular_form
from smartclip.train.losses import LONG, each_caption
from smartclip.train.parallel import Towers
from smartclip.train.ranks import gather_rows, mean_over_ranks, own_rows
from smartclip.train.source import Source, rows_of_batch
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """Pairs to validate on: the first batch of `source`, `size` of them.

    Attributes:
        source: of held-out pairs, all different.
        size: how many.
        rows_at_a_time: pairs embedded, and rows of similarities held, at a time.
    """

    source: Source
    size: int
    rows_at_a_time: int = 256

    def __post_init__(self) -> None:
        if self.size < 2 or self.rows_at_a_time < 1:
            raise InputError(
                f"size {self.size}, rows_at_a_time {self.rows_at_a_time}",
                rule="a pair is told from at least one other, one row at a time or more",
                fix="choose a size of 2 or more and rows_at_a_time of 1 or more",
            )


@torch.no_grad()
def validate(
    towers: Towers,
    validation: Validation,
    *,
    logit_scale: float,
    similarity: Similarity,
) -> dict[str, float]:
    """`loss` in nats, and `image_to_caption` and `caption_to_image`, the shares of first places.

    All ranks call it together and get the same numbers. Ties count as lost. Own similarities are
    validated by their modular forms, as they are used after training.
    """
    model = towers.model
    was_training = model.training
    model.eval()
    # Of two captions an image, the longer one is asked.
    embeddings = model.head(each_caption(_features(towers, validation))[LONG])
    image, text, mask = embeddings.image, embeddings.text, embeddings.mask
    similarity = modular_form(similarity)
    own = own_rows(validation.size)
    sums = torch.zeros(3, dtype=torch.float64, device=image.device)
    for start in range(own.start, own.stop, validation.rows_at_a_time):
        rows = slice(start, min(start + validation.rows_at_a_time, own.stop))
        captions = similarity_matrix(image[rows], text, mask, logit_scale, similarity=similarity)
        images = similarity_matrix(
            image, text[rows], mask[rows], logit_scale, similarity=similarity
        ).T
        for number, scores in enumerate((captions, images), start=1):
            right = scores.diagonal(start).clone()
            sums[0] += (scores.logsumexp(1) - right).sum() / 2
            scores.diagonal(start).fill_(-torch.inf)
            sums[number] += (right > scores.amax(1)).sum()
    loss, forth, back = (mean_over_ranks(sums) / (own.stop - own.start)).tolist()
    model.train(was_training)
    return {"loss": loss, "image_to_caption": forth, "caption_to_image": back}


def _features(towers: Towers, validation: Validation) -> Features:
    device = next(towers.model.parameters()).device
    own = own_rows(validation.size)
    images, tokens = rows_of_batch(validation.source, 0, validation.size, own, device)
    pieces = [
        towers.embed(*rows, step=-1, first=own.start + number * validation.rows_at_a_time)
        for number, rows in enumerate(
            zip(
                images.split(validation.rows_at_a_time),
                tokens.split(validation.rows_at_a_time),
                strict=True,
            )
        )
    ]
    columns: list[Tensor] = [gather_rows(torch.cat(column)) for column in zip(*pieces, strict=True)]
    return Features(*columns)

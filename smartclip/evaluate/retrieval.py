"""R@k: how often a right answer is among the k best, in both directions.

A caption may describe several images and an image may have several captions; a query counts as
answered when any right one is among the k best, as in the published numbers on COCO and Flickr30k.
Among equal scores the order is random, and R@k is the expectation over that order: a model that
gives every image the same code scores chance, not 100 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from smartclip.objective import Similarity, similarity_matrix
from smartclip.objective.similarities import modular_form
from theory.errors import InputError

KS = (1, 5, 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """R@k of one direction.

    Attributes:
        ks: the values of k, ascending.
        hits: [queries, len(ks)], for each query the probability that a right answer is among the
            k best; 0 or 1 unless scores are equal. Higher is better.
        ranks: [queries] place of the best right answer, from 1 on: of r right ones among t equal
            scores it is expected (t + 1) / (r + 1) places after those that are better.
        chance: [len(ks)], the same for a random order of all candidates.
        queries: [queries] rows (or columns) of the score matrix that have a right answer.
        unanswerable: queries left out because no candidate is right.
    """

    ks: tuple[int, ...]
    hits: Float[np.ndarray, "queries ks"]
    ranks: Float[np.ndarray, " queries"]
    chance: Float[np.ndarray, " ks"]
    queries: np.ndarray
    unanswerable: int

    def at(self, k: int) -> float:
        """R@k, from 0 to 1."""
        return float(self.hits[:, self.ks.index(k)].mean())

    @property
    def median_rank(self) -> float:
        """The median of `ranks`; lower is better, 1 the best."""
        return float(np.median(self.ranks))

    def to_dict(self) -> dict[str, Any]:
        return {
            "recall": {str(k): self.at(k) for k in self.ks},
            "median_rank": self.median_rank,
            "chance": dict(zip(map(str, self.ks), self.chance.tolist(), strict=True)),
            "queries": len(self.queries),
            "unanswerable": self.unanswerable,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrieval:
    """R@k of both directions."""

    caption_to_image: Recall
    image_to_caption: Recall

    def table(self) -> pd.DataFrame:
        """One row a direction: queries, R@k and chance in percent."""
        rows = []
        for name in ("caption_to_image", "image_to_caption"):
            recall: Recall = getattr(self, name)
            row: dict[str, Any] = {"direction": name.replace("_", " "), "queries": len(recall.hits)}
            row |= {f"R@{k}": 100 * recall.at(k) for k in recall.ks}
            row |= {
                f"chance@{k}": 100 * float(value)
                for k, value in zip(recall.ks, recall.chance, strict=True)
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        return {
            "caption_to_image": self.caption_to_image.to_dict(),
            "image_to_caption": self.image_to_caption.to_dict(),
        }

    def _repr_html_(self) -> str:
        return self.table().round(1).to_html(index=False)


def retrieval(
    scores: Float[Tensor, "images captions"],
    relevant: Bool[Tensor, "_ _"],
    ks: Sequence[int] = KS,
) -> Retrieval:
    """R@k from a matrix of scores.

    Args:
        scores: higher is a better match.
        relevant: [images, captions], which pairs are right.
        ks: how many of the best count; a k beyond the number of candidates means all of them.

    Raises:
        InputError: shapes that differ, NaN, no right pair, or a k below 1.

    >>> perfect = retrieval(torch.eye(4), torch.eye(4, dtype=torch.bool), ks=(1, 2))
    >>> perfect.caption_to_image.at(1), perfect.caption_to_image.chance.round(6).tolist()
    (1.0, [0.25, 0.5])
    >>> constant = retrieval(torch.zeros(4, 4), torch.eye(4, dtype=torch.bool), ks=(1,))
    >>> round(constant.image_to_caption.at(1), 6)
    0.25
    """
    if scores.shape != relevant.shape:
        raise InputError(
            f"scores {tuple(scores.shape)} with relevant {tuple(relevant.shape)}",
            rule="each pair has one score and is right or wrong",
            fix="make both [images, captions]",
        )
    if not relevant.any():
        raise InputError(
            "no right pair",
            rule="some image has some caption",
            fix="check how images and captions are matched",
        )
    chosen = _chosen(scores, ks)
    return Retrieval(
        caption_to_image=_recall(scores.T, relevant.T, chosen),
        image_to_caption=_recall(scores, relevant, chosen),
    )


def retrieval_by_rows(
    image: Float[Tensor, "images d"],
    text: Float[Tensor, "captions d"],
    mask: Float[Tensor, "captions d"] | None,
    owner: Int[Tensor, " captions"],
    *,
    logit_scale: float = 1.0,
    similarity: Similarity = "cosine",
    ks: Sequence[int] = KS,
    scores_at_a_time: int = 1 << 24,
) -> Retrieval:
    """R@k of every caption and image without their whole matrix of scores.

    Equal to `retrieval(read(image, text, mask), relevant)`, where image `owner[j]` alone is right
    for caption j.

    Args:
        image: z^_I.
        text: z^_T.
        mask: m; None opens everything.
        owner: of each caption, its image.
        logit_scale: see `read`.
        similarity: see `read`.
        ks: how many of the best count.
        scores_at_a_time: bounds memory; 64 MiB by default, and a few copies of them.

    Raises:
        InputError: as `retrieval`.
    """
    images, captions = torch.arange(len(image), device=owner.device), len(text)
    found: dict[str, list[Recall]] = {"caption_to_image": [], "image_to_caption": []}
    for part in torch.arange(captions).split(max(1, scores_at_a_time // len(image))):
        opened = None if mask is None else mask[part]
        scores = read(image, text[part], opened, logit_scale=logit_scale, similarity=similarity)
        relevant = images[:, None] == owner[part]
        found["caption_to_image"].append(_recall(scores.T, relevant.T, _chosen(scores, ks)))
    for part in torch.arange(len(image)).split(max(1, scores_at_a_time // captions)):
        relevant = images[part, None] == owner
        scores = read(image[part], text, mask, logit_scale=logit_scale, similarity=similarity)
        found["image_to_caption"].append(_recall(scores, relevant, _chosen(scores, ks)))
    return Retrieval(
        caption_to_image=_joined(found["caption_to_image"]),
        image_to_caption=_joined(found["image_to_caption"]),
    )


def _joined(parts: list[Recall]) -> Recall:
    """Parts of the queries of one direction, in their order."""
    asked = [part for part in parts if len(part.hits)]
    sizes = [len(part.hits) for part in asked]
    return Recall(
        ks=parts[0].ks,
        hits=np.concatenate([part.hits for part in asked]),
        ranks=np.concatenate([part.ranks for part in asked]),
        chance=np.average([part.chance for part in asked], axis=0, weights=sizes),
        queries=_numbered(parts),
        unanswerable=sum(part.unanswerable for part in parts),
    )


def _numbered(parts: list[Recall]) -> np.ndarray:
    """Rows of all parts, where each counts its own from 0."""
    starts = np.cumsum([0, *(len(part.hits) + part.unanswerable for part in parts)])
    return np.concatenate(
        [part.queries + start for part, start in zip(parts, starts[:-1], strict=True)]
    )


def read(
    image: Float[Tensor, "images d"],
    text: Float[Tensor, "captions d"],
    mask: Float[Tensor, "captions d"] | Bool[Tensor, "captions d"] | None = None,
    *,
    logit_scale: float = 1.0,
    similarity: Similarity = "cosine",
    rows: int = 4096,
) -> Float[Tensor, "images captions"]:
    """Scores of every pair: the *masked* reading with a mask, the *unmasked* one without.

    Masked, each caption looks at the image through its own mask, as in training. The published
    evaluation is unmasked: plain cosine of the two codes.

    Args:
        image: z^_I.
        text: z^_T.
        mask: m, one row a caption; None opens everything.
        logit_scale: matters for the order only if `similarity` is the likelihood ratio.
        similarity: the one the model was trained with; an own one is read by its modular form.
        rows: images at a time; bounds the memory of intermediate results.
    """
    opened = torch.ones_like(text) if mask is None else mask.to(text)
    similarity = modular_form(similarity)
    return torch.cat(
        [
            similarity_matrix(part, text, opened, logit_scale, similarity=similarity)
            for part in image.split(rows)
        ]
    )


def _chosen(scores: Tensor, ks: Sequence[int]) -> tuple[int, ...]:
    """The values of k, ascending, for scores that can be ordered."""
    if torch.isnan(scores).any():
        raise InputError(
            f"{int(torch.isnan(scores).sum())} scores are NaN",
            rule="scores can be ordered",
            fix="look for embeddings that are NaN",
        )
    chosen = tuple(sorted(set(ks)))
    if not chosen or chosen[0] < 1:
        raise InputError(
            f"ks {tuple(ks)}", rule="R@k counts the k best, k at least 1", fix=f"use {KS}"
        )
    return chosen


def _recall(scores: Tensor, relevant: Tensor, ks: tuple[int, ...]) -> Recall:
    """Rows are queries, columns candidates."""
    answerable = relevant.any(1)
    queries = torch.nonzero(answerable).squeeze(1)
    scores, relevant = scores[queries], relevant[queries]
    best = scores.masked_fill(~relevant, -torch.inf).amax(1, keepdim=True)
    better = (scores > best).sum(1)  # wrong candidates only, since `best` is the best right one
    tied = scores == best
    right = (tied & relevant).sum(1)
    candidates = torch.full_like(right, scores.shape[1])
    ranks = better + (tied.sum(1) + 1) / (right + 1)
    hits = [_hit(tied.sum(1), right, (k - better).clamp(min=0)) for k in ks]
    chance = [_hit(candidates, relevant.sum(1), torch.full_like(right, k)).mean() for k in ks]
    return Recall(
        ks=ks,
        hits=torch.stack(hits, 1).cpu().numpy(),
        ranks=ranks.double().cpu().numpy(),
        chance=torch.stack(chance).cpu().numpy(),
        queries=queries.cpu().numpy(),
        unanswerable=int((~answerable).sum()),
    )


def _hit(candidates: Tensor, right: Tensor, drawn: Tensor) -> Tensor:
    """P(some right one among `drawn` of the candidates) = 1 - C(n - r, k) / C(n, k)."""
    n, r = candidates.double(), right.double()
    k = torch.minimum(drawn, candidates).double()

    def log_choose(m: Tensor) -> Tensor:
        return torch.lgamma(m + 1) - torch.lgamma(m - k + 1)  # without log k!, which cancels

    can_miss = k <= n - r
    log_miss = log_choose(n - r) - log_choose(n)
    return torch.where(can_miss, -torch.expm1(log_miss.where(can_miss, 0 * n)), 1.0)

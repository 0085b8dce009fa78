"""The exact k best of a million embeddings for each query, without the matrix of their scores.

    block of scores [b, n]  ->  maxima of groups of G  ->  k best groups  ->  their k best scores

The k best scores of a row lie in the k groups with the largest maxima (derived here: a score
outside them has k group maxima at least as large above it), so that only k G of n scores are
sorted. Blocks bound the memory; the k best so far are merged from block to block.
"""

import sys
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from theory.errors import InputError

QUERIES, GALLERY = 1024, 1 << 14
GROUP = 64


class Found(NamedTuple):
    """The k best of each query, best first: scores and rows of the gallery, each [Q, k]."""

    scores: Float[Tensor, "Q k"]
    rows: Int64[Tensor, "Q k"]


def best(
    queries: Float[Tensor, "Q d"],
    gallery: Float[Tensor, "N d"],
    k: int,
    *,
    rows: tuple[int, int] = (QUERIES, GALLERY),
    quiet: bool = False,
) -> Found:
    """The k rows of the gallery with the largest inner product with each query.

    Args:
        queries: normalised for the cosine, as is the gallery.
        gallery: N rows.
        k: at least 1, at most N.
        rows: queries and rows of the gallery in a block; a block takes 4 bytes for each pair.
        quiet: no progress bar.

    Raises:
        InputError: k out of range, other dimensions, or scores that are not finite.

    Example:
        >>> found = best(torch.eye(3), torch.eye(3) * torch.tensor([1.0, 2.0, 3.0]), 1)
        >>> found.rows.flatten().tolist(), found.scores.flatten().tolist()
        ([0, 1, 2], [1.0, 2.0, 3.0])
    """
    if not 1 <= k <= len(gallery) or queries.shape[1] != gallery.shape[1]:
        raise InputError(
            f"the {k} best for queries {tuple(queries.shape)} in a gallery {tuple(gallery.shape)}",
            rule="between one and all rows of a gallery of the queries' dimension are found",
            fix="ask for fewer, or embed both with one model",
        )
    answered: list[Found] = []
    silent = quiet or not sys.stderr.isatty()
    with torch.inference_mode(), Progress(transient=True, disable=silent) as bar:
        task = bar.add_task("searching", total=len(queries) * len(gallery))
        for asked in queries.split(rows[0]):
            so_far: Found | None = None
            for start in range(0, len(gallery), rows[1]):
                part = gallery[start : start + rows[1]]
                found = _of_block(asked @ part.T, min(k, len(part)))
                found = Found(found.scores, found.rows + start)
                so_far = found if so_far is None else _merged(so_far, found, k)
                bar.advance(task, len(asked) * len(part))
            assert so_far is not None
            answered.append(so_far)
    result = Found(*(torch.cat(column) for column in zip(*answered, strict=True)))
    if not torch.isfinite(result.scores).all():
        raise InputError(
            "scores that are not finite",
            rule="scores can be ordered",
            fix="look for embeddings that are NaN or infinite",
        )
    return result


def _of_block(scores: Tensor, k: int) -> Found:
    """The k best of each row of a block."""
    whole = scores.shape[1] // GROUP
    if whole <= k:
        return Found(*scores.topk(k))
    grouped = scores[:, : whole * GROUP].unflatten(1, (whole, GROUP))
    groups = grouped.amax(2).topk(k).indices
    chosen = grouped.gather(1, groups[..., None].expand(-1, -1, GROUP)).flatten(1)
    places = (groups[..., None] * GROUP + torch.arange(GROUP, device=groups.device)).flatten(1)
    rest = scores[:, whole * GROUP :]
    if rest.shape[1]:
        chosen = torch.cat([chosen, rest], 1)
        beyond = torch.arange(whole * GROUP, scores.shape[1], device=groups.device)
        places = torch.cat([places, beyond.expand(len(scores), -1)], 1)
    top = chosen.topk(k)
    return Found(top.values, places.gather(1, top.indices))


def _merged(one: Found, other: Found, k: int) -> Found:
    scores = torch.cat([one.scores, other.scores], 1)
    rows = torch.cat([one.rows, other.rows], 1)
    top = scores.topk(min(k, scores.shape[1]))
    return Found(top.values, rows.gather(1, top.indices))

"""What a way of sampling sentences identifies: each caption as all that it may be cut to.

A concept counts as identified alone under a sampler iff for every other concept the sampler can
draw a text with it and without the other. What is drawn seldom counts as what is drawn often.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64
from scipy import sparse

from smartclip.audit.mentions import Mentions, together

OFTEN = 0.1
"""Share of the texts with a concept that have it without another."""

_AT_ONCE = 1_000_000
_LONG = 64
_LOOKED_AT = 5_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """One sampler on one corpus.

    Attributes:
        name: of the sampler.
        about: what it keeps of a caption.
        alone: concepts identified alone.
        tied: ordered pairs that are never apart: k only with j.
        often: of them, those that for every other concept are without it in at least 10 % of the
            texts that mention them.
        within: of the ordered pairs of concepts of one caption, the share that this caption alone
            shows apart; over the captions of 2 to 64 sentences, at most 5,000 of them.
        texts: different ways to cut the captions.
    """

    name: str
    about: str
    alone: int
    often: int
    tied: int
    within: float
    texts: int


Cut = Callable[[int], list[tuple[int, int]]]

SAMPLERS: dict[str, tuple[str, Cut]] = {
    "whole caption": ("all sentences", lambda n: [(0, n)]),
    "prefix": ("the first 1, 2, ..., N (SmartCLIP)", lambda n: [(0, k) for k in range(1, n + 1)]),
    "drop first": (
        "all, or all but the first",
        lambda n: [(0, n)] if n == 1 else [(0, n), (1, n)],
    ),
    "windows": (
        "two neighbours",
        lambda n: [(0, 1)] if n == 1 else [(k, k + 2) for k in range(n - 1)],
    ),
    # A set of sentences with k and without j exists iff one sentence alone is such a set.
    "subsets": ("any set of sentences", lambda n: [(k, k + 1) for k in range(n)]),
}
"""Name -> what it keeps, and the runs of sentences that stand for all that it may keep."""


def sampled(mentions: Mentions) -> list[Sampled]:
    """Every sampler on the captions; they agree where captions are single sentences."""
    results: list[Sampled] = []
    starts = np.flatnonzero(np.diff(mentions.caption_of, prepend=-1))
    counts = np.diff(np.append(starts, len(mentions.caption_of)))
    for name, (about, cut) in SAMPLERS.items():
        total = np.zeros((len(mentions.concepts),) * 2, dtype=np.int32)
        # Prefixes of a text of a thousand sentences are half a million sentences.
        long = counts > _LONG if name == "prefix" else np.zeros(len(counts), dtype=bool)
        texts = int(counts[long].sum())
        for start, count in zip(starts[long].tolist(), counts[long].tolist(), strict=True):
            _add_prefixes(mentions.sentences[start : start + count], total)
        for rows in _views(mentions.sentences, starts[~long], counts[~long], cut):
            texts += len(rows.indptr) - 1
            together(rows, total)
        alone, often, tied = apart(total)
        results.append(
            Sampled(
                name=name,
                about=about,
                alone=alone,
                often=often,
                tied=tied,
                within=_within(mentions, starts, counts, cut),
                texts=texts,
            )
        )
    return results


def apart(total: Int32[np.ndarray, "K K"]) -> tuple[int, int, int]:
    """How many concepts are identified alone, how many of them often, how many pairs are bound."""
    said, least = least_apart(total)
    alone = (said > 0) & (least > 0)
    bound = int(((total == said[:, None]) & (said[:, None] > 0)).sum()) - int((said > 0).sum())
    return int(alone.sum()), int((alone & (least >= OFTEN * said)).sum()), bound


def least_apart(
    total: Int32[np.ndarray, "K K"],
) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"]]:
    """n_k, and the fewest texts with k and without j over all j."""
    said = total.diagonal().copy()
    np.fill_diagonal(total, -1)  # for a moment: a copy of a large table is as large
    shared = total.max(axis=1, initial=0)
    np.fill_diagonal(total, said)
    return said.astype(np.int64), (said - shared).astype(np.int64)


def inside(masks: Iterable[int]) -> int:
    """Ordered pairs of sets, one within the other: those that nothing shows apart."""
    groups = Counter(masks)
    pairs = sum(n * m for a, n in groups.items() for b, m in groups.items() if a & b == a)
    return pairs - groups.total()


def _within(
    mentions: Mentions, starts: Int64[np.ndarray, " n"], counts: Int64[np.ndarray, " n"], cut: Cut
) -> float:
    several = np.flatnonzero((counts > 1) & (counts <= _LONG))
    rank = mentions.rank[mentions.caption_of[starts[several]]]
    ends, flat = np.asarray(mentions.sentences.indptr), np.asarray(mentions.sentences.indices)
    pairs = bound = 0
    for index in several[np.argsort(rank, kind="stable")[:_LOOKED_AT]].tolist():
        first, count = int(starts[index]), int(counts[index])
        # Bit s of a concept's mask: sentence s mentions it. Then the same of every text.
        said: dict[int, int] = {}
        for bit in range(count):
            for concept in flat[ends[first + bit] : ends[first + bit + 1]].tolist():
                said[concept] = said.get(concept, 0) | 1 << bit
        runs = [(1 << high) - (1 << low) for low, high in cut(count)]
        shown = (
            sum(1 << text for text, run in enumerate(runs) if mask & run) for mask in said.values()
        )
        pairs += len(said) * (len(said) - 1)
        bound += inside(shown)
    return (pairs - bound) / pairs if pairs else 0.0


def _views(
    sentences: sparse.csr_array,
    starts: Int64[np.ndarray, " n"],
    counts: Int64[np.ndarray, " n"],
    cut: Cut,
) -> Iterator[sparse.csr_array]:
    """The concepts of each run of sentences, many captions at a time."""
    runs = {int(n): cut(int(n)) for n in np.unique(counts)}
    sizes = {n: sum(high - low for low, high in cuts) for n, cuts in runs.items()}
    batch: list[tuple[int, int]] = []
    waiting = 0
    for index in range(len(starts)):
        start, count = int(starts[index]), int(counts[index])
        batch.append((start, count))
        waiting += sizes[count]
        if waiting > _AT_ONCE:
            yield _cut(sentences, batch, runs)
            batch, waiting = [], 0
    if batch:
        yield _cut(sentences, batch, runs)


def _cut(
    sentences: sparse.csr_array,
    captions: list[tuple[int, int]],
    runs: dict[int, list[tuple[int, int]]],
) -> sparse.csr_array:
    """The concepts of every run of some captions, given by first sentence and count."""
    base = captions[0][0]
    last = sum(captions[-1])
    rows: list[int] = []
    ends = [0]
    for start, count in captions:
        for low, high in runs[count]:
            rows.extend(range(start - base + low, start - base + high))
            ends.append(len(rows))
    pick = sparse.csr_array(
        (np.ones(len(rows), dtype=np.int32), rows, ends), shape=(len(ends) - 1, last - base)
    )
    view = sparse.csr_array(pick @ sentences[base:last].astype(np.int32))
    view.data[:] = 1
    return view


def _add_prefixes(sentences: sparse.csr_array, total: Int32[np.ndarray, "K K"]) -> None:
    """k and j are in N - max(f_k, f_j) of N prefixes, if they are first said in f_k and f_j."""
    table = sparse.coo_array(sentences)
    count = len(sentences.indptr) - 1
    concepts, place = np.unique(table.col, return_index=True)  # rows ascend: the first counts
    first = table.row[place]
    for k, said in zip(concepts.tolist(), first.tolist(), strict=True):
        total[k, concepts] += (count - np.maximum(said, first)).astype(np.int32)

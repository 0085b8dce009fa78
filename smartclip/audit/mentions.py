"""B(m) of every sentence and caption: the concepts that it asserts, as rows of a sparse matrix.

What follows "no", "without" or "possibly" is not asserted, so a mention of that kind opens no mask;
it is counted apart. A cue reaches the next words that name something, at most three words on, and
over "or" and "nor"; a mark or a stop word behind them ends it.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Int32, Int64
from scipy import sparse

from smartclip.audit.collocations import STOP_WORDS
from smartclip.audit.vocabulary import MOST, Vocabulary, folding, matcher_of
from smartclip.audit.words import ENDS, MARKS, Words, distinct
from theory.errors import InputError

NEGATIONS = frozenset(
    {"no", "not", "without", "never", "neither", "nor", "lacks", "lacking", "absent", "isn't"}
    | {"aren't", "wasn't", "weren't", "doesn't", "don't", "nobody", "none", "cannot", "can't"}
)
"""Words that deny what follows."""

HEDGES = frozenset({"possibly", "perhaps", "maybe", "presumably", "might", "could", "if"})
"""Words that leave open whether it is so."""

REACH = 3
"""Words from a cue to the mention that it is about."""

_JOINING = frozenset({"or", "nor"})
_MOST_PAIRS = 8_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Mentions:
    """Which concepts each sentence and each caption asserts.

    Attributes:
        concepts: the K names.
        sentences: 0/1 [S, K], a row a sentence, in order; captions without words have none.
        caption_of: the caption of each sentence.
        captions: 0/1 [n, K].
        picture: of each caption.
        rank: of each caption, see `Words`.
        denied: captions that mention a concept only after a cue that denies it.
        hedged: the same with a cue that leaves it open.
    """

    concepts: tuple[str, ...]
    sentences: sparse.csr_array
    caption_of: Int32[np.ndarray, " S"]
    captions: sparse.csr_array
    picture: Int64[np.ndarray, " n"]
    rank: np.ndarray
    denied: Int64[np.ndarray, " K"]
    hedged: Int64[np.ndarray, " K"]

    def said_in(self, least: int) -> "Mentions":
        """Without the concepts that fewer captions assert: those only denied, for one."""
        kept = np.flatnonzero(np.bincount(self.captions.indices, minlength=self.count) >= least)
        if len(kept) == self.count:
            return self
        captions = self.captions[:, kept]
        return replace(
            self,
            concepts=tuple(self.concepts[k] for k in kept.tolist()),
            sentences=captions if self.one_sentence else self.sentences[:, kept],
            captions=captions,
            denied=self.denied[kept],
            hedged=self.hedged[kept],
        )

    @property
    def count(self) -> int:
        """K, the number of concepts."""
        return len(self.concepts)

    def having(self, k: int) -> Int64[np.ndarray, " s"]:
        """The sentences that assert concept k."""
        places = np.flatnonzero(self.sentences.indices == k)
        return np.searchsorted(self.sentences.indptr, places, side="right").astype(np.int64) - 1

    @property
    def one_sentence(self) -> bool:
        """No caption has more than one sentence."""
        return self.captions is self.sentences


def find_mentions(words: Words, vocabulary: Vocabulary) -> Mentions:
    """All mentions of the concepts of a vocabulary.

    Raises:
        InputError: more concepts than can be counted.
    """
    size = len(vocabulary.concepts)
    if size > MOST:
        raise InputError(
            f"{size:,} concepts",
            rule=f"pairs are counted of at most {MOST:,}",
            fix="name fewer, or give a smaller --most",
        )
    to, names = folding(words, vocabulary.folded)
    matcher = matcher_of(vocabulary, names)
    kind = np.zeros(len(names), dtype=np.int32) if words.listed else _kinds(names)
    columns: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    caption_of: list[np.ndarray] = []
    wide: list[np.ndarray] = []
    wide_lengths: list[np.ndarray] = []
    unsaid = np.zeros((2, size), dtype=np.int64)
    several = False
    for start, raw in words.chunks():
        ids = to[raw]
        ends = raw < ENDS
        caption = np.cumsum(raw == 0) - (raw == 0)
        sentence, count, of = _sentences(raw, ends, caption)
        place, concept, length = matcher.find(ids)
        cue = _reached(raw, kind, place, length)
        asserted = cue == 0
        n = int(caption[-1]) + 1 if len(caption) else 0
        codes = distinct(sentence[place[asserted]] * size + concept[asserted])
        columns.append((codes % size).astype(np.int32))
        lengths.append(np.bincount(codes // size, minlength=count))
        caption_of.append((start + of).astype(np.int32))
        joined = distinct(caption[place[asserted]] * size + concept[asserted])
        wide.append((joined % size).astype(np.int32))
        wide_lengths.append(np.bincount(joined // size, minlength=n))
        several = several or count > len(distinct(of))
        for row, which in enumerate((1, 2)):
            if np.any(cue == which):
                said = distinct(caption[place[cue == which]] * size + concept[cue == which])
                only = np.setdiff1d(said, joined, assume_unique=True)
                unsaid[row] += np.bincount(only % size, minlength=size)
    captions = _rows(wide, wide_lengths, size)
    one = not several
    return Mentions(
        concepts=vocabulary.concepts,
        sentences=captions if one else _rows(columns, lengths, size),
        caption_of=np.arange(len(words), dtype=np.int32) if one else _joined(caption_of, np.int32),
        captions=captions,
        picture=words.picture,
        rank=words.rank,
        denied=unsaid[0],
        hedged=unsaid[1],
    )


def together(rows: sparse.csr_array, into: Int32[np.ndarray, "K K"] | None = None) -> np.ndarray:
    """How many rows have k and j, added to `into`; a row at most once. [K, K], n_k on its diagonal.

    The pairs of a few million mentions at a time are multiplied out, so that memory stays that of
    the table.
    """
    count, size = cast("tuple[int, int]", rows.shape)
    total = np.zeros((size, size), dtype=np.int32) if into is None else into
    flat = total.reshape(-1)
    lengths = np.diff(rows.indptr).astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(lengths * lengths)])
    start = 0
    while start < count:
        stop = int(np.searchsorted(bounds, bounds[start] + _MOST_PAIRS, side="right")) - 1
        stop = min(max(stop, start + 1), count)
        part = rows[start:stop].astype(np.int32)
        pairs = sparse.coo_array(part.T @ part)
        # Each pair stands once in a product, so nothing is added twice to one place.
        flat[pairs.row.astype(np.int64) * size + pairs.col] += pairs.data.astype(np.int32)
        start = stop
    return total


def _kinds(names: list[str]) -> Int32[np.ndarray, " ids"]:
    """1 denies, 2 hedges, 3 joins, 4 is a stop word, 5 a mark, 0 anything else."""
    kind = np.zeros(len(names), dtype=np.int32)
    for index, name in enumerate(names):
        if index < len(MARKS):
            kind[index] = 5
        elif name in NEGATIONS:
            kind[index] = 1
        elif name in HEDGES:
            kind[index] = 2
        elif name in _JOINING:
            kind[index] = 3
        elif name in STOP_WORDS:
            kind[index] = 4
    return kind


def _sentences(
    ids: Int32[np.ndarray, " t"], ends: Bool[np.ndarray, " t"], caption: Int64[np.ndarray, " t"]
) -> tuple[Int64[np.ndarray, " t"], int, Int64[np.ndarray, " s"]]:
    """The sentence of each word, how many have words, and the caption of each of those."""
    number = np.cumsum(ends) - ends
    filled = distinct(number[ids >= len(MARKS)])
    at = np.searchsorted(filled, number)
    of = np.zeros(len(filled), dtype=np.int64)
    said = ids >= len(MARKS)
    of[at[said]] = caption[said]
    return at, len(filled), of


def _reached(
    ids: Int32[np.ndarray, " t"],
    kind: Int32[np.ndarray, " ids"],
    place: Int64[np.ndarray, " m"],
    length: Int64[np.ndarray, " m"],
) -> Int32[np.ndarray, " m"]:
    """0 for mentions that no cue reaches, else 1 (denied) or 2 (hedged)."""
    kinds = kind[ids]
    cues = np.flatnonzero((kinds == 1) | (kinds == 2))
    reached = np.zeros(len(place), dtype=np.int32)
    if not len(cues) or not len(place):
        return reached
    width = np.zeros(len(ids), dtype=np.int64)
    which = np.zeros(len(ids), dtype=np.int64)
    width[place], which[place] = length, np.arange(len(place))
    for cue in cues.tolist():
        at, left, begun = cue + 1, REACH, False
        while left and at < len(ids):
            what = int(kinds[at])
            if width[at]:
                reached[which[at]] = int(kinds[cue])
                at, begun = at + int(width[at]), True
                continue
            if what in (1, 2, 5) or (begun and what != 3):
                break
            left, begun = (REACH, False) if what == 3 else (left - 1, begun)
            at += 1
    return reached


def _rows(columns: list[np.ndarray], lengths: list[np.ndarray], size: int) -> sparse.csr_array:
    flat = _joined(columns, np.int32)
    ends = np.concatenate([[0], np.cumsum(_joined(lengths, np.int64))])
    return sparse.csr_array(
        (np.ones(len(flat), dtype=np.int8), flat, ends), shape=(len(ends) - 1, size)
    )


def _joined(parts: list[np.ndarray], kind: Any) -> np.ndarray:
    return np.concatenate(parts).astype(kind, copy=False) if parts else np.empty(0, dtype=kind)

"""Concepts that nobody listed: the words of a corpus and the names it makes of several.

Two words a, b that follow one another are a name where their normalised pointwise mutual
information ln(p(ab) / (p(a) p(b))) / -ln p(ab) is large (Bouma 2009). Names of more words are found
by doing it again with the names found. Stop words and numbers in digits name nothing.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Int32, Int64
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from smartclip.audit.vocabulary import Matcher, Vocabulary, folding
from smartclip.audit.words import MARKS, Words, distinct
from theory.errors import InputError

ASSOCIATION = 0.6
"""Of names of several words."""

_ROUNDS = 2
_BUCKETS = 1 << 24
_WAITING = 1 << 22
# The list of scikit-learn names things, places and numbers, which a picture may show.
_CONTENT = {
    *("back", "bill", "bottom", "call", "cry", "empty", "fill", "fire", "front", "full"),
    *("side", "top", "mill", "system"),
}
_PLACES = {
    *("down", "up", "above", "below", "behind", "under", "beside", "between", "inside"),
}
# Concepts, but no part of a name: "two men" are two and men.
_NUMBERS = {
    *("two", "three", "four", "five", "six", "eight", "nine", "ten", "eleven", "twelve", "first"),
    "third",
}
_ALSO = {
    *("s", "t", "isn't", "doesn't", "don't", "aren't", "wasn't", "can't", "it's", "there's"),
    *("does", "did", "doing", "just", "left's", "non", "vs", "etc", "ie", "eg", "a's"),
}
STOP_WORDS = frozenset((ENGLISH_STOP_WORDS - _CONTENT - _PLACES - _NUMBERS) | _ALSO)
"""Words that are no concept."""


def found_vocabulary(words: Words, *, least: int, most: int) -> Vocabulary:
    """The commonest words and names of a corpus.

    Args:
        words: of the corpus; tags that it lists are taken one by one, as they are.
        least: captions that mention a concept.
        most: concepts.

    Raises:
        InputError: no word is said so often.
    """
    to, names = folding(words)
    count = np.zeros(len(names), dtype=np.int64)
    for _, ids in words.chunks():
        count += np.bincount(to[ids], minlength=len(names))
    tokens = int(count[len(MARKS) :].sum())
    content = count >= least
    content[: len(MARKS)] = False
    for index in np.flatnonzero(content).tolist():
        content[index] = words.listed or _is_content(names[index])
    said: dict[tuple[int, ...], int] = {}
    if not words.listed:
        for _ in range(_ROUNDS):
            said |= _names(words, to, count, content, said, least, tokens, names)
    singles = np.flatnonzero(content)
    ways: list[tuple[int, ...]] = [*said, *((int(index),) for index in singles)]
    # Words inside of names are not counted for themselves: what is left may be too rare.
    matcher = Matcher.of({way: number for number, way in enumerate(ways)}, len(names))
    mentions = np.zeros(len(ways), dtype=np.int64)
    for _, ids in words.chunks():
        place, which, _ = matcher.find(to[ids])
        caption = np.cumsum(ids == 0)[place]
        mentions += np.bincount(
            distinct(caption * len(ways) + which) % len(ways), minlength=len(ways)
        )
    texts = [" ".join(names[index] for index in way) for way in ways]
    chosen = sorted(
        (number for number in range(len(ways)) if mentions[number] >= least),
        key=lambda number: (-mentions[number], texts[number]),
    )[:most]
    if not chosen:
        raise InputError(
            f"no word is in {least:,} of {len(words):,} captions",
            rule="a concept is mentioned often enough to be counted",
            fix="give more captions, or --least 1",
        )
    return Vocabulary(
        concepts=tuple(texts[number] for number in chosen),
        said={
            tuple(names[index] for index in ways[number]): place
            for place, number in enumerate(chosen)
        },
        folded=not words.listed,
    )


def _is_content(word: str) -> bool:
    if word in STOP_WORDS or word.isdecimal():
        return False
    return len(word) > 1 or not word.isascii()


def _names(
    words: Words,
    to: Int32[np.ndarray, " ids"],
    count: Int64[np.ndarray, " all"],
    content: Bool[np.ndarray, " all"],
    known: dict[tuple[int, ...], int],
    least: int,
    tokens: int,
    names: list[str],
) -> dict[tuple[int, ...], int]:
    """Neighbours, words or names, that belong together; in the second round of names only."""
    ways, ids = list(known), len(names)
    matcher = Matcher.of({way: number for number, way in enumerate(ways)}, ids) if ways else None
    size = ids + len(ways)
    counts = np.concatenate([count, np.zeros(len(ways), dtype=np.int64)])
    binds = content & ~np.isin(names, list(_NUMBERS))
    usable = np.concatenate([binds, np.ones(len(ways), dtype=bool)])

    def neighbours() -> Iterator[Int64[np.ndarray, " p"]]:
        for _, part in words.chunks():
            stream = to[part]
            if matcher is not None:
                stream = _merged(stream, matcher, ids)
            left, right = stream[:-1].astype(np.int64), stream[1:].astype(np.int64)
            fine = usable[left] & usable[right]
            if ways:
                fine &= (left >= ids) | (right >= ids)
            yield left[fine] * size + right[fine]

    if matcher is not None:
        for _, part in words.chunks():
            found = matcher.find(to[part])[1]
            counts[ids:] += np.bincount(found, minlength=len(ways))
    codes, together = _frequent(neighbours, least)
    left, right = codes // size, codes % size
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = together / tokens
        apart = (counts[left] / tokens) * (counts[right] / tokens)
        association = np.log(joint / apart) / -np.log(joint)
    together = association >= ASSOCIATION
    found = {}
    for a, b in zip(left[together].tolist(), right[together].tolist(), strict=True):
        way = (*(ways[a - ids] if a >= ids else (a,)), *(ways[b - ids] if b >= ids else (b,)))
        found[way] = len(found)
    return found


def _merged(stream: Int32[np.ndarray, " t"], matcher: Matcher, ids: int) -> Int32[np.ndarray, " u"]:
    """The same words with each name as one id."""
    start, which, length = matcher.find(stream)
    result = stream.copy()
    result[start] = ids + which
    kept = np.ones(len(stream), dtype=bool)
    for more in range(1, int(length.max(initial=1))):
        kept[start[length > more] + more] = False
    return result[kept]


def _frequent(
    parts: Callable[[], Iterator[Int64[np.ndarray, " p"]]], least: int
) -> tuple[Int64[np.ndarray, " c"], Int64[np.ndarray, " c"]]:
    """Numbers that come at least so often, and how often, in memory that is bounded.

    Most numbers of a large corpus are rare. A first pass counts them in buckets, several numbers in
    one; the second counts only those whose bucket is full enough, each exactly.
    """
    buckets = np.zeros(_BUCKETS, dtype=np.int32)
    for codes in parts():
        np.add.at(buckets, _bucket(codes), 1)
    codes, counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    waiting: list[np.ndarray] = []
    for part in parts():
        waiting.append(part[buckets[_bucket(part)] >= least])
        if sum(map(len, waiting)) > max(_WAITING, len(codes)):
            codes, counts = _added(codes, counts, waiting)
            waiting = []
    codes, counts = _added(codes, counts, waiting)
    enough = counts >= least
    return codes[enough], counts[enough]


def _added(
    codes: Int64[np.ndarray, " c"], counts: Int64[np.ndarray, " c"], parts: list[np.ndarray]
) -> tuple[Int64[np.ndarray, " d"], Int64[np.ndarray, " d"]]:
    """The counts with those of further numbers."""
    every = np.concatenate([codes, *parts])
    times = np.concatenate([counts, np.ones(len(every) - len(codes), dtype=np.int64)])
    order = np.argsort(every, kind="stable")
    every, times = every[order], times[order]
    starts = np.flatnonzero(np.diff(every, prepend=-1))
    if not len(starts):
        return codes, counts
    return every[starts], np.add.reduceat(times, starts)


def _bucket(codes: Int64[np.ndarray, " p"]) -> Int64[np.ndarray, " p"]:
    mixed = codes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(40)).astype(np.int64)

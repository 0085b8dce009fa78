"""A corpus as numbers: one id a word, one pass over the text, kept in a temporary file.

A word is a run of letters and digits, with hyphens and apostrophes inside; a sign of Chinese,
Japanese or Korean writing, which has no blanks between words; or an emoji. Ends of sentences and
punctuation have ids of their own, so that neither a sentence nor a name runs across them.
"""

import re
import tempfile
import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Int32, Int64, UInt32

from smartclip.audit.captioned import Captioned

MARKS = ("\n", ".", "!", "?", ",", ";", ":", "(", ")")
"""What stands between words: the end of a caption, ends of sentences, other punctuation."""

ENDS = 4
"""Ids below it end a sentence."""

CHUNK = 100_000
"""Captions that are worked on at a time."""

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff"
_WORD = re.compile(
    rf"\n|[.!?](?=\s)|[,;:()]|[{_CJK}{_EMOJI}]|[^\W_{_CJK}]+(?:['’\-][^\W_{_CJK}]+)*"
)
_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Captions as ids of words.

    Attributes:
        words: the word of each id, the marks first; lower case.
        ids: of all captions, one after another; each ends with the id of its end.
        starts: where each caption starts, and the end of the last.
        picture: which picture each caption is of, numbered as they come.
        named: number of each picture that the corpus names.
        rank: 32 bits of the picture's name, or of the caption where it has none; they draw the same
            part of a corpus however its files are ordered.
        distinct: number of different captions.
        listed: the words are tags that the corpus lists, taken as they are.
    """

    words: list[str]
    ids: Int32[np.ndarray, " tokens"]
    starts: Int64[np.ndarray, " ends"]
    picture: Int64[np.ndarray, " n"]
    named: dict[str, int]
    rank: UInt32[np.ndarray, " n"]
    distinct: int
    listed: bool

    def __len__(self) -> int:
        return len(self.picture)

    def names(self, pictures: Iterable[int]) -> list[str]:
        """What some pictures are called, in order of their names; `caption 3` where it is alone."""
        wanted = set(pictures)
        known = {place: name for name, place in self.named.items() if place in wanted}
        return sorted(known.get(place, f"caption {place + 1}") for place in wanted)

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[int, Int32[np.ndarray, " part"]]]:
        """The first caption of each chunk, and the ids of its captions."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            yield start, np.asarray(self.ids[self.starts[start] : self.starts[stop]])


def split_words(text: str) -> list[str]:
    """The words and marks of a caption, in lower case.

    >>> split_words("A T-shirt isn't red. 2 cats, 猫猫!")
    ['a', 't-shirt', "isn't", 'red', '.', '2', 'cats', ',', '猫', '猫', '!']
    """
    return _WORD.findall(text.lower().replace("\n", " ") + " ")


def read_words(
    captions: Iterable[Captioned],
    *,
    listed: bool = False,
    seen: Callable[[int], None] = lambda _: None,
) -> Words:
    """Go through a corpus once.

    Args:
        captions: of the corpus.
        listed: take the tags of the captions for words, as they are written, and not the texts.
        seen: told the number of captions so far.
    """
    number: defaultdict[str, int] = defaultdict()
    number.default_factory = number.__len__
    for mark in MARKS:
        number[mark]
    named: dict[str, int] = {}
    ranks = array("L")  # of each picture
    lengths, picture, texts = array("q"), array("q"), array("q")
    stream = iter(captions)
    with tempfile.TemporaryFile() as file:
        while group := list(islice(stream, _AT_ONCE)):
            if listed:
                found = [word for one in group for word in (*_apart(one.tags), "\n")]
            else:
                joined = "\n".join(one.text.lower().replace("\n", " ") for one in group)
                found = _WORD.findall(joined + "\n")
            ids = np.fromiter(map(number.__getitem__, found), dtype=np.int32, count=len(found))
            lengths.extend(np.diff(np.flatnonzero(ids == 0), prepend=-1).tolist())
            file.write(ids.tobytes())
            texts.extend(hash(one.text) for one in group)
            for one in group:
                # A caption that no picture is named for has one of its own.
                place, name = len(ranks), one.picture
                if name is not None:
                    place = named.setdefault(name, place)
                if place == len(ranks):
                    ranks.append(_mixed(one.text if name is None else name))
                picture.append(place)
            seen(len(picture))
        file.flush()
        total = sum(lengths)
        # The map keeps the file, which has no name any more, until nobody looks at it.
        every = np.memmap(file, np.int32, "r", shape=(total,)) if total else np.empty(0, np.int32)
    of = np.fromiter(picture, np.int64, len(picture))
    return Words(
        words=list(number),
        ids=every,
        starts=np.concatenate([[0], np.fromiter(lengths, np.int64, len(lengths))]).cumsum(),
        picture=of,
        named=named,
        rank=np.fromiter(ranks, np.uint32, len(ranks))[of],
        distinct=len(distinct(np.fromiter(texts, np.int64, len(texts)))),
        listed=listed,
    )


def distinct(numbers: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " m"]:
    """Each number once, in order. `numpy.unique` hashes, which takes ten times as long here."""
    ordered = np.sort(numbers)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def _apart(tags: tuple[str, ...]) -> Iterator[str]:
    """Tags with a mark between them: no name runs across."""
    for tag in tags:
        yield tag.replace("\n", " ")
        yield ","


def _mixed(text: str) -> int:
    """A 32-bit checksum, its bits spread: close texts get distant numbers."""
    return zlib.crc32(text.encode()) * 2654435761 % (1 << 32)

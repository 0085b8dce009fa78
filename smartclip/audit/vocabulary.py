"""Which words name which concept: a concept is one or more names, a name is one or more words.

A name is found wherever its words follow one another; of several names that start at one word the
longest is taken, and its words count for no other name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import simplemma
from jaxtyping import Int32, Int64

from smartclip.audit.words import MARKS, Words, split_words
from smartclip.data.written import lines, normal
from theory.errors import InputError

MOST = 20_000
"""Concepts: their pairs are counted in a table of so many rows and columns."""

# Plurals without an -s, and those that simplemma takes for other words.
_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "policemen": "policeman",
    "firemen": "fireman",
    "fishermen": "fisherman",
    "snowmen": "snowman",
    "businessmen": "businessman",
    "skies": "sky",
    "leaves": "leaf",
    "poles": "pole",
    "shelves": "shelf",
}
# Plurals in form, and things of their own.
_KEPT = {
    *("glasses", "sunglasses", "goggles", "jeans", "pants", "shorts", "scissors", "tongs"),
    *("overalls", "tights", "leggings", "binoculars", "pliers", "news", "series", "species"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """Concepts and how they are said.

    Attributes:
        concepts: names for people, distinct.
        said: words that follow one another -> number of the concept.
        folded: plurals count as their singulars.

    >>> names = Vocabulary.of({"dog": ["dog", "puppies"], "fire hydrant": ["fire hydrant"]})
    >>> sorted(names.said.items())
    [(('dog',), 0), (('fire', 'hydrant'), 1), (('puppy',), 0)]
    """

    concepts: tuple[str, ...]
    said: dict[tuple[str, ...], int]
    folded: bool = True

    @classmethod
    def of(cls, names: dict[str, Sequence[str]]) -> "Vocabulary":
        """From concept -> all ways to say it.

        Raises:
            InputError: a name without a word, or one that two concepts claim.
        """
        said: dict[tuple[str, ...], int] = {}
        for number, (concept, ways) in enumerate(names.items()):
            for way in ways:
                words = tuple(fold(word) for word in split_words(way) if word not in MARKS)
                if not words:
                    raise InputError(
                        f"the concept {concept!r} has the name {way!r}",
                        rule="a name has at least one word",
                        fix="write it in letters or digits",
                    )
                other = said.setdefault(words, number)
                if other != number:
                    raise InputError(
                        f"{way!r} names {concept!r} and {list(names)[other]!r}",
                        rule="a name is of one concept",
                        fix="leave it with one of them",
                    )
        return cls(concepts=tuple(names), said=said)


def read_vocabulary(path: Path) -> Vocabulary:
    """A concept a line: `dog`, or `dog: hound, puppy`; `#` starts a comment.

    Raises:
        InputError: the file cannot be read, or a line has no concept, a synonym of another concept
            or a concept again.
    """
    names: dict[str, Sequence[str]] = {}
    for number, line in lines(path):
        try:
            text = normal(line).partition("#")[0].strip()
        except ValueError as error:
            raise InputError(
                f"{path} line {number} holds {error}",
                rule="a vocabulary is text in UTF-8",
                fix="save it as UTF-8",
            ) from error
        if not text:
            continue
        concept, _, more = text.partition(":")
        concept = concept.strip()
        if not concept or concept in names:
            raise InputError(
                f"{path} line {number} is {text!r}",
                rule="a line names one concept that no line before it names",
                fix="write concept: synonym, synonym",
            )
        names[concept] = [concept, *(way for way in map(str.strip, more.split(",")) if way)]
    if not names:
        raise InputError(
            f"{path} names no concept", rule="a vocabulary has a concept a line", fix="add some"
        )
    try:
        return Vocabulary.of(names)
    except InputError as error:
        raise InputError(f"{path}: {error.given}", rule=error.rule, fix=error.fix) from error


@cache
def fold(word: str) -> str:
    """The singular of a plural, a name without 's, the stem of a verb in -s; else the word itself.

    >>> [fold(word) for word in ("dogs", "men", "buses", "glasses", "left", "standing", "tennis")]
    ['dog', 'man', 'bus', 'glasses', 'left', 'standing', 'tennis']
    """
    word = word.removesuffix("'s").removesuffix("’s")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _KEPT or len(word) < 4 or word[-1] != "s" or word[-2] == "s":
        return word
    return simplemma.lemmatize(word, lang="en").lower()


def folding(words: Words, folded: bool = True) -> tuple[Int32[np.ndarray, " ids"], list[str]]:
    """The id of the folded form of each id, and the word of every id, the new ones at the end."""
    names = list(words.words)
    if not folded or words.listed:
        return np.arange(len(names), dtype=np.int32), names
    number = {name: index for index, name in enumerate(names)}
    to = np.arange(len(names), dtype=np.int32)
    for index in range(len(MARKS), len(to)):
        form = fold(names[index])
        if form != names[index]:
            to[index] = number.setdefault(form, len(number))
    return to, list(number)


@dataclass(frozen=True, slots=True)
class Matcher:
    """Finds names in ids: a tree of the words of all names, walked from every word at once.

    Attributes:
        edges: node * ids + id of every step of the tree, sorted.
        into: the node that each step leads to.
        concept: of each node, -1 where no name ends.
        depth: number of words of the longest name.
    """

    edges: Int64[np.ndarray, " e"]
    into: Int64[np.ndarray, " e"]
    concept: Int32[np.ndarray, " nodes"]
    depth: int
    ids: int
    first: Int32[np.ndarray, " ids"] = field(repr=False)

    @classmethod
    def of(cls, said: dict[tuple[int, ...], int], ids: int) -> "Matcher":
        """Of names as ids.

        Args:
            said: ids that follow one another -> number of the concept.
            ids: all are below it.
        """
        nodes: dict[tuple[int, ...], int] = {(): 0}
        for name in said:
            for stop in range(1, len(name) + 1):
                nodes.setdefault(name[:stop], len(nodes))
        steps = sorted((nodes[name[:-1]] * ids + name[-1], n) for name, n in nodes.items() if name)
        concept = np.full(len(nodes), -1, dtype=np.int32)
        for name, number in said.items():
            concept[nodes[name]] = number
        first = np.full(ids, -1, dtype=np.int32)
        for name, node in nodes.items():
            if len(name) == 1:
                first[name[0]] = node
        return cls(
            edges=np.array([step for step, _ in steps], dtype=np.int64),
            into=np.array([node for _, node in steps], dtype=np.int64),
            concept=concept,
            depth=max(map(len, said), default=0),
            ids=ids,
            first=first,
        )

    def find(
        self, ids: Int32[np.ndarray, " t"]
    ) -> tuple[Int64[np.ndarray, " m"], Int32[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
        """Where names start, in order; whose they are; how many words they have."""
        node = self.first[ids]
        places = np.flatnonzero(node >= 0)
        node = node[places].astype(np.int64)
        found = np.full(len(ids), -1, dtype=np.int32)
        length = np.zeros(len(ids), dtype=np.int64)
        for depth in range(1, self.depth + 1):
            ends = self.concept[node] >= 0
            found[places[ends]] = self.concept[node[ends]]
            length[places[ends]] = depth
            alive = places + depth < len(ids)
            places, node = places[alive], node[alive]
            step = node * self.ids + ids[places + depth]
            at = np.searchsorted(self.edges, step)
            at[at == len(self.edges)] = 0
            goes = self.edges[at] == step if len(self.edges) else np.zeros(len(at), dtype=bool)
            places, node = places[goes], self.into[at[goes]]
        start = np.flatnonzero(found >= 0)
        # Words of a long name count for no name that starts inside it.
        kept = np.ones(len(start), dtype=bool)
        taken = -1
        for index in _touched(start, length[start]):
            if start[index] < taken:
                kept[index] = False
            else:
                taken = int(start[index] + length[start[index]])
        start = start[kept]
        return start, found[start], length[start]


def _touched(start: Int64[np.ndarray, " m"], length: Int64[np.ndarray, " m"]) -> Iterator[int]:
    """Those places that are, or may lie inside, a name of several words; in order."""
    long = np.zeros(len(start) + 1, dtype=np.int64)
    wide = np.flatnonzero(length > 1)
    np.add.at(long, wide, 1)
    stop = np.searchsorted(start, start[wide] + length[wide])
    np.add.at(long, stop, -1)
    yield from np.flatnonzero(np.cumsum(long[:-1]) > 0).tolist()


def matcher_of(vocabulary: Vocabulary, names: list[str]) -> Matcher:
    """The names of a vocabulary as ids; those with a word that the corpus lacks are left out."""
    number = {name: index for index, name in enumerate(names)}
    said = {
        tuple(number[word] for word in way): concept
        for way, concept in vocabulary.said.items()
        if all(word in number for word in way)
    }
    return Matcher.of(said, len(names))

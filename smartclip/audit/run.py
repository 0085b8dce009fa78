"""An audit from files to findings: read, find or take concepts, count, conclude."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smartclip.audit.captioned import LeftOut
from smartclip.audit.collocations import found_vocabulary
from smartclip.audit.corpus import Corpus, open_corpus
from smartclip.audit.findings import Findings, findings
from smartclip.audit.mentions import find_mentions
from smartclip.audit.vocabulary import MOST, Vocabulary, read_vocabulary
from smartclip.audit.words import Words, read_words
from smartclip.data.printed import shown
from theory.errors import InputError

LEAST = 10
"""Captions that mention a concept that nobody listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Concepts:
    """Where the concepts come from: a vocabulary, tags, or else the words of the corpus itself.

    Attributes:
        vocabulary: a concept a line, with synonyms.
        tags: the column that lists them beside each caption.
        least: captions that mention a concept that is found and not listed.
        most: concepts that are found, the most said ones.
    """

    vocabulary: Path | None = None
    tags: str | None = None
    least: int = LEAST
    most: int = 10_000

    def of(self, words: Words) -> Vocabulary:
        """The vocabulary for a corpus."""
        if self.vocabulary is not None:
            return read_vocabulary(self.vocabulary)
        return found_vocabulary(words, least=self.least, most=self.most)

    def check(self) -> None:
        """Refuse what cannot be counted, before anything is read.

        Raises:
            InputError: two sources of concepts, or limits out of range.
        """
        if self.vocabulary is not None and self.tags is not None:
            raise InputError(
                "a vocabulary and tags",
                rule="concepts come from one of them",
                fix="leave one of --vocabulary and --tags out",
            )
        if self.least < 1:
            raise InputError(
                f"--least {self.least}", rule="a concept is in a caption", fix="give 1 or more"
            )
        if not 1 <= self.most <= MOST:
            raise InputError(
                f"--most {self.most}", rule=f"1 to {MOST:,} concepts are counted", fix="change it"
            )
        if self.vocabulary is not None:
            read_vocabulary(self.vocabulary)


def audit_captions(
    paths: Sequence[Path],
    concepts: Concepts,
    *,
    format: str | None = None,
    split: str | None = None,
    seen: Callable[[int], None] = lambda _: None,
) -> tuple[Findings, Words]:
    """Findings about the captions at some paths, and the captions.

    Args:
        paths: see `open_corpus`.
        concepts: where concepts come from.
        format: the layout; found out by default.
        split: of layouts that have several.
        seen: told the number of captions read so far.

    Raises:
        InputError: nothing can be read, or no concept is mentioned.
    """
    concepts.check()
    corpus = open_corpus(paths, format, split=split, tags=concepts.tags)
    return audit_corpus(corpus, concepts, seen=seen)


def audit_corpus(
    corpus: Corpus, concepts: Concepts, *, seen: Callable[[int], None] = lambda _: None
) -> tuple[Findings, Words]:
    """The same of a corpus that is open already."""
    left = LeftOut()
    words = read_words(corpus.stream(left), listed=concepts.tags is not None, seen=seen)
    if not len(words):
        first = f", the first: {left.first[0]}" if left.first else ""
        raise InputError(
            f"{shown(corpus.source)} holds no caption ({left.count:,} left out{first})",
            rule="an audit needs captions in words",
            fix="check the path and the format",
        )
    rows = find_mentions(words, concepts.of(words))
    if concepts.vocabulary is None:
        rows = rows.said_in(concepts.least)
    if not rows.captions.nnz:
        raise InputError(
            f"{len(words):,} captions mention none of {len(rows.concepts):,} concepts",
            rule="an audit counts mentions",
            fix="check the vocabulary against the captions",
        )
    return findings(words, rows, source=corpus.source, left_out=left), words

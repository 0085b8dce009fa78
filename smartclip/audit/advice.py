"""How chosen concepts become identified alone: sentences to sample, or the fewest new captions.

The new captions are those of `theory.design.smallest_addition`. They may only say together what
some picture of the corpus shows together, so that each can be written truthfully: a picture whose
captions mention k can always get a caption with k and without j.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from smartclip.audit.findings import Findings
from smartclip.audit.words import Words
from smartclip.data.printed import shown
from theory import CaptionFamily
from theory.design import smallest_addition
from theory.errors import InputError

WANTED = 20
"""Concepts that advice is about unless they are named: the most said that are not alone."""

_PICTURES = 5
_SECONDS = 2.0
_ROUNDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCaption:
    """A caption to add.

    Attributes:
        mentions: what it says.
        instead_of: what it must not say: what has come along with each of them so far.
        pictures: how many pictures of the corpus have captions that mention all of it.
        first: names of a few of them.
    """

    mentions: tuple[str, ...]
    instead_of: tuple[str, ...]
    pictures: int
    first: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What to do about some concepts.

    Attributes:
        wanted: the concepts.
        by_sampling: those that become identified alone if sentences of captions are sampled, with
            the number of sentences that show each without what always came along.
        captions: to add for the others.
        lower_bound: no fewer new captions do it, whatever pictures show.
        impossible: concepts that no caption can be written for: no picture shows them.
    """

    wanted: tuple[str, ...]
    by_sampling: dict[str, int]
    captions: tuple[NewCaption, ...]
    lower_bound: int
    impossible: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "wanted": list(self.wanted),
            "by_sampling": dict(self.by_sampling),
            "captions": [
                {
                    "mentions": list(caption.mentions),
                    "instead_of": list(caption.instead_of),
                    "pictures": caption.pictures,
                    "first": list(caption.first),
                }
                for caption in self.captions
            ],
            "lower_bound": self.lower_bound,
            "impossible": list(self.impossible),
        }

    def lines(self) -> list[str]:
        """What to do, a sentence for each concept or caption."""
        lines: list[str] = []
        if not (self.by_sampling or self.captions or self.impossible):
            lines.append("Every concept asked about is identified alone already.")
        for name, count in self.by_sampling.items():
            lines.append(
                f"{shown(name)}: sample sentences; {_counted(count, 'sentence')} of these captions "
                "without what comes along in whole ones."
            )
        for caption in self.captions:
            such = f", such as {', '.join(caption.first[:2])}" if caption.first else ""
            lines.append(
                f"Add a caption that mentions {shown(', '.join(caption.mentions))} and not "
                f"{shown(', '.join(caption.instead_of))}: "
                f"{_counted(caption.pictures, 'picture')} to write it for{such}."
            )
        return lines + [f"{shown(name)}: no caption mentions it." for name in self.impossible]


def advise(found: Findings, words: Words, wanted: Sequence[str] = ()) -> Advice:
    """Sentences or captions after which every wanted concept is identified alone.

    Args:
        found: the findings.
        words: the captions, for the names of pictures.
        wanted: concepts; by default the most said of those that are not identified alone.

    Raises:
        InputError: a concept that the vocabulary does not have.
    """
    number = {name: k for k, name in enumerate(found.concepts)}
    for name in wanted:
        if name not in number:
            raise InputError(
                f"the wanted concept {name!r}",
                rule="advice is about concepts of the vocabulary",
                fix="choose one that the report lists, or name it in --vocabulary",
            )
    if wanted:
        chosen = [number[name] for name in dict.fromkeys(wanted)]
    else:
        bound = np.flatnonzero((found.mentions > 0) & ~found.alone)
        order = np.lexsort((bound, -found.mentions[bound]))
        chosen = bound[order][:WANTED].tolist()
    open_ones = [k for k in chosen if not found.alone[k] and found.mentions[k] > 0]
    by_sampling = {}
    for k in open_ones:
        shown_apart = _sentences_without(found, k)
        if shown_apart:
            by_sampling[found.concepts[k]] = shown_apart
    need = [k for k in open_ones if found.concepts[k] not in by_sampling]
    captions, lower_bound = _additions(found, words, need)
    return Advice(
        wanted=tuple(found.concepts[k] for k in chosen),
        by_sampling=by_sampling,
        captions=captions,
        lower_bound=lower_bound,
        impossible=tuple(found.concepts[k] for k in chosen if found.mentions[k] == 0),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _sentences_without(found: Findings, k: int) -> int:
    """Sentences with k that show it apart; 0 unless they do so from everything in cl(k)."""
    sentences = found.rows.sentences
    with_k = found.rows.having(k)
    said = np.bincount(sentences[with_k].indices, minlength=len(found.concepts))
    others = [j for j in found.closure(k) if j != k]
    return len(with_k) - int(said[others].max(initial=0))


def _additions(
    found: Findings, words: Words, need: list[int]
) -> tuple[tuple[NewCaption, ...], int]:
    """The new captions for some concepts, and how few could do if pictures did not matter."""
    if not need:
        return (), 0
    names = found.concepts
    family = CaptionFamily([[names[j] for j in found.closure(k)] for k in need])
    shows = _shown_by_pictures(found, need)
    place = {names[k]: p for p, k in enumerate(need)}
    both = np.asarray((shows.T @ shows).todense())
    forbidden = [
        (names[need[a]], names[need[b]])
        for a in range(len(need))
        for b in range(a)
        if both[a, b] == 0
    ]
    free = smallest_addition(family, [names[k] for k in need], seconds=0.0)
    addition = free
    for _ in range(_ROUNDS):
        addition = smallest_addition(
            family, [names[k] for k in need], forbidden=forbidden, seconds=_SECONDS
        )
        bad = [
            tuple(map(str, block)) for block in addition if not _which(shows, block, place).any()
        ]
        if not bad:
            break
        forbidden += bad
    else:
        addition = [frozenset({names[k]}) for k in need]
    captions: list[NewCaption] = []
    listed = np.unique(found.rows.picture)
    for block in sorted(addition, key=lambda one: sorted(map(str, one))):
        rows = np.flatnonzero(_which(shows, block, place))
        mentions = tuple(sorted(map(str, block)))
        without = {names[j] for name in mentions for j in found.closure(need[place[name]])} - set(
            mentions
        )
        captions.append(
            NewCaption(
                mentions=mentions,
                instead_of=tuple(sorted(without)),
                pictures=len(rows),
                first=tuple(map(shown, words.names(listed[rows].tolist())[:_PICTURES])),
            )
        )
    return tuple(captions), free.lower_bound


def _which(shows: sparse.csc_array, block: frozenset, place: dict[str, int]) -> np.ndarray:
    """Pictures that show all of a block."""
    columns = [place[str(name)] for name in block]
    return np.asarray(shows[:, columns].sum(axis=1)).ravel() == len(columns)


def _shown_by_pictures(found: Findings, concepts: list[int]) -> sparse.csc_array:
    """0/1: which picture has a caption that mentions which concept."""
    part = found.rows.captions[:, concepts].tocoo()
    _, row = np.unique(found.rows.picture, return_inverse=True)
    table = sparse.csc_array(
        (np.ones(len(part.row), dtype=np.int32), (row[part.row], part.col)),
        shape=(int(row.max(initial=-1)) + 1, len(concepts)),
    )
    table.data[:] = 1
    return table

"""One caption with its picture and its tags, in one form; what is none is left out and told."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from smartclip.data.printed import shown
from smartclip.data.written import normal

_SHOWN = 5


class Captioned(NamedTuple):
    """One caption.

    Attributes:
        picture: what the corpus calls the picture; None where it is the only caption of its own.
        text: in form NFC, never empty.
        tags: concepts that the corpus itself lists beside the caption.
    """

    picture: str | None
    text: str
    tags: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class LeftOut:
    """What a corpus holds and an audit cannot use.

    Attributes:
        count: captions and records.
        first: the first few, each with its file, its line and the reason.
    """

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, place: str, why: object) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(f"{place}: {shown(why)}")


def checked(
    picture: Any,
    captions: Sequence[Any],
    tags: Sequence[tuple[str, ...]],
    place: str,
    left: LeftOut,
) -> Iterator[Captioned]:
    """Captions in one form; what is no text, or has bytes that are not UTF-8, is left out.

    Args:
        picture: its name or number; None where there is none.
        captions: of it, as they are written.
        tags: of each caption.
        place: file and line, or record.
        left: is told what is left out.
    """
    name = None if picture is None else str(picture)
    found = False
    for text, told in zip(captions, tags, strict=True):
        try:
            text = normal(text)
        except ValueError as error:
            found = True
            left.add(place, error)
            continue
        if text or told:
            found = True
            yield Captioned(name, text, told)
    if not found:
        left.add(place, "no caption")


def tags_of(told: Any, captions: int) -> list[tuple[str, ...]]:
    """Tags of each caption: a list, a list a caption, or words between commas."""
    if told is None or told == ():
        return [()] * captions
    if isinstance(told, str):
        told = re.split(r"[,;|]", told)
    if not isinstance(told, list):
        raise ValueError("its tags are no list")
    if told and all(isinstance(each, list) for each in told) and len(told) == captions:
        return [_names(each) for each in told]
    return [_names(told)] * captions


def _names(told: list[Any]) -> tuple[str, ...]:
    return tuple(name for name in (normal(str(each)) for each in told) if name)

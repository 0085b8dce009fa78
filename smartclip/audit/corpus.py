"""The captions of a corpus one after another, from any layout and without its pictures.

Plain text, JSON lines, JSON lists, CSV, Parquet and shards are streamed; the other layouts go
through their readers, which hold the words of all captions in columns.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smartclip.audit.captioned import Captioned, LeftOut
from smartclip.audit.streams import (
    STREAMED,
    TEXT,
    WITH_TAGS,
    Asked,
    side_by_side,
    through_reader,
)
from smartclip.data.formats import FORMATS, detect
from smartclip.data.written import bare
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Captions that can be read more than once.

    Attributes:
        source: what was asked for, for people.
        stream: gives the captions from the first on; it may tell what it leaves out.
    """

    source: str
    stream: Callable[["LeftOut"], Iterator[Captioned]]


def open_corpus(
    paths: Sequence[Path],
    format: str | None = None,
    *,
    split: str | None = None,
    tags: str | None = None,
) -> Corpus:
    """The captions at one or more paths.

    Several text files stand side by side: line i of each is a caption of picture i. Several files
    of another layout are parts of one corpus, in any order.

    Args:
        paths: files or folders.
        format: one of the layouts, or `text`; found out by default.
        split: of layouts that have several.
        tags: name of the column, or the key, that lists concepts beside a caption.

    Raises:
        InputError: nothing there, an unknown layout, or a column of tags where there is none.
    """
    if not paths and format not in ("emoji", "digits"):
        raise InputError(
            "no captions", rule="an audit reads a file or a folder", fix="give its path"
        )
    for path in paths:
        if not path.exists() and format != "emoji":
            raise InputError(
                f"{path} does not exist", rule="captions lie at a path", fix="check it"
            )
    kinds = {path: format or _layout(path) for path in paths} or {None: str(format)}
    for kind in kinds.values():
        if kind != TEXT and kind not in FORMATS:
            raise InputError(
                f"the format {kind!r}",
                rule=f"the formats are {TEXT}, " + ", ".join(FORMATS),
                fix="choose one of them",
            )
        if tags is not None and kind not in WITH_TAGS:
            raise InputError(
                f"tags of {kind}",
                rule="tags stand in a column of " + ", ".join(sorted(WITH_TAGS)),
                fix="leave --tags out",
            )
        if split is not None and (kind == TEXT or "split" not in FORMATS[kind].takes):
            raise InputError(
                f"the split {split!r} of {kind}", rule="it has none", fix="leave --split out"
            )
    asked = Asked(tags=tags, split=split)
    source = ", ".join(str(path) for path in paths) or str(format)
    if set(kinds.values()) == {TEXT} and len(paths) > 1:
        return Corpus(source=source, stream=partial(side_by_side, list(paths)))

    def stream(left: LeftOut) -> Iterator[Captioned]:
        for path, kind in kinds.items():
            found = STREAMED.get(kind)
            if found is None or path is None:
                yield from through_reader(path, kind, split, left)
            else:
                yield from found(path, asked, left)

    return Corpus(source=source, stream=stream)


def _layout(path: Path) -> str:
    """The layout of a path; a text that no other layout claims is one of lines."""
    try:
        found = detect(path)
    except InputError:
        if path.is_file() and bare(path.name).lower().endswith((".txt", ".text", ".en", ".de")):
            return TEXT
        if path.is_file() and bare(path.name) != path.name and "." not in bare(path.name):
            return TEXT
        raise
    return found

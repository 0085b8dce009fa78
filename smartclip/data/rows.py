"""Rows of a CSV or TSV as people write them: the delimiter is found, quotes mean what they can.

A line is a row. Where a caption is the last column and is not quoted, its delimiters are part of
it: `1.jpg,a dog, running` is one caption. A quote that is not closed in its line goes on in the
next lines if they then are one row of a CSV; else, and in a TSV that has enough columns without it,
it is a character like others. RFC 4180 describes CSV; IANA's text/tab-separated-values knows no
quotes.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from smartclip.data.pictures import ENDINGS
from smartclip.data.printed import shown
from smartclip.data.written import LONGEST_LINE, lines
from theory.errors import InputError

DELIMITERS = (",", "\t", ";", "|")
_JOINED = 64  # lines of a quoted field
_MARK = '"'


class Row:
    """The picture and caption of a row; `read` says what is wrong with it.

    Args:
        fields: of the row.
        name: column of the picture.
        caption: column of the caption.
        width: how many columns the table has.
        delimiter: between them.
    """

    def __init__(
        self, fields: list[str], name: int, caption: int, width: int, delimiter: str
    ) -> None:
        self.fields, self.name, self.caption = fields, name, caption
        self.width, self.delimiter = width, delimiter

    def read(self) -> tuple[str, str]:
        """Name and caption.

        Raises:
            ValueError: too few fields, or too many to tell which is which.
        """
        fields = self.fields
        if len(fields) > self.width and self.caption == self.width - 1:
            joined = self.delimiter.join(fields[self.caption :])
            fields = [*fields[: self.caption], joined]
        if len(fields) != self.width:
            raise ValueError(f"{len(fields)} fields, and the table has {self.width} columns")
        return fields[self.name], fields[self.caption]


def rows(
    path: Path, names: tuple[str, ...], captions: tuple[str, ...]
) -> Iterator[tuple[str, Row]]:
    """The rows of a table, each with its place such as `line 3`.

    Args:
        path: of the table; its first line names the columns, or is a row of picture and caption.
        names: of the column of picture files; the first that the table has is taken.
        captions: of the column of captions.

    Raises:
        InputError: the file cannot be read, or the columns are not told.
    """
    coming = lines(path)
    number, first = next(coming, (0, ""))
    delimiter, header = _header(path, first, names, captions)
    if header is None:
        name, caption, width = 0, 1, 2
        coming = _again(number, first, coming)
    else:
        name = next(header.index(each) for each in names if each in header)
        caption = next(header.index(each) for each in captions if each in header)
        width = len(header)
    waiting: list[tuple[int, str]] = []
    while True:
        number, line = waiting.pop(0) if waiting else next(coming, (0, ""))
        if not number:
            return
        if len(line) > LONGEST_LINE:
            fields = []
        elif _MARK not in line:
            fields = line.rstrip("\r\n").split(delimiter)
        else:
            fields, used = _quoted(line, delimiter, width, waiting, coming)
            del waiting[:used]
        yield f"line {number}", Row(fields, name, caption, width, delimiter)


def _quoted(
    line: str,
    delimiter: str,
    width: int,
    waiting: list[tuple[int, str]],
    coming: Iterator[tuple[int, str]],
) -> tuple[list[str], int]:
    """The fields of a row with quotes, and how many of the lines that wait belong to it."""
    plain = line.rstrip("\r\n").split(delimiter)
    fields = _strict(line, delimiter)
    if fields is not None:
        if len(fields) > width and len(plain) > width:
            # An unquoted caption with delimiters, and quotes somewhere inside: as it is written.
            unquoted = line.rstrip("\r\n").split(delimiter, width - 1)
            if not any(each.lstrip().startswith(_MARK) for each in unquoted):
                return unquoted, 0
        return fields, 0
    if delimiter != "\t" or len(plain) < width:
        joined = line
        for used in range(1, _JOINED + 1):
            while len(waiting) < used:
                following = next(coming, None)
                if following is None:
                    return plain, 0
                waiting.append(following)
            joined += waiting[used - 1][1]
            if _MARK not in waiting[used - 1][1]:
                continue
            fields = _strict(joined, delimiter)
            if fields is not None and len(fields) == width:
                return fields, used
    return plain, 0


def _strict(text: str, delimiter: str) -> list[str] | None:
    """The fields if quotes stand where a CSV has them; None if they do not."""
    try:
        found = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return found[0] if len(found) == 1 else None


def _header(
    path: Path, line: str, names: tuple[str, ...], captions: tuple[str, ...]
) -> tuple[str, list[str] | None]:
    """The delimiter and the columns; no columns where the first line is a row already."""
    line = line.lstrip("\ufeff").rstrip("\r\n")
    fallback = "\t" if path.suffix.lower() == ".tsv" else ","
    found: dict[str, list[str]] = {}
    for delimiter in DELIMITERS:
        columns = _strict(line, delimiter) or line.split(delimiter)
        found[delimiter] = [column.strip().lower() for column in columns]
        if set(names) & set(found[delimiter]) and set(captions) & set(found[delimiter]):
            return delimiter, found[delimiter]
    for delimiter in DELIMITERS:
        first, told, _ = line.partition(delimiter)
        if told and Path(first.strip().strip(_MARK)).suffix.lower() in ENDINGS:
            return delimiter, None
    raise InputError(
        f"{path} has the columns {shown(', '.join(found[fallback]))}",
        rule="the first line names the column of pictures and that of captions",
        fix="call them image,caption",
    )


def _again(number: int, line: str, coming: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield number, line
    yield from coming

"""Text as people write it: files in UTF-8 or UTF-16, with or without a byte-order mark, and NFC.

A file whose name ends in `.gz` or `.zst` is unpacked while it is read.

This is the one place where text of data sets is made equal: a caption and a name are put into
Unicode's form NFC (so that an accent typed in two ways is one letter), lose the byte-order mark and
the blanks around them, and are otherwise kept as they are written.
"""

import codecs
import io
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from theory.errors import InputError

LONGEST_LINE = 1 << 24
"""Characters of a line of a table. A caption of a thousand pages has a quarter of them."""

LONGEST_NAME = 4096
"""Characters of a name: no system opens a longer path."""

PACKED = {".gz": "gzip", ".zst": "zstd"}
"""Endings of packed files, and what they are packed with."""

_HEAD = 1 << 18
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def normal(value: Any) -> str:
    """A text in form NFC, its lines ended as here, without a mark or blanks around it.

    Raises:
        ValueError: it is no text, or has bytes that are not UTF-8; told in words.

    >>> normal("\\ufeff cafe\\u0301 ") == "caf\\xe9"
    True
    """
    if not isinstance(value, str):
        raise ValueError(f"{_kind(value)} where a text belongs")
    value = value.replace("\r\n", "\n")
    if value.isascii():
        return value.strip()
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("characters that are not UTF-8") from error
    return unicodedata.normalize("NFC", value).strip("\ufeff \t\r\n\v\f\x85\xa0")


def open_bytes(path: Path) -> io.BufferedReader:
    """A file for reading from its start on, unpacked if its name says that it is packed."""
    how = PACKED.get(path.suffix.lower())
    if how is None:
        return path.open("rb")
    packed: Any = pa.CompressedInputStream(pa.OSFile(str(path)), how)
    return io.BufferedReader(packed)


def open_text(
    path: Path, *, errors: str = "strict", newline: str | None = None
) -> io.TextIOWrapper:
    """The same as text in the encoding that its first bytes tell."""
    known = encoding(path)  # it may be refused, and then nothing is open
    return io.TextIOWrapper(open_bytes(path), encoding=known, errors=errors, newline=newline)


def bare(name: str) -> str:
    """A name without the ending of a packed file.

    >>> bare("captions.jsonl.zst"), bare("captions.jsonl")
    ('captions.jsonl', 'captions.jsonl')
    """
    return name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in PACKED else name


def encoding(path: Path) -> str:
    """What the first bytes of a file say: UTF-16 with a mark, else UTF-8."""
    with open_bytes(path) as file:
        start = file.read(4)
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")


def head(path: Path) -> str:
    """The first characters of a file, for a look at its layout; nothing if it cannot be read."""
    try:
        with open_text(path, errors="replace") as file:
            return file.read(_HEAD)
    except (OSError, ValueError):
        return ""


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text that hold something, each with its number, from 1, as editors count.

    Bytes that are not UTF-8 stay in the line as surrogates, where `normal` finds them, so that one
    such line costs no other. Of a line longer than `LONGEST_LINE` comes only a piece of that many
    characters and one more, which tells it.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with open_text(path, errors="surrogateescape", newline="") as file:
            number, again = 0, False
            # newline="" keeps "\r" inside of quotes; readline still ends at any kind of end.
            while line := file.readline(LONGEST_LINE + 1):
                number += not again
                if line.strip() and not again:
                    yield number, line
                again = not line.endswith(("\n", "\r"))
    except (OSError, ValueError) as error:
        raise not_a_table(path, error) from error


def not_a_table(path: Path, why: object) -> InputError:
    """The error that says that a file cannot be read as a table of captions."""
    if isinstance(why, OSError) and why.strerror:
        why = why.strerror
    return InputError(
        f"{path} could not be read ({why})",
        rule="captions are read from one table",
        fix="check the path and the format",
    )


def _kind(value: Any) -> str:
    kinds = {
        type(None): "nothing",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
        bytes: "bytes",
    }
    return kinds.get(type(value), f"a {type(value).__name__}")

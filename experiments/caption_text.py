"""Captions as people write them, "bear,pen;bear,chair", and as files hold them: JSON and CSV.

Text is made one form once: without a byte order mark, in Unicode's NFC, without spaces around a
name. A name that holds a separator stands in double quotes; a quote inside is written twice.
"""

import csv
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from theory import CaptionFamily, Concept, InputError

HEADING = re.compile(r"(caption|concept|tag|label|keyword)s?[ _]*\d*", re.IGNORECASE)
TRUTH = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


def clean(text: str) -> str:
    """One form for one name, however it was typed.

    >>> clean("\\ufeffcafe\\u0301 ") == "caf\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text.replace("\ufeff", "")).strip()


def split(text: str, separator: str) -> list[str]:
    """The parts between separators outside double quotes; the quotes stay.

    >>> split('"a,b",c', ",")
    ['"a,b"', 'c']
    """
    parts, quoted = [""], False
    for sign in text:
        quoted ^= sign == '"'
        if sign == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
    if quoted:
        raise InputError(
            f"{text!r} opens a quote and does not close it",
            rule="a name that holds a separator stands in double quotes",
            fix='write for example "salt, pepper",bear',
        )
    return parts


def name_of(text: str) -> str:
    """A name without its quotes."""
    text = clean(text)
    if len(text) > 1 and text[0] == text[-1] == '"':
        return clean(text[1:-1].replace('""', '"'))
    return text


def parse_captions(text: str) -> list[list[str]]:
    """ "bear,pen;bear,chair" -> [["bear", "pen"], ["bear", "chair"]]."""
    return [
        [name for part in split(caption, ",") if (name := name_of(part))]
        for caption in split(clean(text).removesuffix(";"), ";")
    ]


def parse_sizes(text: str) -> dict[str, int]:
    """ "bear=2,pen=3" -> {"bear": 2, "pen": 3}."""
    sizes: dict[str, int] = {}
    for part in split(clean(text), ","):
        *names, size = split(part, "=")
        if len(names) != 1 or not size.strip().lstrip("-").isdigit():
            raise InputError(
                f"--sizes holds {part.strip()!r}",
                rule="a size is written concept=number",
                fix='write for example --sizes "bear=2,pen=3"',
            )
        name = name_of(names[0])
        if name in sizes:
            raise InputError(
                f"--sizes names {name!r} twice",
                rule="a concept has one size",
                fix="drop one of the two",
            )
        sizes[name] = int(size)
    return sizes


def sized(family: CaptionFamily, sizes: dict[str, Any]) -> CaptionFamily:
    """The family with these sizes, names given as text: "1" is also the concept 1.

    Raises:
        InputError: a name is unknown.
    """
    known: dict[Concept, Any] = {}
    for text, size in sizes.items():
        try:
            known[family.space.named(clean(text))] = size
        except InputError:
            known[text] = size  # refused by the family, which says so of sizes
    return CaptionFamily(family, sizes=known)


def read_family(path: Path) -> CaptionFamily:
    """The family in a JSON or CSV file.

    JSON: a list of captions, or an object with captions, sizes and weights. CSV: one caption a
    line, or a 0/1 table under the names of the concepts; separated by commas, semicolons or tabs.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        text = unicodedata.normalize("NFC", path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read ({error})",
            rule="captions are read from a text file",
            fix="check the path; JSON and CSV in UTF-8 are understood",
        ) from error
    return _of_rows(text) if path.suffix.lower() in (".csv", ".tsv") else _of_json(text, path)


def _of_rows(text: str) -> CaptionFamily:
    lines = [line for line in text.splitlines() if line.strip()]
    # The separator of most lines; a comma where none is more frequent.
    separator = max(",;\t", key=lambda sign: sum(sign in line for line in lines))
    rows = [
        [clean(cell) for cell in row]
        for row in csv.reader(lines, delimiter=separator, skipinitialspace=True)
    ]
    table = _table(rows)
    if table is not None:
        return table
    if rows and all(HEADING.fullmatch(cell) for cell in rows[0] if cell):
        rows = rows[1:]
    captions = [[cell for cell in row if cell] for row in rows]
    return CaptionFamily([caption for caption in captions if caption])


def _table(rows: Sequence[Sequence[str]]) -> CaptionFamily | None:
    """A 0/1 table under a line of names, with or without a first column of row names."""
    if len(rows) < 2:
        return None
    (head, *body), skip = rows, 1 if rows[0][0] == "" else 0
    known = all(
        len(row) == len(head) and all(cell.lower() in TRUTH for cell in row[skip:]) for row in body
    )
    if not known or all(cell.lower() in TRUTH for cell in head[skip:]):
        return None
    masks = [[TRUTH[cell.lower()] for cell in row[skip:]] for row in body]
    return CaptionFamily.from_matrix(masks, concepts=head[skip:])


def _of_json(text: str, path: Path) -> CaptionFamily:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is not JSON ({error})",
            rule="a file that does not end in .csv or .tsv holds JSON",
            fix='write [["bear", "pen"], ["bear", "chair"]]',
        ) from error
    given: Any = {"captions": given} if isinstance(given, list) else given
    if (
        not isinstance(given, dict)
        or not isinstance(given.get("captions"), list)
        or not given.keys() <= {"captions", "sizes", "weights"}
    ):
        raise InputError(
            f"{path} holds something else than captions",
            rule="the file is a list of captions or an object with captions, sizes, weights",
            fix='write [["bear", "pen"], ["bear", "chair"]]',
        )
    if not isinstance(given.get("sizes", {}), dict) or not isinstance(
        given.get("weights", []), list
    ):
        raise InputError(
            f"{path} holds sizes or weights of the wrong form",
            rule="sizes map concepts to numbers, weights are one number a caption",
            fix='write {"captions": [["bear"]], "sizes": {"bear": 2}, "weights": [1]}',
        )
    captions: list[list[Concept]] = []
    for number, caption in enumerate(given["captions"], start=1):
        if not isinstance(caption, list) or not all(isinstance(k, str | int) for k in caption):
            raise InputError(
                f"caption {number} of {path} is {caption!r}",
                rule="a caption is a list of names",
                fix='write for example ["bear", "pen"]',
            )
        captions.append([clean(name) if isinstance(name, str) else name for name in caption])
    family = CaptionFamily(captions, weights=given.get("weights"))
    return sized(family, given["sizes"]) if "sizes" in given else family

"""Records of a table to pictures with their captions; each record that is wrong gets its reason.

A file that is no table at all is an error. A single record that is wrong is left out, with its
place and the reason. What lies beside the pictures of a table without being named by it is left out
too, and told. Whether the pictures that are named exist and open is what `smartclip.data.audit`
looks at.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText, Problem, is_inside
from smartclip.data.pictures import ENDINGS
from smartclip.data.printed import shown
from smartclip.data.records import Gathering, Locate, Records
from smartclip.data.written import LONGEST_LINE, LONGEST_NAME, lines, normal, not_a_table, open_text

Pair = tuple[Any, Any]
"""File name of a picture and one caption of it, as the record has them."""

NAMES = (
    *("image", "file_name", "filename", "filepath", "path", "image_path", "image_name"),
    *("image_file", "img", "file"),
)
"""What tables call the column of picture files."""

CAPTIONS = ("caption", "captions", "text", "description", "title", "comment", "sentence", "raw")
"""What tables call the column of captions."""


def collected(
    path: Path,
    records: Iterable[tuple[str, Any]],
    pairs: Callable[[Any], Iterable[Pair]],
    locate: Locate,
    *,
    elsewhere: Iterable[str] = (),
) -> ImageText:
    """Gather the captions of each picture, and what is wrong with single records.

    Args:
        path: the table, for names.
        records: of the table, one at a time, each with its place such as `line 3`.
        pairs: of a record; it may raise what a wrong record makes it raise.
        locate: the file of a picture, from its name.
        elsewhere: pictures that the table names but that were not asked for, as of another split.
    """
    gathering = Gathering()
    problems: list[Problem] = []
    wordless: list[tuple[int, str]] = []  # problems about a picture that may have other captions
    outside: set[str] = set()
    for place, record in records:
        where = f"{path.name} {place}"
        try:
            found = list(pairs(record))
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            problems.append(wrong(where, error))
            continue
        if not found:
            problems.append(wrong(where, ValueError("it has no caption")))
        for name, caption in found:
            try:
                name = _name(name)
                if not name or len(name) > LONGEST_NAME or "\0" in name:
                    raise ValueError(f"a picture's name of {len(name):,} characters, {shown(name)}")
            except ValueError as error:
                # A caption counts even where nobody knows its picture.
                has_caption = isinstance(caption, str) and bool(caption.strip())
                problems.append(wrong(where, error, captions=int(has_caption)))
                continue
            try:
                text = None if caption is None else normal(caption)
            except ValueError as error:
                wordless.append((len(problems), name))
                problems.append(wrong(where, error, captions=int(isinstance(caption, str))))
                continue
            if not is_inside(name):
                detail = f"{shown(name)} lies outside the folder of pictures"
                problems.append(
                    Problem(
                        name=where,
                        fault="outside",
                        detail=detail,
                        pictures=int(name not in outside),
                        captions=int(bool(text)),
                    )
                )
                outside.add(name)
            elif not text:
                wordless.append((len(problems), name))
                problems.append(
                    Problem(name=where, fault="no caption", detail=shown(name), pictures=0)
                )
            else:
                gathering.add(name, text)
    told: set[str] = set()
    for number, name in wordless:
        if name not in gathering and name not in told and is_inside(name):
            problems[number] = replace(problems[number], pictures=1)
            told.add(name)
    examples = gathering.records(locate)
    named = {str(locate(name)) for name in (*told, *elsewhere)}
    problems += _unnamed(path, examples, named)
    return ImageText(source=str(path), examples=examples, problems=tuple(problems))


def wrong(where: str, error: Exception, *, pictures: int = 0, captions: int = 0) -> Problem:
    """The problem of a record that cannot be read, in words."""
    if isinstance(error, KeyError):
        detail = f"it lacks {shown(error.args[0]) if error.args else 'a part'}"
    elif isinstance(error, json.JSONDecodeError):
        detail = f"it is not JSON ({error.msg}, character {error.pos + 1})"
    elif isinstance(error, RecursionError):
        detail = "it is nested too deep"
    elif isinstance(error, ValueError):
        detail = shown(error)
    else:
        detail = "its parts are not laid out as those of this format"
    return Problem(
        name=where, fault="wrong record", detail=detail, pictures=pictures, captions=captions
    )


def field(record: Any, names: tuple[str, ...], what: str) -> Any:
    """The part of a JSON object that has one of these names.

    Raises:
        ValueError: it is no object, or has none; told in words.
    """
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    for name in names:
        if name in record:
            return record[name]
    raise ValueError(f"it has no {what} ({', '.join(map(shown, list(record)[:8]))})")


def as_list(told: Any) -> list[Any]:
    """Captions of a record: one, or a list of them."""
    return told if isinstance(told, list) else [told]


def numbered(records: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Records of a list with their places, from 1."""
    for number, record in enumerate(records, 1):
        yield f"record {number}", record


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Lines of a text with their places, from 1."""
    for number, line in lines(path):
        yield f"line {number}", line


def parsed(line: str) -> Any:
    """The JSON value in a line.

    Raises:
        ValueError: there is none, or the line is too long to be read.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a line of more than {LONGEST_LINE:,} characters")
    return json.loads(line)


def read_json(path: Path) -> Any:
    """The value in a JSON file; one `InputError` if there is none."""
    try:
        with open_text(path) as file:
            return json.load(file)
    except RecursionError as error:
        raise not_a_table(path, "it is nested too deep") from error
    except (OSError, ValueError) as error:
        raise not_a_table(path, error) from error


def below(root: Path) -> Locate:
    """Names start from a folder."""
    return lambda name: root / name


def _name(name: Any) -> str:
    """A picture's name: kept letter by letter, since a file may be called by either form."""
    if not isinstance(name, str):
        raise ValueError(f"no name of a picture ({type(name).__name__})")
    normal(name)  # says what is not UTF-8
    return name.strip("\ufeff \t\r\n")


def _unnamed(path: Path, examples: Records, named: set[str]) -> list[Problem]:
    """Pictures that lie beside those of the table, and that no record of it names."""
    for batch in examples.table.select(["path"]).to_batches():
        named.update(batch.column(0).to_pylist())
    problems: list[Problem] = []
    for folder in sorted({os.path.dirname(each) for each in named}):  # noqa: PTH120 (of strings)
        try:
            found = sorted(entry.name for entry in os.scandir(folder or "."))
        except OSError:
            continue  # the pictures that are named there are missing, and told so
        for name in found:
            ending = os.path.splitext(name)[1].lower()  # noqa: PTH122
            if ending not in ENDINGS or name.startswith("."):
                continue
            if os.path.join(folder, name) in named:  # noqa: PTH118
                continue
            detail = f"no record of {path.name} names it"
            problems.append(
                Problem(name=str(Path(folder).name + "/" + name), fault="no caption", detail=detail)
            )
    return problems

"""The captions of each layout one after another: pictures are neither needed nor opened."""

import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from smartclip.audit.captioned import Captioned, LeftOut, checked, tags_of
from smartclip.data.beside import files_below
from smartclip.data.formats import read
from smartclip.data.json_list import json_list
from smartclip.data.layout import Glance
from smartclip.data.parquet import KEYS, MORE_CAPTIONS, files_in
from smartclip.data.printed import shown
from smartclip.data.rows import rows
from smartclip.data.shards import files_of
from smartclip.data.splits import of_split
from smartclip.data.tables import CAPTIONS, NAMES, as_list, numbered, numbered_lines, parsed
from smartclip.data.written import not_a_table, open_bytes, open_text
from theory.errors import InputError

TEXT = "text"
"""One caption a line: the one layout that has no pictures at all."""

_PICTURES = (*NAMES, "image/key", "image_file", "image_id", "__key__", "key", "id")
_TEXTS = (*CAPTIONS, "IIW", *MORE_CAPTIONS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Options of layouts: the name of the tags, and one of several splits."""

    tags: str | None
    split: str | None

    def of(self, record: dict[str, Any]) -> Any:
        """The tags of a record; nothing where none are asked for or it has none."""
        return () if self.tags is None else record.get(self.tags)


def side_by_side(paths: list[Path], left: LeftOut) -> Iterator[Captioned]:
    """Line i of every file is a caption of picture i."""
    every = [_text_lines(path) for path in paths]
    for number, row in enumerate(zip_longest(*every), 1):
        for path, line in zip(paths, row, strict=True):
            if line is None:
                raise InputError(
                    f"{path} ends before line {number:,}",
                    rule="files that stand side by side have as many lines as one another",
                    fix="give files of the same pictures, or one of them alone",
                )
            place = f"{path.name} line {number}"
            yield from checked(f"line {number}", [line], [()], place, left)


def _lines_of_text(path: Path, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    for number, line in enumerate(_text_lines(path), 1):
        if line.strip():
            yield from checked(None, [line], [()], f"{path.name} line {number}", left)


def _text_lines(path: Path) -> Iterator[str]:
    """All lines, blank ones too: their numbers are those of pictures."""
    try:
        with open_text(path, errors="surrogateescape", newline="\n") as file:
            yield from file
    except (OSError, ValueError) as error:
        raise not_a_table(path, error) from error


def _objects(
    path: Path, records: Iterable[tuple[str, Any]], asked: Asked, left: LeftOut
) -> Iterator[Captioned]:
    """JSON objects, each with one caption or several."""
    for place, record in records:
        where = f"{path.name} {place}"
        try:
            if isinstance(record, str):
                record = {"caption": record}
            if not isinstance(record, dict):
                raise ValueError("it is no JSON object")
            key = next((name for name in _TEXTS if name in record), None)
            if key is None:
                raise ValueError(f"it has no caption ({', '.join(map(shown, list(record)[:8]))})")
            captions = [text for text in as_list(record[key]) if text is not None]
            named = next((record[name] for name in _PICTURES if name in record), None)
            told = tags_of(asked.of(record), len(captions))
        except ValueError as error:
            left.add(where, error)
            continue
        yield from checked(named, captions, told, where, left)


def _jsonl(path: Path, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    def records() -> Iterator[tuple[str, Any]]:
        for place, line in numbered_lines(path):
            try:
                yield place, parsed(line)
            except (ValueError, RecursionError) as error:
                left.add(f"{path.name} {place}", f"it is not JSON ({error})")

    yield from _objects(path, records(), asked, left)


def _json_records(path: Path, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    """A list is streamed; one under `annotations` is not."""
    if not Glance(path).head.startswith("["):
        yield from through_reader(path, "captions", None, left)
        return
    cut: list[Any] = []
    yield from _objects(path, numbered(json_list(path, cut)), asked, left)
    for problem in cut:
        left.add(problem.name, problem.detail)


def _csv(path: Path, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    """A table; without a column of pictures each caption is of a picture of its own."""
    named = True
    try:
        next(rows(path, NAMES, CAPTIONS), None)
    except InputError:
        named = False
    table = rows(path, NAMES if named else CAPTIONS, CAPTIONS)
    tags = asked.tags
    beside = rows(path, (tags.lower(),), CAPTIONS) if tags is not None else None
    for place, row in table:
        where = f"{path.name} {place}"
        other = next(beside)[1] if beside is not None else None
        try:
            picture, text = row.read()
            told = tags_of(other.read()[0] if other is not None else (), 1)
        except ValueError as error:
            left.add(where, error)
            continue
        yield from checked(picture if named else None, [text], told, where, left)


def _parquet(path: Path, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    for file in of_split(files_of(path, "parquet", files_in(path)), asked.split, path):
        try:
            with parquet.ParquetFile(file) as table:
                yield from _rows(file, table, asked, left)
        except (OSError, pa.ArrowException) as error:
            raise not_a_table(file, error) from error


def _rows(
    path: Path, table: parquet.ParquetFile, asked: Asked, left: LeftOut
) -> Iterator[Captioned]:
    names, tags = table.schema_arrow.names, asked.tags
    told = next((name for name in _TEXTS if name in names), None)
    if told is None or (tags is not None and tags not in names):
        missing = "captions" if told is None else shown(tags)
        raise InputError(
            f"{path} has the columns {shown(', '.join(names))}",
            rule=f"a column holds {missing}",
            fix=f"call it {CAPTIONS[0]}" if told is None else "choose one of them with --tags",
        )
    kinds = table.schema_arrow
    picture = next(
        (n for n in (*NAMES, *KEYS) if n in names and not pa.types.is_nested(kinds.field(n).type)),
        None,
    )
    columns = [told, *([picture] if picture else []), *([tags] if tags else [])]
    row = 0
    for batch in table.iter_batches(batch_size=8192, columns=columns):
        for values in batch.to_pylist():
            captions = [text for text in as_list(values[told]) if text is not None]
            place = f"{path.name} row {row}"
            listed = tags_of(asked.of(values), len(captions))
            named = values[picture] if picture else None
            if isinstance(named, bytes):
                named = None
            yield from checked(named, captions, listed, place, left)
            row += 1


def _shards(path: Path, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    """Texts of tar files; pictures in them are passed over."""
    for file in of_split(files_of(path, "tar"), asked.split, path):
        try:
            with open_bytes(file) as raw, tarfile.open(fileobj=raw, mode="r|") as tar:
                yield from _members(file, tar, asked, left)
        except (OSError, tarfile.TarError) as error:
            raise not_a_table(file, error) from error


def _members(file: Path, tar: tarfile.TarFile, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    """A `.json` with captions says more than the `.txt` beside it, which is its first."""
    waiting: dict[str, bytes] = {}
    key = ""
    for member in tar:
        stem, _, kind = member.name.rpartition(".")
        if stem != key and waiting:
            yield from _sample(file, key, waiting, asked, left)
            waiting = {}
        key = stem
        if member.isfile() and kind in ("txt", "json", "caption"):
            content = tar.extractfile(member)
            waiting[kind] = b"" if content is None else content.read()
    if waiting:
        yield from _sample(file, key, waiting, asked, left)


def _sample(
    file: Path, key: str, parts: dict[str, bytes], asked: Asked, left: LeftOut
) -> Iterator[Captioned]:
    place = f"{file.name} {shown(key)}"
    name = f"{file.name}/{key}"
    try:
        record = json.loads(parts["json"]) if "json" in parts else {}
        record = record if isinstance(record, dict) else {}
        text = next((parts[kind] for kind in ("txt", "caption") if kind in parts), None)
        said = as_list(record.get("captions", record.get("caption")))
        captions = [each for each in said if isinstance(each, str)]
        if not captions and text is not None:
            captions = [text.decode("utf-8-sig")]
        told = tags_of(asked.of(record), len(captions))
    except (ValueError, RecursionError) as error:
        left.add(place, error)
        return
    yield from checked(name, captions, told, place, left)


def _texts_alone(path: Path, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    """A folder of texts, each of one picture, whether the pictures are there or not.

    A single text has a caption a line.
    """
    folder = path / "caption" if (path / "caption").is_dir() else path
    names = [n for n in files_below(folder) if n.lower().endswith((".txt", ".caption"))]
    if len(names) == 1:  # one text is no text a picture
        yield from _lines_of_text(folder / names[0], asked, left)
        return
    for name in names:
        try:
            with open_text(folder / name, errors="surrogateescape") as file:
                text = file.read()
        except (OSError, ValueError) as error:
            left.add(name, error)
            continue
        yield from checked(name, [text], [()], name, left)


def _folder(path: Path, asked: Asked, left: LeftOut) -> Iterator[Captioned]:
    """A folder with a table goes through its reader, one with a text a picture does not."""
    tables = [each for each in path.iterdir() if re.search(r"\.(csv|tsv|jsonl|ndjson)$", each.name)]
    deeper = any(path.glob("*/metadata.*"))
    if tables or deeper or any(each.suffix == ".json" for each in path.iterdir()):
        yield from through_reader(path, "folder", asked.split, left)
    else:
        yield from _texts_alone(path, asked, left)


def through_reader(
    path: Path | None, kind: str, split: str | None, left: LeftOut
) -> Iterator[Captioned]:
    """By the reader of a layout, which holds all captions in columns."""
    data = read(path, kind, split=split)
    for example in data.examples:
        for text in example.captions:
            yield Captioned(example.name, text, ())
    for problem in data.problems:
        if problem.captions or problem.fault == "wrong record":
            left.add(problem.name, problem.detail)


Stream = Callable[[Path, Asked, LeftOut], Iterator[Captioned]]

STREAMED: dict[str, Stream] = {
    TEXT: _lines_of_text,
    "jsonl": _jsonl,
    "iiw": _jsonl,
    "captions": _json_records,
    "csv": _csv,
    "flickr8k": lambda path, asked, left: _csv(
        path / "captions.txt" if path.is_dir() else path, asked, left
    ),
    "parquet": _parquet,
    "webdataset": _shards,
    "world": lambda path, asked, left: (_shards if any(path.glob("*.tar")) else _parquet)(
        path, asked, left
    ),
    "urban1k": _texts_alone,
    "folder": _folder,
}
"""The layouts that are read here; the others go through their readers."""

WITH_TAGS = {"jsonl", "csv", "captions", "parquet", "webdataset", "world", "iiw"}
"""Of them, those that can have tags beside a caption."""

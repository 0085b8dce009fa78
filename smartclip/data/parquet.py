"""Parquet with pictures in its rows, or with the names of picture files: captions and places.

A picture is read with the group of rows it is in, so reading in order is quick and reading at
random is not: `smartclip data prepare` makes shards of it for training.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from smartclip.data.examples import Example, ImageText, Problem, is_inside
from smartclip.data.pictures import Blob, PictureError
from smartclip.data.records import Records
from smartclip.data.shards import files_of, readable
from smartclip.data.tables import CAPTIONS, NAMES
from theory.errors import InputError

BYTES = ("image", "jpg", "jpeg", "png", "webp", "img", "picture")
"""What tables call the column of pictures."""

KEYS = ("name", "__key__", "key", "id", "image_id", "file_name", "filename", "index", "url")
"""What tables call the column that names a picture."""

MORE_CAPTIONS = ("txt", "sentences", "caption_0", "TEXT")
"""What else, beside `CAPTIONS`, such tables call the column of captions."""

_GROUPS_KEPT = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A picture in a row of a Parquet file.

    Attributes:
        path: the file.
        offset: the row, from 0.
        size: not used: a row knows its own.
        digest: as in `Blob`; not used.
    """

    path: Path
    offset: int
    size: int | None = None
    digest: bytes | None = None

    def read(self) -> bytes:
        """The bytes in the row; raises `PictureError` if there are none."""
        content = _GROUPS.cell(self.path, self.offset)
        if content is None:
            raise PictureError(f"row {self.offset} of {self.path}", "missing")
        return content


class _Groups:
    """The pictures of the last few groups of rows that were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Path, int], list[bytes | None]] = OrderedDict()
        self._starts: dict[Path, list[int]] = {}

    def cell(self, path: Path, row: int) -> bytes | None:
        with self._lock:
            try:
                return self._cell(path, row)
            except (OSError, pa.ArrowException, LookupError) as error:
                raise PictureError(f"row {row} of {path} ({error})", "corrupt") from error

    def _cell(self, path: Path, row: int) -> bytes | None:
        starts = self._starts.get(path)
        if starts is None:
            meta = parquet.read_metadata(path)
            starts = [0]
            for group in range(meta.num_row_groups):
                starts.append(starts[-1] + meta.row_group(group).num_rows)
            self._starts[path] = starts
        group = next(g for g, end in enumerate(starts[1:]) if row < end)
        key = path, group
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            with parquet.ParquetFile(path) as file:
                column = _picture_column(file.schema_arrow)
                assert column is not None
                cells = file.read_row_group(group, columns=[column])[column].combine_chunks()
            if pa.types.is_struct(cells.type):
                cells = cells.field("bytes")
            self._kept[key] = cells.to_pylist()
            if len(self._kept) > _GROUPS_KEPT:
                self._kept.popitem(last=False)
        return self._kept[key][row - starts[group]]


_GROUPS = _Groups()


def read_parquet(source: Path, root: Path | None = None) -> ImageText:
    """Rows of one `.parquet` file, or of all in a folder in the order of their names.

    Pictures are bytes, or `{bytes, path}` as Hugging Face `datasets` writes them, or names of
    files. A row's captions are one string, or a list of them.

    Args:
        source: the file or the folder.
        root: folder of picture files, where rows only name them; that of the table by default.

    Raises:
        InputError: no file can be read, or there are no pictures or captions in it.
    """
    problems: list[Problem] = []
    files = files_of(source, "parquet")
    stored = any(_has_bytes(file) for file in files)
    examples = Records.of(
        readable(files, lambda file: _rows(file, root or file.parent), problems),
        Cell if stored else Blob,
    )
    return ImageText(source=str(source), examples=examples, problems=tuple(problems))


def _rows(path: Path, root: Path) -> Iterator[Example | Problem]:
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            stored = _picture_column(schema)
            named = stored or _column(schema, NAMES)
            told = _column(schema, CAPTIONS + MORE_CAPTIONS)
            if named is None or told is None or not _is_words(schema.field(told).type):
                raise InputError(
                    f"{path} has the columns {', '.join(schema.names)}",
                    rule="a row has a picture, or the name of one, and captions in words",
                    fix=f"call them {BYTES[0]} and {CAPTIONS[0]}",
                )
            key = _column(schema, KEYS) if stored else named
            columns = [told] if key is None else [told, key]
            row = 0
            for batch in file.iter_batches(batch_size=8192, columns=columns):
                keys = range(row, row + len(batch)) if key is None else batch[key].to_pylist()
                for name, captions in zip(keys, batch[told].to_pylist(), strict=True):
                    yield _example(path, root, row, name, captions, stored=stored is not None)
                    row += 1
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path} could not be read ({error})",
            rule="a Parquet file is whole: what it holds is told at its end",
            fix="fetch it again",
        ) from error


def _example(
    path: Path, root: Path, row: int, name: Any, captions: Any, *, stored: bool
) -> Example | Problem:
    where = f"{path.name}: {row}" + ("" if name in (row, None) else f" ({name})")
    told = captions if isinstance(captions, list) else [captions]
    kept = tuple(dict.fromkeys(text.strip() for text in told if text and text.strip()))
    if not kept:
        return Problem(name=where, fault="no caption", detail="none, or only blank")
    if stored:
        return Example(name=where, captions=kept, image=Cell(path=path, offset=row))
    if not isinstance(name, str):
        return Problem(name=where, fault="missing", detail="the row names no picture")
    if not is_inside(name):
        detail = f"{name!r} lies outside the folder of pictures"
        return Problem(name=where, fault="outside", detail=detail)
    return Example(name=name, captions=kept, image=Blob(path=root / name))


def _column(schema: pa.Schema, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in schema.names), None)


def _picture_column(schema: pa.Schema) -> str | None:
    """The column that holds pictures themselves."""
    for name in (name for name in BYTES if name in schema.names):
        kind = schema.field(name).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return name
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return name
    return None


def _has_bytes(path: Path) -> bool:
    try:
        return _picture_column(parquet.read_schema(path)) is not None
    except (OSError, pa.ArrowException):
        return False


def _is_words(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)

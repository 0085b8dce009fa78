"""Parquet with pictures in its rows, or with the names of picture files: captions and places.

A picture is read with the group of rows it is in, so reading in order is quick and reading at
random is not: `smartclip data prepare` makes shards of it for training.
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from smartclip.data.examples import Example, ImageText, Problem, is_inside
from smartclip.data.pictures import Blob, PictureError
from smartclip.data.printed import shown
from smartclip.data.records import Records
from smartclip.data.shards import files_of, readable
from smartclip.data.splits import of_split
from smartclip.data.tables import CAPTIONS, NAMES, Pair, as_list, below, collected
from smartclip.data.written import normal
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
        if isinstance(content, str) and is_inside(content):
            return Blob(path=self.path.parent / content).read()
        if not isinstance(content, bytes):
            raise PictureError(f"row {self.offset} of {shown(self.path)}", "missing")
        return content


# A file under its name may be replaced while a process runs: path, time of change, bytes.
_Version = tuple[Path, int, int]


class _Groups:
    """The pictures of the last few groups of rows that were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[_Version, int], list[bytes | str | None]] = OrderedDict()
        self._starts: dict[_Version, list[int]] = {}

    def cell(self, path: Path, row: int) -> bytes | str | None:
        with self._lock:
            try:
                return self._cell(path, row)
            except (OSError, ValueError, MemoryError, pa.ArrowException, LookupError) as error:
                why = f"row {row} of {shown(path)} ({shown(error)})"
                raise PictureError(why, "corrupt") from error

    def _cell(self, path: Path, row: int) -> bytes | str | None:
        found = path.stat()
        version = path, found.st_mtime_ns, found.st_size
        starts = self._starts.get(version)
        if starts is None:
            meta = parquet.read_metadata(path)
            starts = [0]
            for group in range(meta.num_row_groups):
                starts.append(starts[-1] + meta.row_group(group).num_rows)
            self._starts[version] = starts
        group = bisect_right(starts, row) - 1
        if group == len(starts) - 1:
            raise LookupError(f"it has {starts[-1]} rows")
        key = version, group
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            with parquet.ParquetFile(path) as file:
                column = _picture_column(file)
                assert column is not None
                cells = file.read_row_group(group, columns=[column])[column].combine_chunks()
            self._kept[key] = _contents(cells)
            if len(self._kept) > _GROUPS_KEPT:
                self._kept.popitem(last=False)
        return self._kept[key][row - starts[group]]


_GROUPS = _Groups()


def read_parquet(source: Path, root: Path | None = None, *, split: str | None = None) -> ImageText:
    """Rows of one `.parquet` file, or of all in a folder in the order of their names.

    Pictures are bytes, or `{bytes, path}` as Hugging Face `datasets` writes them, or names of
    files. A row's captions are one string, or a list of them; rows that name the same file have
    their captions together.

    Args:
        source: the file or the folder, which may have them in `data` or in a folder for each split.
        root: folder of picture files, where rows only name them; that of the table by default.
        split: of a folder with several, `train-00000.parquet` and so on; `all` for all of them.

    Raises:
        InputError: no file can be read, or there are no pictures or captions in it.
    """
    problems: list[Problem] = []
    files = of_split(files_of(source, "parquet", files_in(source)), split, source)
    if any(_picture_column_of(file) is not None for file in files):
        examples = Records.of(readable(files, _rows, problems), Cell)
        return ImageText(source=str(source), examples=examples, problems=tuple(problems))

    def records() -> Iterator[tuple[str, Any]]:
        for row in readable(files, _named, problems):
            yield row[0], row[1:]

    data = collected(source, records(), _pairs, below(root or files[0].parent))
    return replace(data, problems=(*data.problems, *problems))


def files_in(folder: Path) -> list[Path]:
    """The Parquet files of a folder, or of the folders in it that Hugging Face gives them."""
    if not folder.is_dir():
        return []
    for pattern in ("*.parquet", "data/*.parquet", "*/*.parquet", "*/*/*.parquet"):
        if found := sorted(folder.glob(pattern)):
            return found
    return []


@contextmanager
def _opened(path: Path) -> Iterator[parquet.ParquetFile]:
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except InputError:
        raise
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise InputError(
            f"{path} could not be read ({shown(error)})",
            rule="a Parquet file is whole: what it holds is told at its end",
            fix="fetch it again",
        ) from error


def _caption_column(path: Path, schema: pa.Schema, picture: str | None) -> str:
    told = _column(schema, CAPTIONS + MORE_CAPTIONS)
    if picture is None or told is None or not _is_words(schema.field(told).type):
        addresses = picture is None and told is not None and _column(schema, ("url",))
        raise InputError(
            f"{path} has the columns {shown(', '.join(schema.names))}",
            rule="a row has a picture, or the name of one, and captions in words",
            fix="fetch the pictures first, as with img2dataset"
            if addresses
            else f"call them {BYTES[0]} and {CAPTIONS[0]}",
        )
    return told


def _rows(path: Path) -> Iterator[Example | Problem]:
    """Rows that hold their pictures."""
    with _opened(path) as file:
        schema = file.schema_arrow
        told = _caption_column(path, schema, _picture_column(file))
        key = _column(schema, KEYS)
        columns = [told] if key is None else [told, key]
        row = 0
        for batch in file.iter_batches(batch_size=8192, columns=columns):
            keys = range(row, row + len(batch)) if key is None else batch[key].to_pylist()
            for name, captions in zip(keys, batch[told].to_pylist(), strict=True):
                yield _example(path, row, name, captions)
                row += 1


def _named(path: Path) -> Iterator[tuple[str, str | None, Any] | Problem]:
    """Rows that name their pictures: place, name and captions."""
    with _opened(path) as file:
        schema = file.schema_arrow
        struct = _column(schema, BYTES)
        inside = struct is not None and pa.types.is_struct(schema.field(struct).type)
        named = struct if inside else _column(schema, NAMES)
        told = _caption_column(path, schema, named)
        columns = [told, f"{named}.path" if inside else named]
        row = 0
        for batch in file.iter_batches(batch_size=8192, columns=columns):
            names = batch[named].to_pylist()
            for name, captions in zip(names, batch[told].to_pylist(), strict=True):
                known = (name or {}).get("path") if inside else name
                yield f"{path.name} row {row}", known, captions
                row += 1


def _pairs(row: tuple[str | None, Any]) -> Iterator[Pair]:
    name, captions = row
    for caption in as_list(captions) or [None]:
        yield name, caption


def _example(path: Path, row: int, name: Any, captions: Any) -> Example | Problem:
    where = f"{path.name}: {row}" + ("" if name in (row, None) else f" ({name})")
    texts = (normal(text) for text in as_list(captions) if text is not None)
    kept = tuple(dict.fromkeys(text for text in texts if text))
    if not kept:
        return Problem(name=where, fault="no caption", detail="none, or only blank")
    return Example(name=where, captions=kept, image=Cell(path=path, offset=row))


def _column(schema: pa.Schema, names: tuple[str, ...]) -> str | None:
    columns = {name.lower(): name for name in reversed(schema.names)}
    return next((columns[name.lower()] for name in names if name.lower() in columns), None)


def _picture_column(file: parquet.ParquetFile) -> str | None:
    """The column that holds pictures themselves, in at least one row."""
    schema = file.schema_arrow
    for name in (each for each in schema.names if each.lower() in BYTES):
        kind = schema.field(name).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            if not _is_empty(file.metadata, f"{name}.bytes"):
                return name
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return name
    return None


def _is_empty(meta: parquet.FileMetaData, column: str) -> bool:
    """Whether the file's own statistics say that a column has no value in any row."""
    for group in range(meta.num_row_groups):
        rows = meta.row_group(group)
        for number in range(rows.num_columns):
            part = rows.column(number)
            if part.path_in_schema == column and rows.num_rows:
                told = part.statistics
                if told is None or not told.has_null_count or told.null_count < rows.num_rows:
                    return False
    return meta.num_rows > 0


def _contents(cells: pa.Array) -> list[bytes | str | None]:
    """The bytes of each cell; where it has none, the name of its file."""
    if not pa.types.is_struct(cells.type):
        return cells.to_pylist()
    content = cells.field("bytes").to_pylist()
    if cells.type.get_field_index("path") < 0 or None not in content:
        return content
    names = cells.field("path").to_pylist()
    return [name if one is None else one for one, name in zip(content, names, strict=True)]


def _picture_column_of(path: Path) -> str | None:
    try:
        with _opened(path) as file:
            return _picture_column(file)
    except InputError:
        return None


def _is_words(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)

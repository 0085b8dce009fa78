"""A million examples in a few columns; an `Example` is made when it is asked for.

A row is (name, captions, path, offset, size, digest). As Python objects a million of them take
several times the room of their words; as Arrow columns, about the words themselves.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
import pyarrow as pa

from smartclip.data.examples import Example
from smartclip.data.pictures import Blob, Stored

SCHEMA = pa.schema(
    {
        "name": pa.large_string(),
        "captions": pa.large_list(pa.large_string()),
        "path": pa.large_string(),
        "offset": pa.int64(),
        "size": pa.int64(),
        "digest": pa.large_binary(),
    }
)
"""The columns: what an example is called, what is said of it, where its picture's bytes are."""

_AT_ONCE = 16_384


@runtime_checkable
class Place(Stored, Protocol):
    """A stored picture that a row of columns describes."""

    @property
    def path(self) -> Path: ...
    @property
    def offset(self) -> int: ...
    @property
    def size(self) -> int | None: ...
    @property
    def digest(self) -> bytes | None: ...


Open = Callable[..., Place]
"""Makes the stored picture of a row from its path, offset, size and digest."""

Locate = Callable[[str], Path]
"""The file of a picture, from its name."""


class Records(Sequence[Example]):
    """Examples in columns.

    Args:
        table: with the columns of `SCHEMA`.
        opened: what the picture of a row is; bytes of a file by default.
    """

    def __init__(self, table: pa.Table, opened: Open = Blob) -> None:
        # Columns in one piece: reading a row takes no search among chunks.
        self._columns = [_whole(table[name].cast(SCHEMA.field(name).type)) for name in SCHEMA.names]
        self.table = pa.table(self._columns, SCHEMA)
        self.opened = opened

    @classmethod
    def of(cls, examples: Iterable[Example], opened: Open = Blob) -> "Records":
        """Columns of examples whose pictures all come from `opened`."""
        tables: list[pa.Table] = []
        rows: list[dict[str, Any]] = []
        for example in examples:
            rows.append(_row(example))
            if len(rows) == _AT_ONCE:
                tables.append(pa.Table.from_pylist(rows, SCHEMA))
                rows = []
        tables.append(pa.Table.from_pylist(rows, SCHEMA))
        return cls(pa.concat_tables(tables), opened)

    def __len__(self) -> int:
        return self.table.num_rows

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> "Records": ...
    def __getitem__(self, index: int | slice) -> "Example | Records":
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        row = range(len(self))[index]
        return self._example(*(column[row].as_py() for column in self._columns))

    def __iter__(self) -> Iterator[Example]:
        for batch in self.table.to_batches(max_chunksize=_AT_ONCE):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield self._example(*row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Records) and self.table.equals(other.table)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def take(self, rows: Sequence[int]) -> "Records":
        """Some rows, in the order given."""
        return Records(self.table.take(pa.array(rows, pa.int64())), self.opened)

    def captions(self) -> Iterator[str]:
        """All captions of all examples, in order."""
        for chunk in self.table["captions"].chunks:
            flat = chunk.flatten()
            for start in range(0, len(flat), _AT_ONCE):
                yield from flat.slice(start, _AT_ONCE).to_pylist()

    def _example(
        self,
        name: str,
        captions: list[str],
        path: str,
        offset: int,
        size: int | None,
        digest: bytes | None,
    ) -> Example:
        image = self.opened(path=Path(path), offset=offset, size=size, digest=digest)
        return Example(name=name, captions=tuple(captions), image=image)


class Gathering:
    """Captions that come one by one, in any order of their pictures, put together at the end."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._of = array("q")
        self._texts: list[str] = []
        self._done: list[pa.Array] = []

    def add(self, name: str, caption: str) -> None:
        """One caption of one picture."""
        self._of.append(self._rows.setdefault(name, len(self._rows)))
        self._texts.append(caption)
        if len(self._texts) == _AT_ONCE:
            self._flush()

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def records(self, locate: Locate) -> Records:
        """The pictures in the order in which they first came, their captions in theirs.

        Args:
            locate: the file of a picture, from its name.
        """
        self._flush()
        of = np.frombuffer(self._of, dtype=np.int64)
        texts = _whole(pa.chunked_array(self._done, pa.large_string()))
        self._done = [texts]
        if np.any(np.diff(of) < 0):
            texts = texts.take(pa.array(np.argsort(of, kind="stable")))
        ends = np.cumsum(np.bincount(of, minlength=len(self._rows)))
        starts = np.concatenate([[0], ends]).astype(np.int64)
        count = len(self._rows)
        columns = {
            "name": pa.array(self._rows, pa.large_string()),
            "captions": pa.LargeListArray.from_arrays(pa.array(starts), texts),
            "path": pa.array((str(locate(name)) for name in self._rows), pa.large_string()),
            "offset": pa.array(np.zeros(count, dtype=np.int64)),
            "size": pa.nulls(count, pa.int64()),
            "digest": pa.nulls(count, pa.large_binary()),
        }
        return Records(pa.table(columns, SCHEMA))

    def _flush(self) -> None:
        self._done.append(pa.array(self._texts, pa.large_string()))
        self._texts = []


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, copied only if it is in several."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _row(example: Example) -> dict[str, Any]:
    image = example.image
    assert isinstance(image, Place)
    return {
        "name": example.name,
        "captions": example.captions,
        "path": str(image.path),
        "offset": image.offset,
        "size": image.size,
        "digest": image.digest,
    }

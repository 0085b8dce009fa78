"""A data set streamed through Hugging Face `datasets`: read once, in order, to be made shards of.

Streams have no random access, so nothing is trained on one: `prepare` writes it as shards while it
comes, and an interrupted call goes on at the shard where it stopped.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from smartclip.data.examples import Example, Problem
from smartclip.data.parquet import BYTES, KEYS, MORE_CAPTIONS
from smartclip.data.printed import shown
from smartclip.data.tables import CAPTIONS
from smartclip.data.written import normal
from theory.errors import InputError


@dataclass(frozen=True, slots=True)
class Fetched:
    """A picture that came with its row.

    Attributes:
        content: of the picture file.
    """

    content: bytes

    def read(self) -> bytes:
        """The bytes."""
        return self.content


@dataclass(kw_only=True)
class HubStream:
    """Rows of a streamed data set, in order; `open_hub` makes one.

    Attributes:
        source: what is streamed.
        rows: an iterable of records with `skip`, as `datasets.IterableDataset`.
        image: the column of pictures, `{bytes, path}` or bytes.
        caption: the column of captions, a string or a list of them.
        key: the column that names a picture; its number by default.
        problems: none are known before the rows are read.
    """

    source: str
    rows: Any
    image: str
    caption: str
    key: str | None = None
    problems: tuple[Problem, ...] = ()
    _at: int = field(default=0, init=False)
    _coming: Iterator[Any] | None = field(default=None, init=False)

    def part(self, start: int, stop: int) -> list[Example | Problem]:
        """Rows start, ..., stop - 1; fewer at the end. Quick if the last call ended at `start`."""
        if self._coming is None or self._at != start:
            self._coming = iter(self.rows.skip(start))
        rows = list(itertools.islice(self._coming, stop - start))
        self._at = stop
        return [self._read(number, row) for number, row in enumerate(rows, start)]

    def fingerprint(self) -> str:
        """What has to be the same for an interrupted call to go on."""
        return f"{self.source}: {self.image}, {self.caption}, {self.key}"

    def _read(self, number: int, row: dict[str, Any]) -> Example | Problem:
        name = str(number if self.key is None else row[self.key])
        told = row[self.caption]
        texts = told if isinstance(told, list) else [told]
        try:
            words = [normal(text) for text in texts if text is not None]
        except ValueError as error:
            return Problem(name=name, fault="wrong record", detail=str(error))
        kept = tuple(dict.fromkeys(text for text in words if text))
        if not kept:
            return Problem(name=name, fault="no caption", detail="none, or only blank")
        stored = row[self.image]
        content = stored.get("bytes") if isinstance(stored, dict) else stored
        if not isinstance(content, bytes):
            detail = "the row has no picture"
            return Problem(name=name, fault="missing", detail=detail, captions=len(kept))
        return Example(name=name, captions=kept, image=Fetched(content))


def open_hub(
    name: str, *, split: str = "train", config: str | None = None, **options: Any
) -> HubStream:
    """Stream a data set of pictures and captions by the name that `datasets` knows it by.

    Args:
        name: such as `owner/name`, a folder of Parquet, or `parquet` with `data_files`.
        split: which.
        config: of data sets that have several.
        options: handed to `datasets.load_dataset`, such as `revision`.

    Raises:
        InputError: `datasets` is not installed, the data set cannot be opened, or has no column of
            pictures or captions.
    """
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"{name} is to be streamed, and the package `datasets` is not installed",
            rule="streaming is an extra",
            fix="install smartclip-testbed[hub], or read Parquet files with --format parquet",
        ) from error
    try:
        rows = datasets.load_dataset(name, config, split=split, streaming=True, **options)
        features = rows.features or rows._resolve_features().features or {}
    except Exception as error:  # the library, its readers and the network raise anything
        why = shown(next(iter(str(error).splitlines()), type(error).__name__))
        raise InputError(
            f"{name} could not be streamed ({why})",
            rule="a streamed data set is opened by its name and split",
            fix="check both, and the network",
        ) from error
    image, caption, key = (
        next((column for column in known if column in features), None)
        for known in (BYTES, CAPTIONS + MORE_CAPTIONS, KEYS)
    )
    if image is None or caption is None:
        raise InputError(
            f"{name} has the columns {', '.join(features)}",
            rule="a row has a picture and captions",
            fix=f"call them {BYTES[0]} and {CAPTIONS[0]}",
        )
    if isinstance(features[image], datasets.Image):
        # Files as they are: what does not open is found, named and counted here.
        rows = rows.cast_column(image, datasets.Image(decode=False))
    source = f"{name}, {split}" if config is None else f"{name}, {config}, {split}"
    return HubStream(source=source, rows=rows, image=image, caption=caption, key=key)

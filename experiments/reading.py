"""Where a data set of images and captions lies, and how it is laid out: options of commands."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from smartclip.data.examples import ImageText

Layout = Literal[
    "prepared",
    "webdataset",
    "parquet",
    "csv",
    "jsonl",
    "folder",
    "coco",
    "karpathy",
    "flickr30k",
    "sharegpt4v",
    "urban1k",
    "docci",
    "world",
    "emoji",
    "digits",
]


@dataclass(frozen=True, kw_only=True)  # without slots, so that a command can inherit from it too
class Reading:
    """Flags of everything that reads a data set."""

    source: Annotated[Path | None, tyro.conf.Positional] = None
    """The table of captions, the shard, or the folder; nothing for digits."""

    format: Layout | None = None
    """How the data set is laid out; found out if the path tells."""

    pictures: Path | None = None
    """Folder of the pictures, if it is not that of the table, or where the format has it."""

    roots: dict[str, Path] | None = None
    """ShareGPT4V: folders that take the place of the start of a name: "sam/images" DIR ..."""

    split: str | None = None
    """Karpathy and DOCCI: one split, such as test; all by default."""

    workers: int = 2
    """Threads that open pictures."""

    def read(self) -> "ImageText":
        from smartclip.data.formats import read

        return read(
            self.source, self.format, pictures=self.pictures, roots=self.roots, split=self.split
        )

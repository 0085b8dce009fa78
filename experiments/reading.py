"""Where a data set of images and captions lies, and how it is laid out: options of commands."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from smartclip.data.readers import names
from theory.errors import InputError

if TYPE_CHECKING:
    from smartclip.data.examples import ImageText

_FORMATS = f"How the data set is laid out, found out if the path tells: {', '.join(names())}."


@dataclass(frozen=True, kw_only=True)  # without slots, so that a command can inherit from it too
class Reading:
    """Flags of everything that reads a data set."""

    source: Annotated[Path | None, tyro.conf.Positional] = None
    """The table of captions, the shard, or the folder; nothing for digits."""

    format: Annotated[str | None, tyro.conf.arg(help=_FORMATS)] = None

    pictures: Path | None = None
    """Folder of the pictures, if it is not that of the table, or where the format has it."""

    roots: dict[str, Path] | None = None
    """ShareGPT4V: folders that take the place of the start of a name: "sam/images" DIR ..."""

    split: str | None = None
    """One split, such as test, of formats that have several; "all" where each has its own file."""

    workers: int = 2
    """Threads that open pictures."""

    def refuse_no_workers(self) -> None:
        """Without a thread nothing is opened."""
        if self.workers < 1:
            raise InputError(
                f"--workers {self.workers}",
                rule="at least one opens pictures",
                fix="give 1 or more",
            )

    def read(self) -> "ImageText":
        from smartclip.data.formats import read

        self.refuse_no_workers()
        return read(
            self.source, self.format, pictures=self.pictures, roots=self.roots, split=self.split
        )

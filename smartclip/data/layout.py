"""A layout that image-text data come in: its name, how it is recognised and how it is read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from smartclip.data.examples import ImageText
from smartclip.data.written import bare, head
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """What a reader is told.

    Attributes:
        path: the table, file or folder; None where data are drawn.
        pictures: folder of the pictures, if it is not where the layout expects it.
        roots: ShareGPT4V's image roots: a folder that takes the place of the start of a name.
        split: of layouts that have several.
    """

    path: Path | None
    pictures: Path | None = None
    roots: dict[str, Path] | None = None
    split: str | None = None

    @property
    def given(self) -> Path:
        """The path, which most layouts need."""
        if self.path is None:
            raise InputError(
                "no path", rule="this format is read from a path", fix="give it before --format"
            )
        return self.path


class Glance:
    """What a path shows at first sight: names in a folder, or the first characters of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_folder = path.is_dir()

    @cached_property
    def names(self) -> list[str]:
        """What a folder holds, by name, but what is hidden; of a file nothing."""
        if not self.is_folder:
            return []
        try:
            return sorted(e.name for e in os.scandir(self.path) if not e.name.startswith("."))
        except OSError as error:
            raise InputError(
                f"{self.path} could not be listed ({error.strerror or error})",
                rule="a folder of data can be read",
                fix="check its permissions",
            ) from error

    @cached_property
    def head(self) -> str:
        """The first characters of a file; of a folder nothing."""
        return "" if self.is_folder else head(self.path).lstrip()

    @cached_property
    def first_line(self) -> str:
        """The first line of a file."""
        return self.head.partition("\n")[0].rstrip("\r")

    def holds(self, *patterns: str) -> bool:
        """Whether the folder has, for each pattern such as `*.tar`, a name that matches it."""
        return all(any(fnmatchcase(n.lower(), each) for n in self.names) for each in patterns)

    def ends(self, *endings: str) -> bool:
        """Whether it is a file whose name ends so, such as `.csv`, packed or not."""
        return not self.is_folder and bare(self.path.name.lower()).endswith(endings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One layout.

    Attributes:
        name: after `--format`.
        told: what it looks like, in a line.
        read: its reader.
        looks: whether a path looks like it.
        general: it is taken only where no other layout is recognised, as any folder is a folder.
        over: formats whose files this layout has beside its own; it is taken and they are not.
        made: it is made, not read: there need be nothing at its path.
        takes: which of `pictures`, `roots`, `split` it uses.
    """

    name: str
    told: str
    read: Callable[[Where], ImageText]
    looks: Callable[[Glance], bool]
    general: bool = False
    over: tuple[str, ...] = ()
    made: bool = False
    takes: tuple[str, ...] = ("pictures",)

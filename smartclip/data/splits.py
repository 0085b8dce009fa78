"""Which files of a folder belong to which split: the name begins with it, or its folder has it."""

import re
from collections.abc import Sequence
from pathlib import Path

from theory.errors import InputError

_SPLIT = re.compile(r"(train|val|valid|validation|dev|test)(?:[-_.\d].*)?", re.IGNORECASE)
ALL = "all"


def split_of(path: Path) -> str | None:
    """The split that a name tells.

    >>> split_of(Path("train-00000-of-00001.parquet")), split_of(Path("test/0000.parquet"))
    ('train', 'test')
    >>> split_of(Path("training.tar")) is None
    True
    """
    for name in (path.name, path.parent.name):
        if found := _SPLIT.fullmatch(name):
            return found[1].lower()
    return None


def of_split(files: Sequence[Path], split: str | None, source: Path) -> list[Path]:
    """The files of a split; all of them if there is only one split.

    Args:
        files: of the data set.
        split: which; `all` for the files of every split.
        source: the folder, for names.

    Raises:
        InputError: there are several splits and none is chosen, or not the one that is.
    """
    if split == ALL:
        return list(files)
    known = {path: split_of(path.relative_to(source.parent)) for path in files}
    names = sorted({name for name in known.values() if name is not None})
    if split is None:
        if len(names) > 1:
            raise InputError(
                f"{source} holds the splits {', '.join(names)}",
                rule="what is for testing is not trained on unasked",
                fix="choose one with --split, or take --split all",
            )
        return list(files)
    chosen = [path for path, name in known.items() if name == split]
    if not chosen:
        raise InputError(
            f"{source} has no split {split!r}",
            rule="its files are of " + (", ".join(names) if names else "no split"),
            fix="choose one of them" if names else "leave --split out",
        )
    return chosen

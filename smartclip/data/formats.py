"""Every layout that image-text data come in, by name, and which one a path has.

A layout is a file of `smartclip.data.readers` that defines `FORMAT`. Nothing else lists it.
"""

from importlib import import_module
from pathlib import Path

from smartclip.data import readers
from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Glance, Where
from theory.errors import InputError


def known() -> dict[str, Format]:
    """The formats of all files in `smartclip.data.readers`, by name."""
    return {name: import_module(f"{readers.__name__}.{name}").FORMAT for name in readers.names()}


FORMATS: dict[str, Format] = known()


def read(
    path: Path | None,
    name: str | None = None,
    *,
    pictures: Path | None = None,
    roots: dict[str, Path] | None = None,
    split: str | None = None,
) -> ImageText:
    """A data set in any of `FORMATS`.

    Args:
        path: the table, file or folder.
        name: of the format; found by `detect` if none is given.
        pictures: folder of the pictures, if it is not where the format expects it.
        roots: ShareGPT4V's image roots.
        split: of formats that have several.

    Raises:
        InputError: no such format, an option that it does not have, or what its reader raises.
    """
    if name is not None and name not in FORMATS:
        raise InputError(
            f"the format {name!r}",
            rule="the formats are " + ", ".join(FORMATS),
            fix="choose one of them",
        )
    if name is None:
        name = detect(Where(path=path).given)
    elif path is not None and not FORMATS[name].made and not path.exists():
        raise InputError(f"{path} does not exist", rule="data lie at a path", fix="check it")
    for option, value in (("pictures", pictures), ("roots", roots), ("split", split)):
        if value and option not in FORMATS[name].takes:
            raise InputError(
                f"{option} for {name}",
                rule=f"{name} is {FORMATS[name].told}",
                fix=f"leave {option} out",
            )
    if pictures is not None and not pictures.is_dir():
        raise InputError(
            f"{pictures} is no folder", rule="pictures lie in a folder", fix="check --pictures"
        )
    where = Where(path=path, pictures=pictures, roots=roots or None, split=split)
    return FORMATS[name].read(where)


def detect(path: Path) -> str:
    """The one format that a path has.

    Raises:
        InputError: there is nothing there, or nothing tells which format it is.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist", rule="data lie at a path", fix="check it")
    glance = Glance(path)
    for general in (False, True):
        like = [each for each in FORMATS.values() if each.general == general and each.looks(glance)]
        passed = {name for each in like for name in each.over}
        found = [each.name for each in like if each.name not in passed]
        if len(found) > 1:
            raise InputError(
                f"{path} could be {' or '.join(found)}",
                rule="data are read in one format",
                fix="say which with --format",
            )
        if found:
            return found[0]
    raise InputError(
        f"{path} looks like none of the formats",
        rule="the formats are " + ", ".join(FORMATS),
        fix="say which with --format",
    )

"""A folder of pictures with a table, or with a text beside each picture."""

from pathlib import Path

from smartclip.data.beside import read_texts
from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Glance, Where
from smartclip.data.splits import of_split
from theory.errors import InputError

_TABLES = ("csv", "tsv", "jsonl", "ndjson")
_MOST_TABLES = 64


def read_folder(folder: Path, root: Path | None = None, *, split: str | None = None) -> ImageText:
    """Pictures with one table (`metadata.csv`, any single table), or a `.txt` each.

    Args:
        folder: of the pictures, and of folders of pictures.
        root: folder that the names in the table start from, if it is elsewhere.
        split: of a folder with `train/metadata.csv`, `test/metadata.csv`, as Hugging Face's
            ImageFolder has them.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is no folder", rule="an image folder is one", fix="check the path"
        )
    tables = [path for kind in _TABLES for path in sorted(folder.glob(f"*.{kind}"))]
    named = [path for path in tables if path.stem == "metadata"]
    objects = [] if named else sorted(folder.glob("*.json"))
    if len(objects) <= _MOST_TABLES:  # more are one beside each picture
        tables += [path for path in objects if _is_table(path)]
    deeper = [path for kind in (*_TABLES, "parquet") for path in folder.glob(f"*/metadata.{kind}")]
    if not tables and deeper:
        parts = of_split(sorted(path.parent for path in deeper), split, folder)
        chosen = [path for path in deeper if path.parent in parts]
        if len(chosen) == 1:
            return _read(chosen[0], root or chosen[0].parent)
        raise InputError(
            f"{folder} holds {len(chosen)} tables of captions in folders",
            rule="one table is read at a time",
            fix="give the path of one of the folders",
        )
    if split is not None:
        raise InputError(
            f"the split {split!r} of {folder}",
            rule="a folder has splits if each has its folder with metadata.csv",
            fix="leave --split out",
        )
    if len(tables) > 1 and len(named) != 1:
        raise InputError(
            f"{folder} holds the tables {', '.join(path.name for path in tables)}",
            rule="the captions are in one of them",
            fix="give the path of that one, with its format",
        )
    return _read((named or tables)[0], root or folder) if tables else read_texts(folder, root)


def _is_table(path: Path) -> bool:
    from smartclip.data import formats  # which imports this file

    glance = Glance(path)
    return any(each.looks(glance) for each in formats.FORMATS.values() if not each.general)


def _read(table: Path, root: Path) -> ImageText:
    """In the format that the table has."""
    from smartclip.data import formats

    return formats.read(table, pictures=root)


def _from(where: Where) -> ImageText:
    return read_folder(where.given, where.pictures, split=where.split)


FORMAT = Format(
    name="folder",
    told="a folder of pictures with one table, or with a .txt each",
    read=_from,
    looks=lambda glance: glance.is_folder,
    general=True,
    takes=("pictures", "split"),
)

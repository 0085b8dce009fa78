"""COCO captions (Chen et al., 2015)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Glance, Where
from smartclip.data.splits import of_split
from smartclip.data.tables import Pair, below, collected, numbered, read_json
from smartclip.data.written import head, not_a_table


def read_coco(path: Path, root: Path) -> ImageText:
    """`images` with `id` and `file_name`, `annotations` with `image_id` and `caption`.

    Args:
        path: such as `annotations/captions_val2017.json`.
        root: folder of the pictures, such as `val2017`.
    """
    table = read_json(path)
    try:
        names = {image["id"]: image["file_name"] for image in table["images"]}
        notes = list(table["annotations"])
    except (KeyError, TypeError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else "they are no lists of objects"
        raise not_a_table(path, f"COCO captions have images and annotations: {why}") from error

    def pairs(note: dict[str, Any]) -> Iterator[Pair]:
        if note["image_id"] not in names:
            raise ValueError(f"it is of the image {note['image_id']!r}, which is not listed")
        waiting.pop(note["image_id"], None)
        yield names[note["image_id"]], note["caption"]

    def records() -> Iterator[tuple[str, Any]]:
        yield from numbered(notes)
        for number, name in list(waiting.items()):
            yield f"image {number}", {"image_id": number, "caption": None, "file_name": name}

    waiting = dict(names)
    return collected(path, records(), pairs, below(root))


def _from(where: Where) -> ImageText:
    path = where.given
    if path.is_dir():
        tables = sorted((path / "annotations").glob("captions_*.json"))
        path = _of_split(tables, where.split, path)
    return read_coco(path, where.pictures or _pictures(path))


def _of_split(tables: list[Path], split: str | None, source: Path) -> Path:
    """One table: its split stands after `captions_`."""
    plain = {source / table.name.removeprefix("captions_"): table for table in tables}
    chosen = of_split(list(plain), split, source)
    if len(chosen) != 1:
        raise not_a_table(source, f"{len(chosen)} tables of captions; give the path of one")
    return plain[chosen[0]]


def _pictures(table: Path) -> Path:
    """`val2017` for `annotations/captions_val2017.json`, wherever COCO is unpacked."""
    found = re.search(r"(?:train|val|test)20\d\d", table.name)
    folder = table.parent.parent if table.parent.name == "annotations" else table.parent
    if found is not None:
        for place in (folder / found[0], folder / "images" / found[0], table.parent / found[0]):
            if place.is_dir():
                return place
    return folder / "images" if (folder / "images").is_dir() else table.parent


def _looks(glance: Glance) -> bool:
    if glance.is_folder:
        tables = (glance.path / "annotations").glob("captions_*.json")
        return any('"images"' in head(table) for table in tables)
    listed = '"images"' in glance.head or '"annotations"' in glance.head
    return (
        glance.ends(".json")
        and glance.head.startswith("{")
        and listed
        and '"sentences"' not in glance.head
    )


FORMAT = Format(
    name="coco",
    told="COCO's captions_val2017.json, or the folder with annotations and val2017",
    read=_from,
    looks=_looks,
    takes=("pictures", "split"),
)

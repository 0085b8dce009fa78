"""Urban1k (Zhang et al., Long-CLIP, ECCV 2024): long captions of a thousand pictures."""

from pathlib import Path

from smartclip.data.beside import read_texts
from smartclip.data.examples import ImageText
from smartclip.data.layout import Format
from theory.errors import InputError


def read_urban1k(folder: Path, root: Path | None = None) -> ImageText:
    """`image/1.jpg` and `caption/1.txt`, a thousand of each.

    Args:
        folder: holds `image` and `caption`.
        root: folder of the pictures, if it is elsewhere.
    """
    if not (folder / "caption").is_dir():
        raise InputError(
            f"{folder} has no folder `caption`",
            rule="Urban1k is the folders `image` and `caption`",
            fix="give the folder that holds both",
        )
    return read_texts(folder, root or folder / "image", texts=folder / "caption")


FORMAT = Format(
    name="urban1k",
    told="a folder with image and caption",
    read=lambda where: read_urban1k(where.given, where.pictures),
    looks=lambda glance: {"image", "caption"} <= set(glance.names),
)

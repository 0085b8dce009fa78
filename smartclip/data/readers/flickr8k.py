"""Flickr8k (Hodosh et al., JAIR 2013) as Kaggle has it: `captions.txt` beside the pictures."""

from pathlib import Path

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Glance
from smartclip.data.readers.csv import read_csv
from smartclip.data.written import head

_TABLE = "captions.txt"
_FOLDERS = ("Images", "images", "Flicker8k_Dataset", "flickr30k_images")


def read_flickr8k(path: Path, root: Path | None = None) -> ImageText:
    """A table with the header `image,caption`, five rows a picture.

    Args:
        path: `captions.txt`, or the folder that holds it.
        root: folder of the pictures; `Images` or the like beside the table by default.
    """
    table = path / _TABLE if path.is_dir() else path
    beside = (table.parent / name for name in _FOLDERS)
    return read_csv(table, root or next((each for each in beside if each.is_dir()), None))


def _is_header(first: str) -> bool:
    columns = [column.strip().lower() for column in first.split(",")]
    return columns[:1] in (["image"], ["image_name"]) and columns[-1] in ("caption", "comment")


def _looks(glance: Glance) -> bool:
    if glance.is_folder:
        if _TABLE not in glance.names:
            return False
        return _is_header(head(glance.path / _TABLE).partition("\n")[0])
    return glance.ends(".txt") and _is_header(glance.first_line)


FORMAT = Format(
    name="flickr8k",
    told="Kaggle's Flickr8k: captions.txt with image,caption beside Images",
    read=lambda where: read_flickr8k(where.given, where.pictures),
    looks=_looks,
)

"""A CSV or TSV of pictures and captions."""

from pathlib import Path

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format
from smartclip.data.rows import Row, rows
from smartclip.data.tables import CAPTIONS, NAMES, below, collected


def read_csv(path: Path, root: Path | None = None) -> ImageText:
    """Rows of pictures and captions; a picture in several rows has several captions.

    Args:
        path: the table, UTF-8 or UTF-16, with a column of each of `NAMES` and `CAPTIONS`, parted by
            commas, tabs, semicolons or bars; without a header, the picture and then the caption.
        root: folder of the pictures; that of the table by default.
    """
    found = rows(path, NAMES, CAPTIONS)
    return collected(path, found, _pairs, below(root or path.parent))


def _pairs(row: Row) -> list[tuple[str, str]]:
    return [row.read()]


FORMAT = Format(
    name="csv",
    told="a CSV or TSV with the columns image,caption",
    read=lambda where: read_csv(where.given, where.pictures),
    looks=lambda glance: glance.ends(".csv", ".tsv"),
    general=True,
)

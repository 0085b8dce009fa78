"""ImageInWords (Garg et al., EMNLP 2024): long descriptions, one JSON object a line."""

from collections.abc import Iterator
from pathlib import Path

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format
from smartclip.data.tables import Pair, collected, field, numbered_lines, parsed


def read_iiw(path: Path, root: Path | None = None) -> ImageText:
    """`image/key` and `IIW`, the description that people wrote; those of machines are not read.

    Args:
        path: such as `data.jsonl` of IIW-400, DCI or DOCCI.
        root: folder of the pictures, named by their keys; that of the table by default.
    """
    folder = root or path.parent

    def locate(key: str) -> Path:
        return folder / (key if Path(key).suffix else f"{key}.jpg")

    return collected(path, numbered_lines(path), _pairs, locate)


def _pairs(line: str) -> Iterator[Pair]:
    record = parsed(line)
    key = field(record, ("image/key", "image", "image_key"), "picture")
    yield key, field(record, ("IIW",), "description by people")


FORMAT = Format(
    name="iiw",
    told="ImageInWords' JSON lines with image/key and IIW",
    read=lambda where: read_iiw(where.given, where.pictures),
    looks=lambda glance: glance.ends(".jsonl") and '"IIW"' in glance.head,
)

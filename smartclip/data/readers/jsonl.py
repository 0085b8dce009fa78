"""A JSON object a line."""

from collections.abc import Iterator
from pathlib import Path

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format
from smartclip.data.tables import (
    CAPTIONS,
    NAMES,
    Pair,
    as_list,
    below,
    collected,
    field,
    numbered_lines,
    parsed,
)
from smartclip.data.written import not_a_table


def read_jsonl(path: Path, root: Path | None = None) -> ImageText:
    """One JSON object a line: a picture file and a caption, or a list of captions.

    Args:
        path: the table, with a key of each of `NAMES` and `CAPTIONS`.
        root: folder of the pictures; that of the table by default.
    """
    data = collected(path, numbered_lines(path), _pairs, below(root or path.parent))
    if not (data.examples or data.problems):
        raise not_a_table(path, "it is empty")
    return data


def _pairs(line: str) -> Iterator[Pair]:
    record = parsed(line)
    name = field(record, NAMES, "picture")
    for caption in as_list(field(record, CAPTIONS, "caption")) or [None]:
        yield name, caption


FORMAT = Format(
    name="jsonl",
    told="a JSON object a line with image and caption or captions",
    read=lambda where: read_jsonl(where.given, where.pictures),
    looks=lambda glance: glance.ends(".jsonl", ".ndjson", ".jsonlines"),
    general=True,
)

"""SugarCrepe (Hsieh et al., NeurIPS 2023): of two captions of a picture one is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Where
from smartclip.data.tables import Pair, below, collected, field, read_json
from smartclip.data.written import not_a_table


def read_sugarcrepe(path: Path, root: Path) -> ImageText:
    """`{"0": {"filename", "caption", "negative_caption"}, ...}`: the right captions only.

    A negative caption says what the picture does not show, so it is no caption of it.

    Args:
        path: such as `swap_obj.json`.
        root: folder of COCO's `val2017`.
    """
    table = read_json(path)
    if isinstance(table, dict):
        records = [(f"entry {shown_key}", record) for shown_key, record in table.items()]
    elif isinstance(table, list):
        records = [(f"record {number}", record) for number, record in enumerate(table, 1)]
    else:
        raise not_a_table(path, "SugarCrepe's JSON is an object of pairs of captions")
    return collected(path, records, _pairs, below(root))


def _pairs(record: Any) -> Iterator[Pair]:
    name = field(record, ("filename", "image", "file_name"), "picture")
    yield name, field(record, ("caption",), "caption")


def _from(where: Where) -> ImageText:
    return read_sugarcrepe(where.given, where.pictures or where.given.parent)


FORMAT = Format(
    name="sugarcrepe",
    told="SugarCrepe's JSON of caption and negative_caption; the right captions are read",
    read=_from,
    looks=lambda glance: glance.ends(".json") and '"negative_caption"' in glance.head,
    over=("captions",),
)

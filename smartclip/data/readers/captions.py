"""A JSON list of pictures and captions, as BLIP, FLAIR and mirrors of Urban1k and IIW have it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText, Problem
from smartclip.data.json_list import json_list
from smartclip.data.layout import Format, Glance, Where
from smartclip.data.tables import (
    CAPTIONS,
    NAMES,
    Pair,
    as_list,
    below,
    collected,
    field,
    numbered,
    read_json,
)
from smartclip.data.written import not_a_table

_PICTURE = re.compile(r'"(?:' + "|".join(NAMES) + r')"\s*:')
_CAPTION = re.compile(r'"(?:' + "|".join(CAPTIONS) + r')"\s*:')
_ANNOTATIONS = re.compile(r'\{\s*"annotations"\s*:\s*\[')


def read_captions(path: Path, root: Path) -> ImageText:
    """`[{"image": ..., "caption": one or a list}, ...]`, or such a list under `annotations`.

    Args:
        path: of the JSON file.
        root: folder that the names start from.
    """
    cut: list[Problem] = []
    if Glance(path).head.startswith("["):
        records: Any = json_list(path, cut)
    else:
        table = read_json(path)
        records = table.get("annotations") if isinstance(table, dict) else None
        if not isinstance(records, list):
            raise not_a_table(path, "it is no list of captions, and has none under annotations")
    data = collected(path, numbered(records), _pairs, below(root))
    return replace(data, problems=(*data.problems, *cut))


def _pairs(record: Any) -> Iterator[Pair]:
    name = field(record, NAMES, "picture")
    for caption in as_list(field(record, CAPTIONS, "caption")) or [None]:
        yield name, caption


def _from(where: Where) -> ImageText:
    return read_captions(where.given, where.pictures or where.given.parent)


def _looks(glance: Glance) -> bool:
    if not glance.ends(".json") or '"conversations"' in glance.head or '"images"' in glance.head:
        return False
    listed = glance.head.startswith("[") or _ANNOTATIONS.match(glance.head) is not None
    return bool(listed and _PICTURE.search(glance.head) and _CAPTION.search(glance.head))


FORMAT = Format(
    name="captions",
    told="a JSON list of image and caption, or one under annotations (BLIP, Urban1k's mirrors)",
    read=_from,
    looks=_looks,
    over=("coco",),  # whose annotations name no pictures
)

"""Karpathy and Fei-Fei's JSON (CVPR 2015) for COCO, Flickr30k and Flickr8k."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Where
from smartclip.data.tables import Pair, below, collected, read_json
from smartclip.data.written import not_a_table
from theory.errors import InputError


def read_karpathy(path: Path, root: Path, *, split: str | None = None) -> ImageText:
    """`images` with `filename`, `sentences` and `split`.

    Args:
        path: such as `dataset_coco.json`, `dataset_flickr30k.json`.
        root: folder of the pictures; COCO's entries name a folder inside it (`filepath`).
        split: `train`, `val`, `test` or `restval`; all by default.
    """
    table = read_json(path)
    try:
        images = list(enumerate(table["images"], 1))
        chosen = [(n, image) for n, image in images if split in (None, image["split"])]
    except (KeyError, TypeError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else "they are no list of objects"
        raise not_a_table(path, f"Karpathy's JSON has images with a split: {why}") from error
    if not chosen:
        raise InputError(
            f"{path} has no image in the split {split!r}" if split else f"{path} has no image",
            rule="a split holds images",
            fix="choose train, val, test or restval",
        )

    def pairs(image: dict[str, Any]) -> Iterator[Pair]:
        for sentence in image["sentences"] or [{"raw": None}]:
            yield _file(image), sentence["raw"]

    numbers = {number for number, _ in chosen}
    others = [_file(image) for number, image in images if number not in numbers]
    return collected(
        path,
        ((f"record {number}", image) for number, image in chosen),
        pairs,
        below(root),
        elsewhere=others,
    )


def _file(image: dict[str, Any]) -> str:
    folder = f"{image['filepath']}/" if image.get("filepath") else ""
    return f"{folder}{image['filename']}"


def _from(where: Where) -> ImageText:
    root = where.pictures or where.given.parent
    return read_karpathy(where.given, root, split=where.split)


FORMAT = Format(
    name="karpathy",
    told="Karpathy's dataset_coco.json, dataset_flickr30k.json",
    read=_from,
    looks=lambda glance: glance.ends(".json") and '"sentences"' in glance.head,
    takes=("pictures", "split"),
)

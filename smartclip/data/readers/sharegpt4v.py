"""ShareGPT4V (Chen et al., ECCV 2024): a JSON list of conversations about pictures."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText, Problem
from smartclip.data.json_list import json_list
from smartclip.data.layout import Format, Where
from smartclip.data.tables import Pair, collected, field, numbered


def read_sharegpt4v(path: Path, root: Path, *, roots: dict[str, Path] | None = None) -> ImageText:
    """A list of `image` and `conversations`; the first answer is the caption.

    Args:
        path: such as `share-captioner_coco_lcs_sam_1246k_1107.json`.
        root: the folder that the names start from, such as `data`.
        roots: a folder that takes the place of the start of a name, such as
            `{"sam/images": Path("sa1b")}`.
    """
    places = sorted((roots or {}).items(), key=lambda item: -len(item[0]))
    cut: list[Problem] = []

    def pairs(record: Any) -> Iterator[Pair]:
        turns = field(record, ("conversations",), "conversation")
        answers = [turn["value"] for turn in turns if turn["from"] == "gpt"]
        yield field(record, ("image",), "picture"), answers[0] if answers else None

    def locate(name: str) -> Path:
        for start, folder in places:
            if name.startswith(f"{start}/"):
                return folder / name.removeprefix(f"{start}/")
        return root / name

    data = collected(path, numbered(json_list(path, cut)), pairs, locate)
    return replace(data, problems=(*data.problems, *cut))


def _from(where: Where) -> ImageText:
    root = where.pictures or where.given.parent
    return read_sharegpt4v(where.given, root, roots=where.roots)


FORMAT = Format(
    name="sharegpt4v",
    told="ShareGPT4V's JSON list of conversations",
    read=_from,
    looks=lambda glance: (
        glance.ends(".json") and glance.head.startswith("[") and '"conversations"' in glance.head
    ),
    takes=("pictures", "roots"),
)

"""Regions: which of the given boxes of a picture an expression is about, by cropping and scoring.

    answer(expression) = argmax over boxes of s(z^_I(crop of the box), z^_T(expression))

Layouts: RefCOCO, RefCOCO+ and RefCOCOg as lines of JSON (`file_name`, `anns` with `id` and `bbox`,
`ann_id`, `sentences`), as ReCLIP publishes them; or COCO's instances, where the expression is the
name of a category that the picture has once. Boxes are x, y, width, height.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from experiments.tasks.task import Outcome, Place, Score, Task, fraction
from theory.errors import InputError

if TYPE_CHECKING:
    from smartclip.evaluate.embedder import Box, Embedder


@dataclass(frozen=True, kw_only=True, slots=True)
class Referring:
    """Expressions for one of the boxes of a picture.

    Attributes:
        picture: its name.
        boxes: all that are given.
        answer: the place of the right one.
        expressions: at least one.
    """

    picture: str
    boxes: "tuple[Box, ...]"
    answer: int
    expressions: tuple[str, ...]


class Regions(Task):
    """Referring expressions with given boxes."""

    name: ClassVar[str] = "regions"
    told: ClassVar[str] = (
        "referring expressions with given boxes: RefCOCO as JSON lines, or COCO's instances, "
        "asked by category"
    )

    def measure(self, embedder: "Embedder", place: Place) -> Outcome:
        import numpy as np
        import torch

        from smartclip.data.crop import Crop
        from smartclip.data.examples import is_inside
        from smartclip.data.pictures import Blob
        from smartclip.evaluate.embedder import Shown
        from smartclip.evaluate.retrieval import read
        from smartclip.evaluate.zero_shot import right_at

        asked, kind = read_referring(place.path)
        root = place.pictures or _pictures(place.path)
        if strange := [each.picture for each in asked if not is_inside(each.picture)]:
            raise InputError(
                f"the picture {strange[0]!r}",
                rule="pictures lie inside their folder",
                fix="check the table",
            )
        parts = list(dict.fromkeys((each.picture, box) for each in asked for box in each.boxes))
        cut = Crop(pixels=embedder.crop.pixels, cut="squash", gap=None)
        pictures = embedder.pictures(
            [Shown(name=name, image=Blob(path=root / name), box=box) for name, box in parts],
            cut=cut,
        )
        rows = {parts[place]: row for row, place in enumerate(pictures.kept.tolist())}
        used = [each for each in asked if all((each.picture, box) in rows for box in each.boxes)]
        if not used:
            raise InputError(
                f"no picture of {place.path} in {root}",
                rule="expressions are asked of boxes in pictures",
                fix="check --pictures",
            )
        cut_before = embedder.reader.cut
        expressions = [text for each in used for text in each.expressions]
        text, mask = embedder.captions(expressions)
        groups = [each.picture for each in used for _ in each.expressions]
        chances = [1 / len(each.boxes) for each in used for _ in each.expressions]
        outcome = Outcome(
            protocol=embedder.protocol(cut)
            | {
                "data": str(place.path),
                "expressions": kind,
                "boxes": "all that are given for the picture, each cropped",
                "pictures asked of": len({each.picture for each in used}),
                "referred boxes": fraction(len(used), len(asked)),
                "prompt": "the expression alone",
                "captions cut": fraction(embedder.reader.cut - cut_before, len(expressions)),
            },
            scores={},
        )
        for reading, opened in embedder.readings(mask).items():
            values: list[np.ndarray] = []
            start = 0
            for each in used:
                stop = start + len(each.expressions)
                scores = read(
                    pictures.image[[rows[each.picture, box] for box in each.boxes]],
                    text[start:stop],
                    None if opened is None else opened[start:stop],
                    similarity=embedder.ready.similarity,
                    logit_scale=embedder.ready.logit_scale,
                )
                answer = torch.full((stop - start,), each.answer)
                values.append(right_at(scores.T, answer, 1))
                start = stop
            outcome.scores[f"right box, {reading}"] = Score(
                values=np.concatenate(values), groups=groups, chance=float(np.mean(chances))
            )
        return outcome


def read_referring(path: Path) -> tuple[list[Referring], str]:
    """What is asked in a file, and what its expressions are.

    Raises:
        InputError: another layout, or nothing to ask.
    """
    if path.suffix == ".jsonl":
        found, kind = _of_lines(path), "as published"
    elif path.suffix == ".json":
        found, kind = _of_instances(path), "a photo of the category, which the picture has once"
    else:
        raise InputError(
            f"{path}, referring expressions",
            rule="they are read from JSON lines (file_name, anns, ann_id, sentences) or from "
            "COCO's instances; refs(unc).p is a pickle, a program, and is not run",
            fix="give refcoco_val.jsonl or the like, or instances_val2017.json",
        )
    if not found:
        raise InputError(
            f"{path} without a picture of several boxes",
            rule="an expression chooses among at least two",
            fix="give the whole file",
        )
    return found, kind


def _of_lines(path: Path) -> list[Referring]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            numbers = [each["id"] for each in record["anns"]]
            found.append(
                Referring(
                    picture=_coco_name(str(record["file_name"])),
                    boxes=tuple(_edges(each["bbox"]) for each in record["anns"]),
                    answer=numbers.index(record["ann_id"]),
                    expressions=tuple(str(_sentence(each)) for each in record["sentences"]),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, line {number} ({type(error).__name__}: {error})",
                rule="each line has file_name, anns with id and bbox, ann_id among them, and "
                "sentences",
                fix="fetch it again",
            ) from error
    return [each for each in found if len(each.boxes) > 1 and each.expressions]


def _of_instances(path: Path) -> list[Referring]:
    from smartclip.data.tables import read_json

    table = read_json(path)
    try:
        names = {each["id"]: str(each["file_name"]) for each in table["images"]}
        categories = {each["id"]: str(each["name"]) for each in table["categories"]}
        boxes: dict[int, list[tuple[Box, str]]] = {}
        for each in table["annotations"]:
            if not each.get("iscrowd"):
                told = (_edges(each["bbox"]), categories[each["category_id"]])
                boxes.setdefault(each["image_id"], []).append(told)
        found = []
        for image, given in boxes.items():
            counts = Counter(category for _, category in given)
            found += [
                Referring(
                    picture=names[image],
                    boxes=tuple(box for box, _ in given),
                    answer=place,
                    expressions=(f"a photo of a {category}.",),
                )
                for place, (_, category) in enumerate(given)
                if counts[category] == 1 and len(given) > 1
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} ({type(error).__name__}: {error})",
            rule="COCO's instances have images, categories, and annotations with a bbox",
            fix="give instances_val2017.json or the like",
        ) from error
    return found


def _edges(box: list[float]) -> "Box":
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height


def _sentence(told: object) -> object:
    """A sentence is a text, or has it under `raw` or `sent`."""
    if isinstance(told, dict):
        return told["raw"] if "raw" in told else told["sent"]
    return told


def _coco_name(name: str) -> str:
    """RefCOCO names a picture with the number of the box behind it.

    >>> _coco_name("COCO_train2014_000000581857_16.jpg"), _coco_name("000000581857.jpg")
    ('COCO_train2014_000000581857.jpg', '000000581857.jpg')
    """
    stem, dot, ending = name.rpartition(".")
    parts = stem.split("_")
    return "_".join(parts[:3]) + dot + ending if parts[0] == "COCO" and len(parts) > 3 else name


def _pictures(table: Path) -> Path:
    """`val2017` beside `annotations/instances_val2017.json`; else the folder of the table."""
    place = table.parent.parent / table.stem.rpartition("_")[2]
    return place if place.is_dir() else table.parent

"""Composition: a right and a wrong caption of one picture, made of nearly the same words.

    SugarCrepe (NeurIPS 2023)  caption, negative_caption
    ARO (ICLR 2023)            true_caption, false_caption, and the part of the picture they are of
    Winoground (CVPR 2022)     two pictures and two captions of the same words

Pairs that are the same bag of words are reported apart: no bag can tell them from each other.
Equal scores count as half.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from experiments.tasks.task import Outcome, Place, Score, Task, fraction
from theory.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from smartclip.evaluate.embedder import Box, Embedder


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One picture and two captions, of which the first is right.

    Attributes:
        kind: of the change, such as `swap_obj`.
        picture: its name.
        right: the caption.
        wrong: the other.
        box: the part of the picture that both are of.
    """

    kind: str
    picture: str
    right: str
    wrong: str
    box: "Box | None" = None

    @property
    def same_words(self) -> bool:
        """Both captions are one bag of words.

        >>> Choice(kind="", picture="", right="A cat, a dog.", wrong="a dog, a cat").same_words
        True
        """
        return _bag(self.right) == _bag(self.wrong)


class Composition(Task):
    """Which of two captions a picture has."""

    name: ClassVar[str] = "composition"
    told: ClassVar[str] = "SugarCrepe, ARO or Winoground: a file, or a folder of them"

    def measure(self, embedder: "Embedder", place: Place) -> Outcome:
        tables = sorted(place.path.glob("*.json*")) if place.path.is_dir() else [place.path]
        if any(_is_winoground(table) for table in tables):
            (table,) = [table for table in tables if _is_winoground(table)]
            return _winoground(embedder, table, place)
        choices = [choice for table in tables for choice in read_choices(table)]
        if not choices:
            raise InputError(
                f"{place.path} without a right and a wrong caption",
                rule="SugarCrepe has caption and negative_caption, ARO true_caption and "
                "false_caption",
                fix="give the JSON file, or the folder that holds it",
            )
        return _pairs(embedder, choices, place)


def read_choices(path: Path) -> list[Choice]:
    """The pairs of one file; none if it is of another layout.

    Raises:
        InputError: unreadable, or a record that lacks a part.
    """
    from smartclip.data.tables import read_json

    if path.suffix != ".json":
        return []
    table = read_json(path)
    records = list(table.values()) if isinstance(table, dict) else table
    first = records[0] if isinstance(records, list) and records else None
    if not isinstance(first, dict):
        return []
    for right, wrong, picture in (
        ("caption", "negative_caption", "filename"),
        ("true_caption", "false_caption", "image_path"),
    ):
        if {right, wrong} <= first.keys():
            try:
                return [
                    Choice(
                        kind=path.stem,
                        picture=str(record[picture]),
                        right=str(record[right]),
                        wrong=str(record[wrong]),
                        box=_box(record),
                    )
                    for record in records
                ]
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{path} with a record that lacks {error}",
                    rule=f"each has {picture}, {right} and {wrong}",
                    fix="fetch it again",
                ) from error
    return []


def _box(record: dict[str, Any]) -> "Box | None":
    if "bbox_x" not in record:
        return None
    x, y, w, h = (float(record[f"bbox_{name}"]) for name in "xywh")
    return x, y, x + w, y + h


def _pairs(embedder: "Embedder", choices: Sequence[Choice], place: Place) -> Outcome:
    import numpy as np

    root = place.pictures or (place.path if place.path.is_dir() else place.path.parent)
    parts = list(dict.fromkeys((choice.picture, choice.box) for choice in choices))
    image, rows = _embedded(embedder, root, parts)
    used = [choice for choice in choices if (choice.picture, choice.box) in rows]
    if not used:
        raise InputError(
            f"no picture of {place.path} in {root}",
            rule="pairs are asked of their pictures",
            fix="check --pictures",
        )
    cut_before = embedder.reader.cut
    text, mask = embedder.captions([text for each in used for text in (each.right, each.wrong)])
    own = image[[rows[each.picture, each.box] for each in used]]
    outcome = Outcome(
        protocol=embedder.protocol()
        | {
            "data": str(place.path),
            "pairs": fraction(len(used), len(choices)),
            "prompt": "the caption alone",
            "equal scores": "half",
            "captions cut": fraction(embedder.reader.cut - cut_before, 2 * len(used)),
        },
        scores={},
    )
    for reading, opened in embedder.readings(mask).items():
        right, wrong = (
            _own_scores(embedder, own, text[side::2], None if opened is None else opened[side::2])
            for side in (0, 1)
        )
        values = _ahead(right, wrong)
        for label, chosen in _groups(used):
            picked = np.array(chosen)
            outcome.scores[f"{label}, {reading}"] = Score(
                values=values[picked],
                groups=[each.picture for each, take in zip(used, chosen, strict=True) if take],
                chance=0.5,
            )
    return outcome


def _groups(used: Sequence[Choice]) -> Iterator[tuple[str, list[bool]]]:
    """All pairs, each kind, and the pairs of the same words."""
    yield "all pairs", [True] * len(used)
    kinds = sorted({each.kind for each in used})
    for kind in kinds if len(kinds) > 1 else ():
        yield kind, [each.kind == kind for each in used]
    for label, wanted in (("the same words", True), ("other words", False)):
        chosen = [each.same_words is wanted for each in used]
        if any(chosen) and not all(chosen):
            yield label, chosen


def _embedded(
    embedder: "Embedder", root: Path, parts: "Sequence[tuple[str, Box | None]]"
) -> "tuple[Tensor, dict[tuple[str, Box | None], int]]":
    """z^_I of pictures or parts of them, and the row of each."""
    from smartclip.data.examples import is_inside
    from smartclip.data.pictures import Blob
    from smartclip.evaluate.embedder import Shown

    for name, _ in parts:
        if not is_inside(name):
            raise InputError(
                f"the picture {name!r}",
                rule="pictures lie inside their folder",
                fix="check the table",
            )
    pictures = embedder.pictures(
        [Shown(name=name, image=Blob(path=root / name), box=box) for name, box in parts]
    )
    rows = {parts[place]: row for row, place in enumerate(pictures.kept.tolist())}
    return pictures.image, rows


def _own_scores(
    embedder: "Embedder", image: "Tensor", text: "Tensor", mask: "Tensor | None"
) -> "Tensor":
    """Row by row, image i with caption i: the formula of the similarity itself."""
    import torch

    from smartclip.objective.similarities import formula, modular_form

    similarity = formula(modular_form(embedder.ready.similarity))
    opened = torch.ones_like(text) if mask is None else mask
    scale = torch.full((len(text),), embedder.ready.logit_scale)
    return similarity.of_pair(image, text, opened, scale)


def _ahead(right: "Tensor", wrong: "Tensor") -> "np.ndarray":
    """1 where the right one scores higher, 1/2 where both score the same."""
    return ((right > wrong).double() + 0.5 * (right == wrong).double()).numpy()


def _bag(caption: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", caption.lower()))


def _is_winoground(path: Path) -> bool:
    from smartclip.data.written import head

    return path.suffix == ".jsonl" and '"caption_0"' in head(path) and '"image_0"' in head(path)


def _winoground(embedder: "Embedder", table: Path, place: Place) -> Outcome:
    """Text: each picture finds its caption; image: each caption its picture; group: both.

    A part that is equal is not found, as in the published code.
    """
    import json

    import numpy as np

    lines = [line for line in table.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        records = [json.loads(line) for line in lines]
        captions = [str(each[f"caption_{side}"]) for each in records for side in (0, 1)]
        names = [_with_ending(str(each[f"image_{side}"])) for each in records for side in (0, 1)]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{table} with a line that lacks {error}",
            rule="Winoground has image_0, image_1, caption_0 and caption_1 in each line",
            fix="fetch it again",
        ) from error
    root = place.pictures or table.parent / "images"
    parts: list[tuple[str, Box | None]] = [(name, None) for name in dict.fromkeys(names)]
    image, rows = _embedded(embedder, root, parts)
    whole = [
        number
        for number in range(len(records))
        if all((names[2 * number + side], None) in rows for side in (0, 1))
    ]
    if not whole:
        raise InputError(
            f"no pair of pictures of {table} in {root}",
            rule="Winoground asks of two pictures",
            fix="check --pictures",
        )
    text, mask = embedder.captions([captions[2 * n + side] for n in whole for side in (0, 1)])
    outcome = Outcome(
        protocol=embedder.protocol()
        | {
            "data": str(table),
            "examples": fraction(len(whole), len(records)),
            "prompt": "the caption alone",
            "equal scores": "not found",
        },
        scores={},
    )
    for reading, opened in embedder.readings(mask).items():
        scores = {}
        for i in (0, 1):
            own = image[[rows[names[2 * n + i], None] for n in whole]]
            for c in (0, 1):
                part = None if opened is None else opened[c::2]
                scores[i, c] = _own_scores(embedder, own, text[c::2], part).numpy()
        texts = (scores[0, 0] > scores[0, 1]) & (scores[1, 1] > scores[1, 0])
        images = (scores[0, 0] > scores[1, 0]) & (scores[1, 1] > scores[0, 1])
        for label, found, chance in (
            ("text", texts, 1 / 4),
            ("image", images, 1 / 4),
            ("group", texts & images, 1 / 6),
        ):
            outcome.scores[f"{label}, {reading}"] = Score(
                values=found.astype(np.float64), chance=chance
            )
    return outcome


def _with_ending(name: str) -> str:
    """Winoground leaves out that its pictures are PNG."""
    return name if Path(name).suffix else f"{name}.png"

"""Negation: which of four captions a picture has, where some say what it does not show.

NegBench (CVPR 2025), its multiple choice: a CSV with `image_path`, `caption_0` to `caption_3`,
`correct_answer` (0 to 3) and `correct_answer_template` (positive, negative or hybrid), which are
told apart. Equal scores are in random order.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from experiments.tasks.task import Outcome, Place, Score, Task, fraction
from theory.errors import InputError

if TYPE_CHECKING:
    from smartclip.evaluate.embedder import Embedder

CHOICES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A picture and its captions.

    Attributes:
        picture: as the table names it.
        captions: four.
        answer: the place of the right one.
        kind: of the right one; empty where the table does not say.
    """

    picture: str
    captions: tuple[str, ...]
    answer: int
    kind: str


class Negation(Task):
    """Multiple choice of NegBench."""

    name: ClassVar[str] = "negation"
    told: ClassVar[str] = "NegBench's multiple choice, such as COCO_val_mcq_llama3.1_rephrased.csv"

    def measure(self, embedder: "Embedder", place: Place) -> Outcome:
        import numpy as np
        import torch

        from smartclip.data.pictures import Blob
        from smartclip.evaluate.embedder import Shown
        from smartclip.evaluate.retrieval import read
        from smartclip.evaluate.zero_shot import right_at

        questions = read_questions(place.path)
        root = place.pictures or place.path.parent
        names = list(dict.fromkeys(each.picture for each in questions))
        pictures = embedder.pictures(
            [Shown(name=name, image=Blob(path=_located(root, name))) for name in names]
        )
        rows = {names[at]: row for row, at in enumerate(pictures.kept.tolist())}
        used = [each for each in questions if each.picture in rows]
        if not used:
            raise InputError(
                f"no picture of {place.path} in {root}",
                rule="questions are asked of their pictures",
                fix="check --pictures",
            )
        cut_before = embedder.reader.cut
        captions = [caption for each in used for caption in each.captions]
        text, mask = embedder.captions(captions)
        answer = torch.tensor([each.answer for each in used])
        outcome = Outcome(
            protocol=embedder.protocol()
            | {
                "data": str(place.path),
                "questions": fraction(len(used), len(questions)),
                "prompt": "the caption alone",
                "captions cut": fraction(embedder.reader.cut - cut_before, len(captions)),
            },
            scores={},
        )
        for reading, opened in embedder.readings(mask).items():
            scores = []
            for number, each in enumerate(used):
                own = slice(CHOICES * number, CHOICES * (number + 1))
                row = rows[each.picture]
                scores.append(
                    read(
                        pictures.image[row : row + 1],
                        text[own],
                        None if opened is None else opened[own],
                        similarity=embedder.ready.similarity,
                        logit_scale=embedder.ready.logit_scale,
                    )
                )
            values = right_at(torch.cat(scores), answer, 1)
            kinds = sorted({each.kind for each in used})
            for kind in (None, *(kinds if len(kinds) > 1 else ())):
                chosen = np.array([kind in (None, each.kind) for each in used])
                label = "all questions" if kind is None else kind or "of no kind"
                outcome.scores[f"{label}, {reading}"] = Score(
                    values=values[chosen],
                    groups=[e.picture for e, take in zip(used, chosen, strict=True) if take],
                    chance=1 / CHOICES,
                )
        return outcome


def read_questions(path: Path) -> list[Question]:
    """All of a table.

    Raises:
        InputError: unreadable, or a row that lacks a part.
    """
    found: list[Question] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                answer = int(row["correct_answer"])
                captions = tuple(row[f"caption_{place}"] for place in range(CHOICES))
                if answer not in range(CHOICES) or not all(captions) or not row["image_path"]:
                    raise ValueError(f"the answer {answer}, or nothing where a text should be")
                kind = row.get("correct_answer_template") or ""
                found.append(
                    Question(picture=row["image_path"], captions=captions, answer=answer, kind=kind)
                )
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path}, row {len(found) + 1} ({type(error).__name__}: {error})",
            rule="NegBench's multiple choice has image_path, caption_0 to caption_3 and "
            "correct_answer from 0 to 3",
            fix="give COCO_val_mcq_llama3.1_rephrased.csv or the like",
        ) from error
    if not found:
        raise InputError(
            f"{path} without a row", rule="a table asks something", fix="fetch it again"
        )
    return found


def _located(root: Path, name: str) -> Path:
    """Where the table says, below the folder; else there by its last name alone.

    The published tables hold the paths of the machine that they were made on.
    """
    from smartclip.data.examples import is_inside

    whole = root / name
    return whole if is_inside(name) and whole.is_file() else root / Path(name).name

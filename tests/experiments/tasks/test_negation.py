"""Multiple choice in NegBench's layout, with scores by hand."""

import csv
from pathlib import Path

import pytest

from experiments.tasks.negation import Negation
from experiments.tasks.task import Place
from theory.errors import InputError

COLUMNS = ["correct_answer", *(f"caption_{n}" for n in range(4)), "correct_answer_template"]


def write(path: Path, *rows: tuple[object, ...]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "image_path"])
        writer.writerows(rows)
    return path


def test_four_captions_by_hand(tmp_path: Path, paint, embedder):
    paint(tmp_path / "pictures" / "1.png", "red")
    paint(tmp_path / "pictures" / "2.png", "blue")
    red = ("a red wall", "a blue wall", "a green wall", "a red and a blue wall")
    path = write(
        tmp_path / "mcq.csv",
        (0, *red, "positive", "data/coco/1.png"),
        (3, *red, "negative", "data/coco/1.png"),
        # Of no colour, all four alike.
        (2, "a wall", "no wall", "the wall", "one wall", "negative", "data/coco/2.png"),
        (1, *red, "positive", "data/coco/3.png"),  # no picture
    )
    place = Place(path=path, pictures=tmp_path / "pictures")
    found = Negation().measure(embedder(skip=True), place)
    assert {name: score.values.tolist() for name, score in found.scores.items()} == {
        "all questions, unmasked": [1, 0, 0.25],
        "negative, unmasked": [0, 0.25],
        "positive, unmasked": [1],
    }
    assert found.protocol["questions"] == "3 of 4"
    assert found.scores["all questions, unmasked"].groups == ["data/coco/1.png"] * 2 + [
        "data/coco/2.png"
    ]


@pytest.mark.parametrize("answer", [4, -1, "red", ""])
def test_an_answer_that_is_none_of_the_four(tmp_path: Path, embedder, answer: object):
    path = write(tmp_path / "mcq.csv", (answer, "a", "b", "c", "d", "positive", "1.png"))
    with pytest.raises(InputError, match="row 1"):
        Negation().measure(embedder(), Place(path=path))

"""Pairs of captions in the layouts of SugarCrepe, ARO and Winoground, with scores by hand."""

import json
from pathlib import Path

import pytest

from experiments.tasks.composition import Composition
from experiments.tasks.task import Place
from theory.errors import InputError


def test_sugarcrepe(tmp_path: Path, paint, embedder):
    paint(tmp_path / "pictures" / "1.png", "red")
    paint(tmp_path / "pictures" / "2.png", "blue")

    def pair(name: str, right: str, wrong: str) -> dict[str, str]:
        return {"filename": name, "caption": right, "negative_caption": wrong}

    tables = {
        "swap_obj": [
            pair("1.png", "red on blue", "blue on red"),  # 2 red, 1 blue against the reverse
            pair("2.png", "a red and a blue", "a blue and a red"),  # equal: half
        ],
        "replace_att": [
            pair("1.png", "a green wall", "a red wall"),  # wrong
            pair("2.png", "a blue wall", "a red wall"),
            pair("3.png", "a blue wall", "a red wall"),  # no picture
        ],
    }
    for name, pairs in tables.items():
        told = {str(number): each for number, each in enumerate(pairs)}
        (tmp_path / f"{name}.json").write_text(json.dumps(told))
    place = Place(path=tmp_path, pictures=tmp_path / "pictures")
    found = Composition().measure(embedder(skip=True), place)
    assert {name: score.values.mean() for name, score in found.scores.items()} == {
        "all pairs, unmasked": 2.5 / 4,
        "replace_att, unmasked": 1 / 2,
        "swap_obj, unmasked": 1.5 / 2,
        "the same words, unmasked": 1.5 / 2,
        "other words, unmasked": 1 / 2,
    }
    assert found.protocol["pairs"] == "4 of 5"
    assert list(found.scores["all pairs, unmasked"].groups) == ["1.png", "2.png", "1.png", "2.png"]


def test_aro_asks_of_a_part_of_the_picture(tmp_path: Path, paint, embedder):
    paint(tmp_path / "1.jpg", "red", "green", "blue")
    record = {"image_path": "1.jpg", "bbox_y": 0, "bbox_w": 12, "bbox_h": 12}
    told = [
        record | {"bbox_x": 0, "true_caption": "red on blue", "false_caption": "blue on red"},
        record | {"bbox_x": 24, "true_caption": "red on blue", "false_caption": "blue on red"},
    ]
    path = tmp_path / "visual_genome_relation.json"
    path.write_text(json.dumps(told))
    found = Composition().measure(embedder(), Place(path=path))
    assert found.scores["all pairs, unmasked"].values.tolist() == [1, 0]


def test_winoground(tmp_path: Path, paint, embedder):
    names = ("red", "blue", "green")
    for name in names:
        paint(tmp_path / "images" / f"{name}.png", name)
    rows = [
        ("red", "blue", "red on blue", "blue on red"),  # both ways right
        ("red", "green", "red on green", "red by green"),  # equal captions: no text
        ("green", "red", "red on green", "green on red"),  # the wrong way round
    ]
    lines = [
        json.dumps({"id": n, "image_0": a, "image_1": b, "caption_0": c, "caption_1": d})
        for n, (a, b, c, d) in enumerate(rows)
    ]
    path = tmp_path / "examples.jsonl"
    path.write_text("\n".join(lines) + "\n")
    found = Composition().measure(embedder(), Place(path=path))
    values = {name: score.values.tolist() for name, score in found.scores.items()}
    # Of the second, image 0 is red: both captions prefer it, so that caption 1 misses its picture.
    assert values == {
        "text, unmasked": [1, 0, 0],
        "image, unmasked": [1, 0, 0],
        "group, unmasked": [1, 0, 0],
    }


def test_other_files_are_refused(tmp_path: Path, embedder):
    path = tmp_path / "some.json"
    path.write_text(json.dumps([{"image": "1.jpg", "caption": "a bear"}]))
    with pytest.raises(InputError, match="without a right and a wrong caption"):
        Composition().measure(embedder(), Place(path=path))
    path.write_text(json.dumps([{"filename": "../1.jpg", "caption": "a", "negative_caption": "b"}]))
    with pytest.raises(InputError, match="inside their folder"):
        Composition().measure(embedder(), Place(path=path))

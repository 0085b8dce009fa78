"""Referring expressions with given boxes, with scores by hand."""

import json
from pathlib import Path

import pytest

from experiments.tasks.regions import Regions
from experiments.tasks.task import Place
from theory.errors import InputError

RED, GREEN, BLUE = ([12 * place, 0, 12, 12] for place in range(3))


def test_refcoco_as_lines(tmp_path: Path, paint, embedder):
    paint(tmp_path / "COCO_train2014_000000000007.png", "red", "green", "blue")
    anns = [{"id": n, "bbox": box} for n, box in enumerate((RED, GREEN, BLUE), start=40)]
    record = {"file_name": "COCO_train2014_000000000007_41.png", "anns": anns}
    lines = [
        # Right; wrong; and "wall" says nothing, so that each box is as likely.
        record | {"ann_id": 41, "sentences": [{"raw": "the green wall"}, {"raw": "the red wall"}]},
        record | {"ann_id": 42, "sentences": [{"raw": "the wall"}]},
    ]
    path = tmp_path / "refcoco_val.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    found = Regions().measure(embedder(), Place(path=path))
    score = found.scores["right box, unmasked"]
    assert score.values.tolist() == pytest.approx([1, 0, 1 / 3])
    assert score.chance == pytest.approx(1 / 3)
    assert found.protocol["crop"] == "squash, 8 pixels, bicubic"


def test_categories_of_coco(tmp_path: Path, paint, embedder):
    paint(tmp_path / "val2017" / "7.png", "red", "green", "blue")
    names = {1: "green", 2: "blue"}
    boxes = [(RED, 1, 0), (GREEN, 1, 0), (BLUE, 2, 0), (BLUE, 2, 1)]
    table = {
        "images": [{"id": 7, "file_name": "7.png"}],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
        "annotations": [
            {"id": n, "image_id": 7, "bbox": box, "category_id": category, "iscrowd": crowd}
            for n, (box, category, crowd) in enumerate(boxes)
        ],
    }
    path = tmp_path / "annotations" / "instances_val2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps(table))
    found = Regions().measure(embedder(), Place(path=path))
    # Green is there twice and is not asked for; the crowd is no box.
    assert found.scores["right box, unmasked"].values.tolist() == [1]
    assert found.protocol["referred boxes"] == "1 of 1"


def test_a_pickle_is_refused(tmp_path: Path, embedder):
    path = tmp_path / "refs(unc).p"
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is not run"):
        Regions().measure(embedder(), Place(path=path))

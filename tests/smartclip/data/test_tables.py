import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smartclip.data.examples import ImageText, is_inside
from smartclip.data.readers.coco import read_coco
from smartclip.data.readers.csv import read_csv
from smartclip.data.readers.jsonl import read_jsonl
from smartclip.data.readers.karpathy import read_karpathy
from smartclip.data.readers.sharegpt4v import read_sharegpt4v
from theory.errors import InputError


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def as_dict(data: ImageText) -> dict[str, tuple[str, ...]]:
    return {example.name: example.captions for example in data}


def problems(data: ImageText) -> list[tuple[str, str]]:
    return [(problem.name, problem.fault) for problem in data.problems]


def test_csv(tmp_path: Path) -> None:
    table = (
        'image,caption,who\na.jpg,"A bear, with a pen.",x\nb/c.png,Ein Bär.,y\na.jpg,A bear.,z\n'
    )
    data = read_csv(written(tmp_path / "table.csv", table))
    assert as_dict(data) == {"a.jpg": ("A bear, with a pen.", "A bear."), "b/c.png": ("Ein Bär.",)}
    assert [example.image.path for example in data] == [tmp_path / "a.jpg", tmp_path / "b/c.png"]
    elsewhere = read_csv(tmp_path / "table.csv", tmp_path / "pictures")
    assert elsewhere.examples[0].image.path == tmp_path / "pictures" / "a.jpg"


def test_tables_as_spreadsheets_write_them(tmp_path: Path) -> None:
    table = b'\xef\xbb\xbfimage,caption\r\na.jpg,"Two\r\nlines."\r\n'
    (tmp_path / "table.csv").write_bytes(table)
    assert as_dict(read_csv(tmp_path / "table.csv")) == {"a.jpg": ("Two\nlines.",)}


def test_csv_with_wrong_rows(tmp_path: Path) -> None:
    table = "image,caption\na.jpg,A bear.\nb.jpg,  \nc.jpg\n../d.jpg,out\n/etc/e.jpg,out\n"
    data = read_csv(written(tmp_path / "table.csv", table))
    assert as_dict(data) == {"a.jpg": ("A bear.",)}
    assert problems(data) == [
        ("table.csv line 3", "no caption"),
        ("table.csv line 4", "wrong record"),
        ("table.csv line 5", "outside"),
        ("table.csv line 6", "outside"),
    ]
    assert data.faults() == {"no caption": 1, "wrong record": 1, "outside": 2}


def test_jsonl(tmp_path: Path) -> None:
    lines = [
        '{"image": "a.jpg", "captions": ["One.", "Two."]}',
        '{"image": "b.jpg", "caption": "Three."}',
        "{broken",
        '{"image": "c.jpg"}',
        '["not", "an", "object"]',
        '{"image": 3, "caption": "Four."}',
        "",
        '{"image": "b.jpg", "caption": "Five."}',
    ]
    data = read_jsonl(written(tmp_path / "table.jsonl", "\n".join(lines)))
    assert as_dict(data) == {"a.jpg": ("One.", "Two."), "b.jpg": ("Three.", "Five.")}
    assert [fault for _, fault in problems(data)] == ["wrong record"] * 4


def test_coco(tmp_path: Path) -> None:
    table = {
        "info": {"year": 2017},
        "images": [
            {"id": 139, "file_name": "000000000139.jpg", "width": 640},
            {"id": 285, "file_name": "000000000285.jpg", "width": 586},
        ],
        "annotations": [
            {"id": 1, "image_id": 285, "caption": "A big bear."},
            {"id": 2, "image_id": 139, "caption": "A room."},
            {"id": 3, "image_id": 285, "caption": "A bear in grass.\n"},
            {"id": 4, "image_id": 7, "caption": "Of no image."},
        ],
    }
    data = read_coco(written(tmp_path / "captions_val2017.json", table), tmp_path / "val2017")
    assert as_dict(data) == {
        "000000000285.jpg": ("A big bear.", "A bear in grass."),
        "000000000139.jpg": ("A room.",),
    }
    assert data.examples[1].image.path == tmp_path / "val2017" / "000000000139.jpg"
    assert problems(data) == [("captions_val2017.json record 4", "wrong record")]


def test_karpathy(tmp_path: Path) -> None:
    table = {
        "dataset": "coco",
        "images": [
            {
                "filepath": "val2014",
                "filename": "COCO_val2014_1.jpg",
                "split": "test",
                "sentences": [{"raw": "A man.", "tokens": ["a", "man"]}, {"raw": "A person."}],
            },
            {"filename": "1000092795.jpg", "split": "train", "sentences": [{"raw": "Two boys."}]},
            {"filename": "x.jpg", "split": "train"},
        ],
    }
    path = written(tmp_path / "dataset.json", table)
    data = read_karpathy(path, tmp_path)
    assert as_dict(data) == {
        "val2014/COCO_val2014_1.jpg": ("A man.", "A person."),
        "1000092795.jpg": ("Two boys.",),
    }
    assert problems(data) == [("dataset.json record 3", "wrong record")]
    assert list(as_dict(read_karpathy(path, tmp_path, split="test"))) == [
        "val2014/COCO_val2014_1.jpg"
    ]
    with pytest.raises(InputError, match="'restval'"):
        read_karpathy(path, tmp_path, split="restval")


def test_sharegpt4v(tmp_path: Path) -> None:
    def record(image: str, *turns: tuple[str, str]) -> dict[str, object]:
        talk = [{"from": who, "value": value} for who, value in turns]
        return {"id": "1", "image": image, "conversations": talk}

    table = [
        record("coco/train2017/1.jpg", ("human", "Describe.\n<image>"), ("gpt", "A long text.")),
        record("sam/images/sa_2.jpg", ("human", "<image>"), ("gpt", "One."), ("gpt", "Two.")),
        record("llava/3.jpg", ("human", "unanswered")),
        {"id": "text only", "conversations": []},
    ]
    path = written(tmp_path / "share.json", table)
    data = read_sharegpt4v(path, tmp_path, roots={"sam/images": tmp_path / "sa1b"})
    assert as_dict(data) == {
        "coco/train2017/1.jpg": ("A long text.",),
        "sam/images/sa_2.jpg": ("One.",),
    }
    assert [example.image.path for example in data] == [
        tmp_path / "coco/train2017/1.jpg",
        tmp_path / "sa1b/sa_2.jpg",
    ]
    assert [fault for _, fault in problems(data)] == ["no caption", "wrong record"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "7", '"text"', '{"images": 3}'])
@pytest.mark.parametrize("read", [read_coco, read_karpathy])
def test_a_file_that_is_no_table_is_an_error(
    read: Callable[[Path, Path], ImageText], content: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        read(written(tmp_path / "table.json", content), tmp_path)


def test_other_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="list"):
        read_sharegpt4v(written(tmp_path / "a.json", "{}"), tmp_path)
    with pytest.raises(InputError, match="columns name, text"):
        read_csv(written(tmp_path / "a.csv", "name,text\n1,2\n"))
    with pytest.raises(InputError):
        read_csv(written(tmp_path / "b.csv", ""))
    with pytest.raises(InputError, match="empty"):
        read_jsonl(written(tmp_path / "a.jsonl", "\n\n"))
    with pytest.raises(InputError, match=r"gone\.csv"):
        read_csv(tmp_path / "gone.csv")


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "\\a", "C:\\a", "..\\a", "//x/y", ""])
def test_names_that_leave_their_folder(name: str) -> None:
    assert not is_inside(name)

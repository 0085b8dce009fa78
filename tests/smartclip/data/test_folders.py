import json
from pathlib import Path

import pytest
from PIL import Image

from smartclip.data.examples import ImageText
from smartclip.data.readers.docci import read_docci
from smartclip.data.readers.flickr30k import read_flickr30k
from smartclip.data.readers.folder import read_folder
from smartclip.data.readers.urban1k import read_urban1k
from theory.errors import InputError


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (9, 9, 9)).save(path)


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def captions(data: ImageText) -> dict[str, tuple[str, ...]]:
    return {example.name: example.captions for example in data}


def opened(data: ImageText) -> bool:
    return all(example.picture().size == (8, 8) for example in data)


BOYS = (
    "Two young guys with shaggy hair look at their hands .",
    "Two men stand outside , talking .",
)


def test_flickr30k_token(tmp_path: Path) -> None:
    lines = [f"1000092795.jpg#{number}\t{told}" for number, told in enumerate(BOYS)]
    lines += ["10002456.jpg#0\tSeveral men in hard hats .", "a line without a caption"]
    text(tmp_path / "results_20130124.token", "\n".join(lines) + "\n")
    for name in ("1000092795.jpg", "10002456.jpg"):
        picture(tmp_path / "flickr30k-images" / name)
    data = read_flickr30k(tmp_path)
    expected = {"1000092795.jpg": BOYS, "10002456.jpg": ("Several men in hard hats .",)}
    assert captions(data) == expected
    assert opened(data)
    assert data.faults() == {"wrong record": 1}


def test_flickr30k_results_csv(tmp_path: Path) -> None:
    lines = ["image_name| comment_number| comment"]
    lines += [f"1000092795.jpg| {number}| {told}" for number, told in enumerate(BOYS)]
    lines.append("2199200615.jpg| 4   A dog runs across the grass .")  # as it is given out
    path = text(tmp_path / "results.csv", "\n".join(lines) + "\n")
    picture(tmp_path / "flickr30k_images" / "1000092795.jpg")
    data = read_flickr30k(path)
    assert captions(data) == {"1000092795.jpg": BOYS}
    assert opened(data)
    assert data.faults() == {"wrong record": 1}


def test_flickr30k_annotations(tmp_path: Path) -> None:
    raw = json.dumps(list(BOYS)).replace('"', '""')
    table = f'raw,sentids,split,filename,img_id\n"{raw}","[0, 1]",train,1000092795.jpg,0\n'
    table += '"not json","[2]",test,2.jpg,1\n'
    text(tmp_path / "flickr_annotations_30k.csv", table)
    picture(tmp_path / "elsewhere" / "1000092795.jpg")
    data = read_flickr30k(tmp_path, tmp_path / "elsewhere")
    assert captions(data) == {"1000092795.jpg": BOYS}
    assert opened(data)
    assert data.faults() == {"wrong record": 1}


def test_files_that_are_not_flickr30k(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a table of Flickr30k"):
        read_flickr30k(tmp_path)
    with pytest.raises(InputError, match="none of Flickr30k's"):
        read_flickr30k(text(tmp_path / "table.csv", "image,caption\n"))
    with pytest.raises(InputError, match=r"gone\.csv"):
        read_flickr30k(tmp_path / "gone.csv")


def test_urban1k(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        picture(tmp_path / "image" / f"{number}.jpg")
        text(tmp_path / "caption" / f"{number}.txt", f"A street. It is number {number}.\n")
    text(tmp_path / "caption" / "11.txt", "Of no picture.")
    picture(tmp_path / "image" / "12.jpg")
    text(tmp_path / "caption" / "2.txt", " \n")
    (tmp_path / "caption" / "13.txt").write_bytes(b"\xff\xfe\xfa")
    data = read_urban1k(tmp_path)
    assert captions(data) == {
        "1.jpg": ("A street. It is number 1.",),
        "10.jpg": ("A street. It is number 10.",),
    }
    assert opened(data)
    faults = {problem.name: problem.fault for problem in data.problems}
    assert faults == {
        "2": "no caption",
        "11": "missing",
        "12": "no caption",
        "13": "wrong record",
    }
    with pytest.raises(InputError, match="no folder `caption`"):
        read_urban1k(tmp_path / "image")


def docci(tmp_path: Path) -> Path:
    records = [
        {
            "split": split,
            "type": "Full",
            "example_id": f"{split}_00000",
            "image_file": f"{split}_00000.jpg",
            "description": f"A tree of {split}. It is tall.",
        }
        for split in ("train", "test")
    ]
    lines = [*map(json.dumps, records), "{broken", json.dumps(records[0] | {"description": 5})]
    picture(tmp_path / "images" / "train_00000.jpg")
    picture(tmp_path / "images" / "test_00000.jpg")
    return text(tmp_path / "docci_descriptions.jsonlines", "\n".join(lines))


def test_docci(tmp_path: Path) -> None:
    docci(tmp_path)
    data = read_docci(tmp_path)
    assert captions(data) == {
        "train_00000.jpg": ("A tree of train. It is tall.",),
        "test_00000.jpg": ("A tree of test. It is tall.",),
    }
    assert opened(data)
    assert data.faults() == {"wrong record": 2}
    assert list(captions(read_docci(tmp_path, split="test"))) == ["test_00000.jpg"]
    with pytest.raises(InputError, match="lacks DOCCI"):
        read_docci(tmp_path / "images")


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    record = {"split": "train", "image_file": "a.jpg", "description": "A tree."}
    path = text(tmp_path / "docci_descriptions.jsonlines", json.dumps(record))
    with pytest.raises(InputError, match="in the split 'val'"):
        read_docci(path, split="val")


def test_image_folders_with_a_table(tmp_path: Path) -> None:
    for name in ("a.png", "b/c.png"):
        picture(tmp_path / name)
    text(tmp_path / "metadata.csv", "file_name,text\na.png,A bear.\nb/c.png,A pen.\n")
    text(tmp_path / "other.csv", "not,this\n")
    expected = {"a.png": ("A bear.",), "b/c.png": ("A pen.",)}
    assert captions(read_folder(tmp_path)) == expected
    (tmp_path / "metadata.csv").unlink()
    (tmp_path / "other.csv").unlink()
    text(tmp_path / "all.tsv", "filepath\ttitle\na.png\tA bear.\nb/c.png\tA pen.\n")
    assert captions(read_folder(tmp_path)) == expected
    assert opened(read_folder(tmp_path))
    text(tmp_path / "more.jsonl", '{"file_name": "a.png", "text": "A bear."}')
    with pytest.raises(InputError, match=r"all\.tsv, more\.jsonl"):
        read_folder(tmp_path)
    (tmp_path / "all.tsv").unlink()
    assert captions(read_folder(tmp_path)) == {"a.png": ("A bear.",)}


def test_image_folders_with_a_text_for_each_picture(tmp_path: Path) -> None:
    picture(tmp_path / "x" / "a.jpg")
    text(tmp_path / "x" / "a.txt", "A bear.")
    picture(tmp_path / "alone.jpg")
    data = read_folder(tmp_path)
    assert captions(data) == {"x/a.jpg": ("A bear.",)}
    assert opened(data)
    assert data.faults() == {"no caption": 1}


def test_folders_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither pictures nor texts"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        read_folder(tmp_path / "gone")

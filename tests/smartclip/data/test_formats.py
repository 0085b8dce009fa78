import gzip
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from simulators import DigitWorld
from simulators.export import export
from smartclip.data import formats, readers
from smartclip.data.formats import FORMATS, detect, read
from smartclip.data.prepared import prepare
from theory.errors import InputError


def picture(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)
    return path.read_bytes()


def text(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def laid_out(name: str, root: Path) -> Path:
    """One picture and caption in each format, in the layout in which it is given out."""
    content = picture(root / "a.jpg")
    talk = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "A bear."}]
    coco = {
        "info": {"description": "COCO 2017 Dataset"},
        "images": [{"license": 4, "file_name": "a.jpg", "id": 1}],
        "annotations": [{"image_id": 1, "id": 9, "caption": "A bear."}],
    }
    sentence = {"tokens": ["a", "bear"], "raw": "A bear.", "imgid": 0, "sentid": 0}
    karpathy = {
        "images": [
            {"sentids": [0], "imgid": 0, "sentences": [sentence], "split": "test"}
            | {"filename": "a.jpg"}
        ],
        "dataset": "flickr8k",
    }
    tables = {
        "csv": ("t.csv", "image,caption\na.jpg,A bear.\n"),
        "jsonl": ("t.jsonl", {"image": "a.jpg", "caption": "A bear."}),
        "coco": ("captions_val2017.json", coco),
        "karpathy": ("dataset_coco.json", karpathy),
        "flickr30k": ("results.token", "a.jpg#0\tA bear.\n"),
        "captions": ("val.json", {"annotations": [{"image": "a.jpg", "caption": "A bear."}]}),
        "flickr8k": ("captions.txt", "image,caption\na.jpg,A bear.\n"),
        "iiw": ("data.jsonl", {"image/key": "a", "IIW": "A bear.", "IIW-P5B": None}),
        "sugarcrepe": (
            "swap_obj.json",
            {"0": {"filename": "a.jpg", "caption": "A bear.", "negative_caption": "A pen."}},
        ),
        "sharegpt4v": ("share.json", [{"id": "1", "image": "a.jpg", "conversations": talk}]),
    }
    if name in tables:
        file, told = tables[name]
        return text(root / file, told)
    folder = root / name
    if name == "folder":
        picture(folder / "a.jpg")
        text(folder / "metadata.csv", "file_name,text\na.jpg,A bear.\n")
    elif name == "urban1k":
        picture(folder / "image" / "a.jpg")
        text(folder / "caption" / "a.txt", "A bear.")
    elif name == "docci":
        picture(folder / "images" / "a.jpg")
        record = {"split": "train", "image_file": "a.jpg", "description": "A bear."}
        text(folder / "docci_descriptions.jsonlines", record)
    elif name == "webdataset":
        folder.mkdir()
        text(root / "a.txt", "A bear.")
        with tarfile.open(folder / "000000.tar", "w") as tar:
            tar.add(root / "a.jpg", "a.jpg")
            tar.add(root / "a.txt", "a.txt")
    elif name == "multi30k":
        folder.mkdir()
        picture(folder / "a.jpg")
        text(folder / "train_images.txt", "a.jpg\n")
        (folder / "train.en.gz").write_bytes(gzip.compress(b"A bear.\n"))
    elif name == "img2dataset":
        picture(folder / "00000" / "000000000.jpg")
        text(folder / "00000" / "000000000.txt", "A bear.")
        text(folder / "00000" / "000000000.json", {"caption": "A bear.", "status": "success"})
        text(folder / "00000_stats.json", {"count": 1, "successes": 1})
        addresses = pa.table({"url": ["https://example.org/a.jpg"], "caption": ["A bear."]})
        parquet.write_table(addresses, folder / "00000.parquet")
    elif name == "parquet":
        folder.mkdir()
        table = pa.table({"image": [{"bytes": content, "path": "a.jpg"}], "caption": ["A bear."]})
        parquet.write_table(table, folder / "train-00000-of-00001.parquet")
    elif name == "prepared":
        prepare(read(laid_out("csv", root)), folder)
    else:
        assert name == "world"
        export(DigitWorld(), folder, samples=1, seed=0)
    return folder


ON_DISK = [each.name for each in FORMATS.values() if not each.made]


@pytest.mark.parametrize("name", ON_DISK)
def test_every_format_is_found_and_read(name: str, tmp_path: Path) -> None:
    path = laid_out(name, tmp_path)
    assert detect(path) == name
    for data in (read(path), read(path, name)):
        assert len(data) == 1
        assert not data.problems
        example = next(iter(data))
        assert example.picture().size == ((20, 20) if name == "world" else (8, 8))
        if name != "world":
            assert example.captions == ("A bear.",)


def test_digits_need_no_path() -> None:
    assert len(read(None, "digits")) == 1000
    with pytest.raises(InputError, match="drawn, not read"):
        read(Path("somewhere"), "digits")


def test_other_layouts_of_flickr30k_are_found(tmp_path: Path) -> None:
    path = text(tmp_path / "results.csv", "image_name| comment_number| comment\na.jpg| 0| A.\n")
    assert detect(path) == "flickr30k"
    path = text(tmp_path / "flickr_annotations_30k.csv", "raw,sentids,split,filename,img_id\n")
    assert detect(path) == "flickr30k"
    assert detect(tmp_path) == "flickr30k"


def test_options_go_to_the_formats_that_have_them(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    talk = [{"from": "gpt", "value": "A bear."}]
    table = [{"image": f"{root}/a.jpg", "conversations": talk} for root in ("coco", "sam")]
    path = text(tmp_path / "t" / "share.json", table)
    picture(elsewhere / "coco" / "a.jpg")
    picture(tmp_path / "sa1b" / "a.jpg")
    data = read(path, pictures=elsewhere, roots={"sam": tmp_path / "sa1b"})
    assert [example.picture().size for example in data] == [(8, 8)] * 2
    with pytest.raises(InputError, match="split for sharegpt4v"):
        read(path, split="train")
    with pytest.raises(InputError, match="pictures for webdataset"):
        read(path, "webdataset", pictures=elsewhere)
    path = laid_out("karpathy", tmp_path)
    assert len(read(path, split="test")) == 1
    with pytest.raises(InputError, match="'train'"):
        read(path, split="train")


def test_what_is_no_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the formats are captions, coco"):
        read(tmp_path, "zip")
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "gone")
    with pytest.raises(InputError, match="no path"):
        read(None)
    with pytest.raises(InputError, match="no path"):
        read(None, "csv")
    for name, content in (("a.json", "[]"), ("b.json", "{}"), ("c.xyz", "?"), ("d.json", "")):
        with pytest.raises(InputError, match="looks like none"):
            detect(text(tmp_path / name, content))


def test_the_documentation_lists_every_format_as_it_describes_itself() -> None:
    told = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    for each in FORMATS.values():
        assert f"| `{each.name}` | {each.told} |" in told
    assert told.count("\n| `") == len(FORMATS) + 1  # and the heading


def test_a_new_format_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "haiku.py").write_text(
        "from smartclip.data.examples import ImageText\n"
        "from smartclip.data.layout import Format\n"
        "FORMAT = Format(name='haiku', told='three lines',\n"
        "                read=lambda where: ImageText(source='haiku', examples=()),\n"
        "                looks=lambda glance: glance.ends('.haiku'))\n"
    )
    monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path)])
    monkeypatch.setattr(formats, "FORMATS", formats.known())
    path = text(tmp_path / "a.haiku", "An old silent pond")
    assert detect(path) == "haiku"
    assert read(path).source == "haiku"
    assert "haiku" in readers.names()


def test_each_format_is_named_as_its_file() -> None:
    for name, each in FORMATS.items():
        assert each.name == name
        assert set(each.takes) <= {"pictures", "roots", "split"}
        assert set(each.over) <= FORMATS.keys()


def test_splits_in_files_are_chosen(tmp_path: Path) -> None:
    rows = pa.table(
        {"image": [{"bytes": picture(tmp_path / "a.jpg"), "path": "a"}], "text": ["A."]}
    )
    for split in ("train", "test"):
        (tmp_path / "set").mkdir(exist_ok=True)
        parquet.write_table(rows, tmp_path / "set" / f"{split}-00000-of-00001.parquet")
    with pytest.raises(InputError, match="the splits test, train"):
        read(tmp_path / "set")
    assert len(read(tmp_path / "set", split="test")) == 1
    assert len(read(tmp_path / "set", split="all")) == 2
    with pytest.raises(InputError, match="no split 'val'"):
        read(tmp_path / "set", split="val")


def test_a_folder_of_tables_is_not_guessed_at(tmp_path: Path) -> None:
    talk = {"annotations": [{"image": "a.jpg", "caption": "A bear."}]}
    text(tmp_path / "a.json", talk)
    assert read(tmp_path).faults() == {}
    text(tmp_path / "b.jsonl", {"image": "a.jpg", "caption": "A bear."})
    with pytest.raises(InputError, match=r"b\.jsonl, a\.json"):
        read(tmp_path)


def test_linked_folders_are_read_and_loops_end(tmp_path: Path) -> None:
    for place in ("set", "elsewhere"):
        picture(tmp_path / place / f"{place}.jpg")
        text(tmp_path / place / f"{place}.txt", "A bear.")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "again").symlink_to(tmp_path / "set")
    names = [example.name for example in read(tmp_path / "set")]
    assert names == ["set.jpg", "linked/elsewhere.jpg"]

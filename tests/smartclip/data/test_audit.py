import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smartclip.data.audit import audit
from smartclip.data.examples import ImageText
from smartclip.data.pictures import MOST_PIXELS
from smartclip.data.readers.csv import read_csv
from smartclip.text import Tokenizer


@pytest.fixture
def data(tmp_path: Path) -> ImageText:
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "same.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("this is no picture")
    rows = [
        ("a.jpg", "A bear."),
        ("a.jpg", "A bear with a pen and a chair."),
        ("b.jpg", "A chair."),
        ("c.jpg", ""),
        ("same.jpg", "A bear."),
        ("cut.jpg", "A pen."),
        ("text.jpg", "A pen."),
        ("gone.jpg", "A pen."),
        ("../d.jpg", "A pen."),
    ]
    table = "image,caption\n" + "".join(f"{image},{caption}\n" for image, caption in rows)
    (tmp_path / "table.csv").write_text(table)
    return read_csv(tmp_path / "table.csv")


@pytest.mark.parametrize("workers", [1, 4])
def test_everything_is_counted_once(data: ImageText, workers: int) -> None:
    found = audit(data, workers=workers)
    assert found.records == 8
    assert [example.name for example in found.data] == ["a.jpg", "b.jpg", "same.jpg"]
    assert found.data.faults() == {"no caption": 1, "outside": 1, "corrupt": 2, "missing": 1}
    assert found.records == len(found.data) + len(found.data.problems)
    assert found.captions == 4
    assert found.words.tolist() == [2, 8, 2, 2]
    assert found.duplicates == (("a.jpg", "same.jpg"),)
    assert found.too_long is None
    sizes = [example.image.path.stat().st_size for example in found.data]
    assert found.image_bytes == sum(sizes)


def test_captions_that_would_be_cut_are_counted(data: ImageText) -> None:
    tokenizer = Tokenizer.fit(["A bear with a pen and a chair."], context=8)
    assert audit(data, tokenizer=tokenizer).too_long == 1


def test_an_audit_of_the_usable_part_finds_nothing_more(data: ImageText) -> None:
    once = audit(data)
    assert audit(once.data).data == once.data


def test_results_are_plain_data(data: ImageText) -> None:
    found = audit(data)
    assert json.loads(json.dumps(found.to_dict()))["faults"]["corrupt"] == 2
    table = found.table().set_index("what")
    assert table.loc["corrupt", "for example"] == "cut.jpg, text.jpg"
    assert table.loc["pictures usable", "number"] == 3
    assert table.loc["pictures found", "number"] == 8
    assert (found.captions_found, found.captions) == (8, 4)
    assert "cut.jpg" in found._repr_html_()


def test_empty_data_can_be_audited() -> None:
    found = audit(ImageText(source="nothing", examples=()))
    assert (found.records, found.captions, found.to_dict()["words_median_95_most"]) == (0, 0, [])
    assert len(found.table()) == 6
    assert MOST_PIXELS > 0


def test_sources_sizes_and_repeats_are_told(tmp_path: Path) -> None:
    rows = ["image,caption"]
    for number, name in enumerate(("coco/a.png", "coco/b.png", "sam/c.png", "sam/gone.png")):
        if "gone" not in name:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (10 + number, 20), (number, 0, 0)).save(path)
        rows.append(f"{name},The same.")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    found = audit(read_csv(tmp_path / "table.csv"))
    assert {name: (part.usable, dict(part.faults)) for name, part in found.parts.items()} == {
        "coco": (2, {}),
        "sam": (1, {"missing": 1}),
    }
    assert sum(part.image_bytes for part in found.parts.values()) == found.image_bytes
    assert found.repeated == 2
    assert found.shorter_sides.tolist() == [10, 11, 12]
    assert found.by_source().set_index("source").loc["sam", "why"] == "1 missing"


def test_a_quick_audit_sees_what_the_first_bytes_tell(data: ImageText) -> None:
    found = audit(data, quick=True)
    assert found.data.faults() == {"no caption": 1, "outside": 1, "corrupt": 2, "missing": 1}
    assert found.duplicates == ()


def test_much_before_the_picture_does_not_mislead_a_quick_audit(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    picture = Image.new("RGB", (30, 20))
    picture.save(tmp_path / "a.jpg", exif=exif, comment=b"y" * 60_000)
    (tmp_path / "table.csv").write_text("image,caption\na.jpg,A bear.\n")
    found = audit(read_csv(tmp_path / "table.csv"), quick=True)
    assert found.shorter_sides.tolist() == [20]

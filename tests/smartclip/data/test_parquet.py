import io
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from smartclip.data.parquet import read_parquet
from smartclip.data.pictures import PictureError
from theory.errors import InputError


def png(colour: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def hub_file(path: Path, colours: range) -> Path:
    """As Hugging Face `datasets` writes images: {bytes, path}, several captions a row."""
    rows = [
        {
            "image": {"bytes": png(colour), "path": f"{colour}.png"},
            "caption": [f"Colour {colour}.", f"It is {colour}."],
            "image_id": f"id{colour}",
        }
        for colour in colours
    ]
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    return path


def test_pictures_in_rows(tmp_path: Path) -> None:
    hub_file(tmp_path / "train-00000.parquet", range(7))
    hub_file(tmp_path / "train-00001.parquet", range(7, 10))
    data = read_parquet(tmp_path)
    assert len(data) == 10
    assert data.examples[8].name == "train-00001.parquet: 1 (id8)"
    assert data.examples[8].captions == ("Colour 8.", "It is 8.")
    for row in (9, 0, 4, 8, 6):  # any order, over groups of rows and files
        assert data.examples[row].picture().getpixel((0, 0)) == (row, 0, 0)


def test_plain_bytes_and_one_caption_a_row(tmp_path: Path) -> None:
    table = pa.table({"jpg": [png(1), None, png(3)], "txt": ["One.", "Two.", " "]})
    parquet.write_table(table, tmp_path / "a.parquet")
    data = read_parquet(tmp_path / "a.parquet")
    assert [example.captions for example in data] == [("One.",), ("Two.",)]
    assert data.faults() == {"no caption": 1}
    assert data.examples[0].picture().getpixel((0, 0)) == (1, 0, 0)
    with pytest.raises(PictureError) as caught:
        data.examples[1].picture()
    assert caught.value.fault == "missing"


def test_rows_that_name_files(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png(5))
    table = pa.table({"filename": ["a.png", "../b.png", None], "text": ["One.", "Two.", "Three."]})
    parquet.write_table(table, tmp_path / "a.parquet")
    data = read_parquet(tmp_path / "a.parquet", tmp_path / "pictures")
    assert data.examples[0].picture().getpixel((0, 0)) == (5, 0, 0)
    assert [problem.fault for problem in data.problems] == ["outside", "wrong record"]


def test_a_file_cut_short_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    whole = hub_file(tmp_path / "a.parquet", range(3)).read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    data = read_parquet(tmp_path)
    assert len(data) == 3
    assert [(problem.name, problem.fault) for problem in data.problems] == [
        ("b.parquet", "corrupt")
    ]
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(InputError, match=r"b\.parquet could not be read"):
        read_parquet(tmp_path)


def test_a_picture_damaged_on_disk_is_corrupt(tmp_path: Path) -> None:
    path = hub_file(tmp_path / "a.parquet", range(3))
    data = read_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:300] = bytes(296)
    path.write_bytes(bytes(content))
    with pytest.raises(PictureError) as caught:
        data.examples[0].picture()
    assert caught.value.fault == "corrupt"


@pytest.mark.parametrize(
    "columns",
    [
        {"image": [[1.0, 2.0]], "captions": [[0.5]]},
        {"text": ["A bear."]},
        {"image": [b""]},
        {"image": [b""], "caption": [3]},
    ],
)
def test_tables_without_pictures_or_words(columns: dict, tmp_path: Path) -> None:
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has the columns"):
        read_parquet(tmp_path)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    hub_file(path, range(2))
    gone = read_parquet(path).examples[1]
    assert gone.picture().getpixel((0, 0)) == (1, 0, 0)
    hub_file(path, range(5, 9))
    levels = [one.picture().getpixel((0, 0)) for one in read_parquet(path).examples]
    assert levels == [(colour, 0, 0) for colour in range(5, 9)]
    hub_file(path, range(3, 4))
    with pytest.raises(PictureError) as caught:
        gone.picture()
    assert caught.value.fault == "corrupt"

"""A damaged header costs its own member, and no picture behind it."""

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from smartclip.data.shards import read_shards


def written(path: Path, count: int = 5, *, start: int = 0) -> list[int]:
    """Where each header is."""
    places = []
    with tarfile.open(path, "w") as tar:
        for number in range(start, start + count):
            stream = io.BytesIO()
            Image.new("RGB", (8, 8), (number, 0, 0)).save(stream, "PNG")
            for kind, content in (
                ("png", stream.getvalue()),
                ("txt", f"Number {number}.".encode()),
            ):
                member = tarfile.TarInfo(f"{number}.{kind}")
                member.size = len(content)
                places.append(tar.offset)
                tar.addfile(member, io.BytesIO(content))
    return places


@pytest.mark.parametrize("which", range(10))
def test_pictures_behind_a_damaged_header_are_read(which: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    places = written(path)
    content = bytearray(path.read_bytes())
    content[places[which] + 20] ^= 1
    path.write_bytes(content)
    data = read_shards(path)
    assert [example.captions[0] for example in data] == [
        f"Number {number}." for number in range(5) if number != which // 2
    ]
    assert data.faults()["corrupt"] == 1
    assert data.pictures_found == 5


def test_shards_put_together_with_cat_are_whole(tmp_path: Path) -> None:
    for name, start in (("a", 0), ("b", 5)):
        written(tmp_path / name, start=start)
    whole = (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes()
    (tmp_path / "c.tar").write_bytes(whole)
    data = read_shards(tmp_path / "c.tar")
    assert len(data) == 10
    assert not data.problems


def test_a_header_that_promises_what_is_not_there_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    written(path)
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as tar:
        at = tar.offset
        tar.addfile(tarfile.TarInfo("x" * 300 + ".txt"))
    content = bytearray(path.read_bytes())
    content[content.index(b"ustar", at + 512) - 257 + 20] ^= 1  # the name is told, the file is not
    path.write_bytes(content)
    data = read_shards(path)
    assert len(data) == 5
    assert data.faults()["corrupt"] == 1


def test_a_name_of_megabytes_is_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    written(path)
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("y" * 5_000_000 + ".png"))
    data = read_shards(path)
    assert len(data) == 5
    assert [len(problem.name) < 200 for problem in data.problems] == [True]


@pytest.mark.parametrize("name", ["1ü", "q" * 150])
@pytest.mark.parametrize("kind", ["png", "txt"])
def test_a_name_is_read_from_what_a_damaged_header_announced(
    name: str, kind: str, tmp_path: Path
) -> None:
    """Under the name that is left in its own header, `1?`, it would be one picture more."""
    path = tmp_path / "a.tar"
    written(path, 1)
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    places = {}
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as tar:
        for ending, content in (("png", stream.getvalue()), ("txt", b"With an accent.")):
            member = tarfile.TarInfo(f"{name}.{ending}")
            member.size = len(content)
            places[ending] = tar.offset
            tar.addfile(member, io.BytesIO(content))
    content = bytearray(path.read_bytes())
    content[places[kind] + 30] ^= 0x55
    path.write_bytes(content)
    data = read_shards(path)
    assert [example.captions for example in data] == [("Number 0.",), ("With an accent.",)]
    assert data.pictures_found == 2
    assert data.faults() == {"corrupt": 1}

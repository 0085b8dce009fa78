import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from smartclip.data.shards import read_shards
from theory.errors import InputError


def jpeg(colour: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(stream, "JPEG", quality=100)
    return stream.getvalue()


def shard(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def whole(path: Path) -> Path:
    record = json.dumps({"captions": ["Two.", "Three.", "Two."], "width": 8}).encode()
    return shard(
        path,
        [
            ("00/0001.jpg", jpeg(10)),
            ("00/0001.txt", b"One.\n"),
            ("00/0002.json", record),
            ("00/0002.seg.png", b"another kind"),
            ("00/0002.jpg", jpeg(200)),
        ],
    )


def test_examples_of_a_folder_of_shards(tmp_path: Path) -> None:
    whole(tmp_path / "b.tar")
    shard(tmp_path / "a.tar", [("x.PNG", jpeg(90)), ("x.json", b'{"caption": "Four."}')])
    data = read_shards(tmp_path)
    assert [(example.name, example.captions) for example in data] == [
        ("a.tar: x", ("Four.",)),
        ("b.tar: 00/0001", ("One.",)),
        ("b.tar: 00/0002", ("Two.", "Three.")),
    ]
    assert not data.problems
    reds = [example.picture().getpixel((4, 4))[0] for example in data]
    assert reds == pytest.approx([90, 10, 200], abs=4)


def test_nothing_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = shard(
        tmp_path / "in" / "a.tar",
        [("../evil.jpg", jpeg(1)), ("/evil.txt", b"x"), ("ok.jpg", jpeg(2)), ("ok.txt", b"Fine.")],
    )
    before = sorted(tmp_path.rglob("*"))
    data = read_shards(source)
    assert [example.name for example in data] == ["a.tar: ok"]
    assert [(problem.name, problem.fault) for problem in data.problems] == [
        ("a.tar: ../evil.jpg", "outside"),
        ("a.tar: /evil.txt", "outside"),
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_members_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in (
            ("1.jpg", jpeg(1)),
            ("2.txt", b"no picture"),
            ("3.jpg", jpeg(3)),
            ("3.json", b"{broken"),
            ("4.jpg", jpeg(4)),
            ("4.json", b'{"captions": 7}'),
            ("5.jpg", jpeg(5)),
            ("5.txt", b" \n"),
            ("6.jpg", jpeg(6)),
            ("6.txt", b"\xff\xfe"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("7.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    data = read_shards(path)
    assert len(data) == 0
    assert {problem.name: problem.fault for problem in data.problems} == {
        "a.tar: 1": "no caption",
        "a.tar: 2": "missing",
        "a.tar: 3": "wrong record",
        "a.tar: 4": "wrong record",
        "a.tar: 5": "no caption",
        "a.tar: 6": "wrong record",
        "a.tar: 7.jpg": "wrong record",
    }


@pytest.mark.parametrize("kept", range(300, 6000, 437))
def test_a_shard_cut_anywhere_keeps_what_is_whole(kept: int, tmp_path: Path) -> None:
    path = whole(tmp_path / "a.tar")
    content = path.read_bytes()
    with tarfile.open(path) as tar:
        ends = {member.name: member.offset_data + member.size for member in tar}
        last = max(ends.values())
    path.write_bytes(content[: min(kept, last - 1)])
    if kept < 512:
        with pytest.raises(InputError, match="could not be read"):
            read_shards(path)
        return
    data = read_shards(path)
    assert "cut" in data.faults()
    for example in data:
        assert example.picture().size == (8, 8)
    first = max(ends["00/0001.jpg"], ends["00/0001.txt"])
    assert ("a.tar: 00/0001" in [example.name for example in data]) == (kept >= first)


def test_a_shard_without_its_end_is_told(tmp_path: Path) -> None:
    path = whole(tmp_path / "a.tar")
    with tarfile.open(path) as tar:
        last = max(member.offset_data + member.size for member in tar)
    path.write_bytes(path.read_bytes()[: -(-last // 512) * 512])
    data = read_shards(path)
    assert len(data) == 2
    assert data.faults() == {"cut": 1}


def test_files_that_are_no_shards(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.tar"):
        read_shards(tmp_path)
    (tmp_path / "a.tar").write_bytes(b"not a tar archive" * 100)
    with pytest.raises(InputError, match="uncompressed tar"):
        read_shards(tmp_path)
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    with pytest.raises(InputError, match="uncompressed tar"):
        read_shards(tmp_path)
    with pytest.raises(InputError, match=r"gone\.tar"):
        read_shards(tmp_path / "gone.tar")


def test_a_broken_shard_among_several_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    whole(tmp_path / "a.tar")
    (tmp_path / "b.tar").write_bytes(b"not a tar archive" * 100)
    whole(tmp_path / "c.tar")
    data = read_shards(tmp_path)
    assert len(data) == 4
    assert [(problem.name, problem.fault) for problem in data.problems] == [("b.tar", "corrupt")]


def test_captions_of_a_text_beside_other_metadata(tmp_path: Path) -> None:
    files = [("1.jpg", jpeg(1)), ("1.json", b'{"width": 8}'), ("1.txt", b"One.")]
    data = read_shards(shard(tmp_path / "a.tar", files))
    assert [example.captions for example in data] == [("One.",)]


def test_a_null_caption_beside_a_text_costs_nothing(tmp_path: Path) -> None:
    files = [("1.jpg", jpeg(1)), ("1.json", b'{"caption": null}'), ("1.txt", b"One.")]
    data = read_shards(shard(tmp_path / "a.tar", files))
    assert [example.captions for example in data] == [("One.",)]
    assert not data.problems


def test_keys_with_dots_and_members_that_lie_apart(tmp_path: Path) -> None:
    files = [("a.v2.jpg", jpeg(1)), ("b.jpg", jpeg(2)), ("a.v2.txt", b"A."), ("b.txt", b"B.")]
    data = read_shards(shard(tmp_path / "a.tar", files))
    assert [(each.name, each.captions) for each in data] == [
        ("a.tar: a.v2", ("A.",)),
        ("a.tar: b", ("B.",)),
    ]


def test_the_same_name_twice_is_two_examples(tmp_path: Path) -> None:
    twice = [("1.jpg", jpeg(1)), ("1.txt", b"One."), ("1.jpg", jpeg(90)), ("1.txt", b"Two.")]
    data = read_shards(shard(tmp_path / "a.tar", twice))
    assert [(each.name, each.captions) for each in data] == [
        ("a.tar: 1", ("One.",)),
        ("a.tar: 1 #2", ("Two.",)),
    ]
    assert data.examples[1].picture().getpixel((4, 4))[0] == pytest.approx(90, abs=4)


def test_compressed_shards_beside_others_are_told(tmp_path: Path) -> None:
    whole(tmp_path / "a.tar")
    (tmp_path / "b.tar.gz").write_bytes(b"")
    assert [(p.name, p.fault) for p in read_shards(tmp_path).problems] == [("b.tar.gz", "not read")]

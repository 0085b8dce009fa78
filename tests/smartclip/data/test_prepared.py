import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smartclip.data.audit import audit
from smartclip.data.examples import ImageText
from smartclip.data.pictures import PictureError
from smartclip.data.prepared import INDEX, LEFT_OUT, prepare, read_index, read_prepared, verify
from smartclip.data.readers.jsonl import read_jsonl
from smartclip.data.shards import read_shards
from theory.errors import InputError

COUNT = 10


def written(folder: Path, count: int = COUNT, side: int = 16) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = []
    for row in range(count):
        kind = ("jpg", "png", "webp")[row % 3]
        levels = rng.integers(0, 256, (side, side + row, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"p{row}.{kind}")
        record = {"image": f"p{row}.{kind}", "captions": [f"Number {row}.", f"Nummer {row} ü."]}
        lines.append(json.dumps(record))
    (folder / "table.jsonl").write_text("\n".join(lines))
    return folder / "table.jsonl"


@pytest.fixture
def data(tmp_path: Path) -> ImageText:
    return read_jsonl(written(tmp_path / "raw"))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_written_is_read_back(data: ImageText, tmp_path: Path) -> None:
    done = prepare(data, tmp_path / "out", per_shard=4)
    assert (done.shards, done.examples, done.reused, dict(done.left_out)) == (3, COUNT, 0, {})
    found = read_prepared(tmp_path / "out")
    assert not found.problems
    for one, other in zip(data, found, strict=True):
        assert (one.name, one.captions) == (other.name, other.captions)
        assert one.image.read() == other.image.read()
    assert done.image_bytes == sum(len(example.image.read()) for example in data)
    assert not verify(tmp_path / "out")


def test_the_shards_are_webdataset(data: ImageText, tmp_path: Path) -> None:
    prepare(data, tmp_path / "out", per_shard=4)
    with tarfile.open(tmp_path / "out" / "000001.tar") as tar:
        names = tar.getnames()
    assert names[:3] == ["000000004.png", "000000004.txt", "000000004.json"]
    plain = read_shards(tmp_path / "out")
    assert not plain.problems
    assert [example.captions for example in plain] == [example.captions for example in data]
    assert [example.image.read() for example in plain] == [e.image.read() for e in data]


def test_equal_data_give_equal_bytes(data: ImageText, tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 3)):
        prepare(data, tmp_path / name, per_shard=4, workers=workers)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_what_is_there_is_not_written_again(data: ImageText, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(data, out, per_shard=4)
    whole = bytes_of(out)
    # As after a kill: no index, the last rows without their tar, half-written temporary files.
    (out / INDEX).unlink()
    (out / "000002.tar").unlink()
    (out / ".000002.tar.abcdefgh").write_bytes(b"half")
    (out / ".index.json.abcdefg_").write_bytes(b"half")
    stamp = (out / "000000.tar").stat().st_mtime_ns
    done = prepare(data, out, per_shard=4)
    assert done.reused == 2
    assert done.examples == COUNT
    assert (out / "000000.tar").stat().st_mtime_ns == stamp
    assert bytes_of(out) == whole
    (out / "000001.tar").write_bytes(whole["000001.tar"][:-512])
    assert prepare(data, out, per_shard=4).reused == 2
    assert bytes_of(out) == whole


@pytest.mark.slow
def test_a_kill_at_any_time_leaves_what_a_second_call_finishes(tmp_path: Path) -> None:
    table = written(tmp_path / "raw", count=120, side=200)
    data = read_jsonl(table)
    prepare(data, tmp_path / "whole", per_shard=10)
    call = (
        "import sys; from pathlib import Path\n"
        "from smartclip.data.prepared import prepare\n"
        "from smartclip.data.readers.jsonl import read_jsonl\n"
        "data = read_jsonl(Path(sys.argv[1])); print('ready', flush=True)\n"
        "prepare(data, Path(sys.argv[2]), per_shard=10)\n"
    )
    rng = np.random.default_rng(0)
    killed = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", call, str(table), str(tmp_path / "out")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()
            time.sleep(float(rng.random()) * 0.3)
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        for shard in (tmp_path / "out").glob("*.parquet"):
            assert shard.read_bytes() == (tmp_path / "whole" / shard.name).read_bytes()
    assert killed
    prepare(data, tmp_path / "out", per_shard=10)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_a_folder_of_other_data_is_left_alone(data: ImageText, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(data, out, per_shard=4)
    whole = bytes_of(out)
    with pytest.raises(InputError, match="per_shard differ"):
        prepare(data, out, per_shard=5)
    with pytest.raises(InputError, match="data differ"):
        prepare(replace(data, examples=data.examples[:5]), out, per_shard=4)
    (out / "plan.json").unlink()
    with pytest.raises(InputError, match="not written here"):
        prepare(data, out, per_shard=4)
    del whole["plan.json"]
    assert bytes_of(out) == whole


def test_nothing_is_left_out_unasked(data: ImageText, tmp_path: Path) -> None:
    (tmp_path / "raw" / "p5.webp").unlink()
    (tmp_path / "raw" / "p6.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"p5\.webp.*missing.*--skip"):
        prepare(data, tmp_path / "out", per_shard=4)
    done = prepare(data, tmp_path / "skipped", per_shard=4, skip=True)
    assert dict(done.left_out) == {"missing": 1, "corrupt": 1}
    assert done.examples == COUNT - 2
    lines = (tmp_path / "skipped" / LEFT_OUT).read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["p5.webp", "p6.jpg"]
    assert read_index(tmp_path / "skipped")["left_out"] == {"missing": 1, "corrupt": 1}
    # What was left out is known after an interruption too.
    (tmp_path / "skipped" / INDEX).unlink()
    again = prepare(data, tmp_path / "skipped", per_shard=4, skip=True)
    assert again.left_out == done.left_out


def test_wrong_records_are_left_out_only_when_asked(tmp_path: Path) -> None:
    table = written(tmp_path / "raw")
    table.write_text(table.read_text() + "\n{broken")
    data = read_jsonl(table)
    with pytest.raises(InputError, match=r"table\.jsonl line 11"):
        prepare(data, tmp_path / "out")
    assert dict(prepare(data, tmp_path / "out", skip=True).left_out) == {"wrong record": 1}


def test_a_changed_byte_is_named_when_it_is_read(data: ImageText, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(data, out, per_shard=4)
    found = read_prepared(out)
    image = found.examples[5].image
    tar = bytearray((out / "000001.tar").read_bytes())
    tar[image.offset + 30] ^= 1
    (out / "000001.tar").write_bytes(tar)
    with pytest.raises(PictureError, match=r"000001\.tar, bytes \d+ to \d+, differ") as caught:
        found.examples[5].picture()
    assert caught.value.fault == "changed"
    audited = audit(read_prepared(out))
    assert [(problem.name, problem.fault) for problem in audited.data.problems] == [
        ("p5.webp", "changed")
    ]
    assert [(each.name, each.fault) for each in verify(out)] == [("000001.tar", "changed")]


def test_a_changed_byte_outside_of_pictures_is_seen_by_verify(
    data: ImageText, tmp_path: Path
) -> None:
    prepare(data, tmp_path / "out", per_shard=4)
    path = tmp_path / "out" / "000002.tar"
    path.write_bytes(path.read_bytes().replace(b"Number 8.", b"Number 9."))
    assert not audit(read_prepared(tmp_path / "out")).data.problems
    assert [each.name for each in verify(tmp_path / "out")] == ["000002.tar"]


def test_shards_that_are_gone_cut_or_changed_are_named_and_the_rest_is_read(
    data: ImageText, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare(data, out, per_shard=2)
    (out / "000000.tar").unlink()
    (out / "000001.tar").write_bytes((out / "000001.tar").read_bytes()[:700])
    rows = bytearray((out / "000002.parquet").read_bytes())
    rows[50] ^= 1
    (out / "000002.parquet").write_bytes(rows)
    found = read_prepared(out)
    assert [example.name for example in found] == ["p6.jpg", "p7.png", "p8.webp", "p9.jpg"]
    assert [(problem.name, problem.fault) for problem in found.problems] == [
        ("000000.tar", "missing"),
        ("000001.tar", "cut"),
        ("000002.parquet", "changed"),
    ]
    for tar in out.glob("*.tar"):
        tar.unlink()
    with pytest.raises(InputError, match="no whole shard"):
        read_prepared(out)


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    data = read_jsonl(written(tmp_path / "raw", side=40))
    prepare(data, tmp_path / "out", shorter_side=40)
    prepare(data, tmp_path / "small", shorter_side=20)
    for before, same, after in zip(
        data, read_prepared(tmp_path / "out"), read_prepared(tmp_path / "small"), strict=True
    ):
        assert same.image.read() == before.image.read()
        width, height = before.picture().size
        assert after.picture().size == (round(width / 2), height // 2)
        with Image.open(io.BytesIO(after.image.read())) as picture:
            assert picture.format == "JPEG"


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"format": "other"}', '{"format": "smartclip shards 1", "shards": [{}]}'],
)
def test_what_is_no_index_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(content)
    with pytest.raises(InputError, match="has an index of the format"):
        read_prepared(tmp_path)


def test_an_index_names_nothing_outside_its_folder(data: ImageText, tmp_path: Path) -> None:
    prepare(data, tmp_path / "out")
    index = tmp_path / "out" / INDEX
    index.write_text(index.read_text().replace("000000.tar", "../000000.tar"))
    with pytest.raises(InputError, match="outside the folder"):
        read_prepared(tmp_path / "out")


@pytest.mark.parametrize("wrong", [{"per_shard": 0}, {"shorter_side": 8}])
def test_wrong_numbers_are_refused(data: ImageText, tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 16 pixels"):
        prepare(data, tmp_path / "out", **wrong)


def test_other_pictures_of_the_same_names_are_written_again(
    data: ImageText, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare(data, out, per_shard=4)
    whole = bytes_of(out)
    Image.new("RGB", (20, 20), (1, 2, 3)).save(tmp_path / "raw" / "p5.webp")
    assert prepare(data, out, per_shard=4).reused == 2
    assert read_prepared(out).examples[5].image.read() == data.examples[5].image.read()
    changed = {name for name, content in bytes_of(out).items() if content != whole[name]}
    assert changed == {"000001.tar", "000001.parquet", INDEX}


def test_a_changed_shard_is_written_again(data: ImageText, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(data, out, per_shard=4)
    whole = bytes_of(out)
    tar = bytearray(whole["000001.tar"])
    tar[900] ^= 1
    (out / "000001.tar").write_bytes(tar)
    assert prepare(data, out, per_shard=4).reused == 2
    assert bytes_of(out) == whole


@pytest.mark.parametrize(
    "name", ["index.json", "left_out.jsonl", "plan.json", "000000.parquet", "000007.tar"]
)
def test_files_of_others_are_never_replaced(data: ImageText, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("{}")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=rf"{name} was not written here"):
        prepare(data, out, per_shard=4)
    assert bytes_of(out) == {name: b"{}", "notes.txt": b"mine"}


@pytest.mark.parametrize("name", ["000001.parquet", "000001.tar", "index.json"])
def test_nor_are_they_in_a_folder_of_ours(data: ImageText, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    prepare(data, out, per_shard=4)
    for shard in ("000001.tar", "000001.parquet"):
        (out / shard).unlink()
    (out / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name} was not written here"):
        prepare(data, out, per_shard=4)
    assert (out / name).read_text() == "mine"


def test_shards_do_not_go_into_the_data(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    data = read_jsonl(written(folder))
    before = bytes_of(folder)
    with pytest.raises(InputError, match="is the folder of the data"):
        prepare(data, folder)
    for out in (folder, folder / "shards", folder / "deep" / ".." / "shards"):
        with pytest.raises(InputError, match="is the folder of the data"):
            prepare(replace(data, source=str(folder)), out)
    assert bytes_of(folder) == before


def test_an_index_with_wrong_counts_is_refused(data: ImageText, tmp_path: Path) -> None:
    prepare(data, tmp_path / "out")
    path = tmp_path / "out" / INDEX
    index = json.loads(path.read_text())
    for wrong in (-1, 2**70, True, "3", None):
        index["shards"][0]["examples"] = wrong
        path.write_text(json.dumps(index))
        with pytest.raises(InputError, match="no count"):
            read_prepared(tmp_path / "out")

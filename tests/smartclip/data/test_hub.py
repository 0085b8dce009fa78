import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from smartclip.data.examples import Example, Problem
from smartclip.data.hub import HubStream, open_hub
from smartclip.data.prepared import INDEX, prepare, read_prepared
from theory.errors import InputError


def png(colour: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def records(count: int) -> list[dict]:
    return [
        {
            "image": {"bytes": png(number), "path": f"{number}.png"},
            "caption": [f"Number {number}.", f"Nummer {number}."],
            "image_id": f"id{number}",
        }
        for number in range(count)
    ]


class Rows(list):
    """Rows that count how often they are read from somewhere."""

    skipped: list[int]

    def skip(self, count: int) -> list:
        self.skipped = [*getattr(self, "skipped", []), count]
        return self[count:]


def stream(rows: list[dict]) -> HubStream:
    return HubStream(
        source="test", rows=Rows(rows), image="image", caption="caption", key="image_id"
    )


def test_rows_become_examples_in_order() -> None:
    rows = records(5)
    rows[1]["caption"] = [" ", None]
    rows[2]["image"] = None
    rows[3] |= {"caption": "One.", "image": png(3)}
    data = stream(rows)
    found = [*data.part(0, 2), *data.part(2, 4), *data.part(4, 6)]
    assert data.rows.skipped == [0]
    assert not data.part(6, 8)
    assert data.part(0, 1) == found[:1]
    examples = [each for each in found if isinstance(each, Example)]
    assert [each.name for each in examples] == ["id0", "id3", "id4"]
    assert examples[0].captions == ("Number 0.", "Nummer 0.")
    assert examples[1].captions == ("One.",)
    assert [each.picture().getpixel((0, 0))[0] for each in examples] == [0, 3, 4]
    faults = {each.name: each.fault for each in found if isinstance(each, Problem)}
    assert faults == {"id1": "no caption", "id2": "missing"}


def test_a_stream_becomes_shards_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = records(7)
    rows[5]["image"] = {"bytes": b"no picture", "path": None}
    with pytest.raises(InputError, match="id5"):
        prepare(stream(rows), tmp_path, per_shard=2)
    assert not (tmp_path / INDEX).exists()
    data = stream(records(7))
    done = prepare(data, tmp_path, per_shard=2)
    assert done.reused == 2
    assert data.rows.skipped == [4]
    found = read_prepared(tmp_path)
    assert [example.name for example in found] == [f"id{number}" for number in range(7)]
    assert [example.picture().getpixel((0, 0))[0] for example in found] == list(range(7))


def test_without_the_package_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"install smartclip-testbed\[hub\]"):
        open_hub("owner/name")


@pytest.mark.slow
def test_local_parquet_is_streamed_through_datasets(tmp_path: Path) -> None:
    """In a process of its own: the library changes warnings and starts threads."""
    pytest.importorskip("datasets")
    parquet.write_table(pa.Table.from_pylist(records(7)), tmp_path / "a.parquet", row_group_size=3)
    parquet.write_table(pa.table({"text": ["A bear."]}), tmp_path / "b.parquet")
    code = """
import json, sys
from smartclip.data.hub import open_hub
from smartclip.data.prepared import prepare, read_prepared
from theory.errors import InputError
from pathlib import Path
folder = Path(sys.argv[1])
data = open_hub("parquet", data_files=str(folder / "a.parquet"))
prepare(data, folder / "out", per_shard=3)
wrong = []
for name, options in (("parquet", {"data_files": str(folder / "b.parquet")}), (str(folder), {})):
    try:
        open_hub(name, **(options | {"split": "train" if options else "nowhere"}))
    except InputError as error:
        wrong.append(str(error))
read = read_prepared(folder / "out")
names = [[e.name, e.captions, e.picture().getpixel((0, 0))[0]] for e in read]
print(json.dumps([names, wrong]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={
            "PYTHONPATH": ":".join(sys.path),
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "1",
        },
    )
    names, wrong = json.loads(done.stdout.splitlines()[-1])
    assert names == [[f"id{n}", [f"Number {n}.", f"Nummer {n}."], n] for n in range(7)]
    assert "has the columns text" in wrong[0]
    assert "could not be streamed" in wrong[1]

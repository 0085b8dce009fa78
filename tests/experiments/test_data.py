import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from experiments.cli import main
from experiments.commands.data import (
    DataAudit,
    DataEmoji,
    DataExport,
    DataPrepare,
    DataScenes,
)
from simulators import SceneWorld
from simulators.reading import read_scene
from smartclip.data.shards import read_shards
from theory.errors import InputError


def test_audit_prints_and_returns_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    table = "image,caption\na.png,A bear with a pen.\nb.png,A bear.\nc.png,A bear.\n"
    (tmp_path / "table.csv").write_text(table)
    result = DataAudit(source=tmp_path / "table.csv", format="csv", context=4).run()
    assert result["usable"] == 1
    assert result["faults"] == {"corrupt": 1, "missing": 1}
    assert result["captions_too_long"] == 1
    assert json.loads(json.dumps(result)) == result
    printed = capsys.readouterr().out
    assert "captions cut by the context" in printed
    assert "b.png" in printed


def test_emoji_without_npm_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"install Node\.js"):
        DataEmoji(cache=tmp_path / "cache").run()


def test_exported_scenes_pass_the_audit_of_real_data(tmp_path: Path) -> None:
    result = DataExport(
        world="scenes", out=tmp_path, samples=6, samples_per_shard=4, captions_per_image=2
    ).run()
    assert len(result["shards"]) == 2
    audited = DataAudit(source=tmp_path).run()
    assert audited["usable"] == audited["records"] == 6
    assert not audited["faults"]
    read = {caption for e in read_shards(tmp_path).examples for caption in e.captions}
    world = SceneWorld()
    assert read == {*world.sample(6, seed=0).text, *world.sample(6, seed=0, draw=1).text}


def test_vectors_are_exported_for_the_captions_given(tmp_path: Path) -> None:
    DataExport(
        world="vectors", out=tmp_path, samples=2, layout="parquet", captions="a,b;b", sizes="b=2"
    ).run()
    row = parquet.read_table(tmp_path / "000000.parquet").to_pylist()[0]
    assert len(row["z"]) == 3
    with pytest.raises(InputError, match="captions or sizes for digits"):
        DataExport(world="digits", out=tmp_path, captions="a").run()
    with pytest.raises(InputError, match="samples=0"):
        DataExport(world="digits", out=tmp_path, samples=0).run()


def test_scenes_are_shown_with_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = DataScenes(picture=tmp_path / "scenes.png").run()
    with Image.open(tmp_path / "scenes.png") as picture:
        assert picture.size[0] > 1000
    for example in result["examples"]:
        assert set(read_scene(example["text"])) == set(example["mentions"])
    assert "left shape" in capsys.readouterr().out


def hard_data(folder: Path) -> Path:
    """One picture that is fine, and one of each kind of trouble, in ShareGPT4V's layout."""
    rng = np.random.default_rng(0)
    names: dict[str, str] = {}

    def put(name: str, mode: str = "RGB", **options: object) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(levels).convert(mode).save(path, **options)
        names[name] = f"A picture. It is called {name}."
        return path

    exif = Image.Exif()
    exif[0x0112] = 6
    put("coco/fine.jpg")
    put("coco/cmyk.jpg", "CMYK")
    put("coco/turned.jpg", exif=exif)
    put("llava/palette.png", "P")
    put("llava/alpha.png", "RGBA")
    deep = put("llava/deep.png", "L")
    Image.fromarray(rng.integers(0, 65_536, (24, 32), dtype=np.uint16)).save(deep)
    cut = put("sam/cut.jpg")
    cut.write_bytes(cut.read_bytes()[:-200])
    bomb = put("sam/bomb.png")
    content = bytearray(bomb.read_bytes())
    content[16:24] = struct.pack(">II", 40_000, 40_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    bomb.write_bytes(content)
    names["sam/gone.jpg"] = "A picture that is not there."
    names["sam/wordless.jpg"] = " "
    names["../outside.jpg"] = "A picture somewhere else."
    records = [
        {"image": name, "conversations": [{"from": "gpt", "value": told}]}
        for name, told in names.items()
    ]
    table = folder / "share.json"
    table.write_text(json.dumps([*records, {"image": "no words"}]))
    return table


FAULTS = {
    "corrupt": 1,
    "too large": 1,
    "missing": 1,
    "no caption": 1,
    "outside": 1,
    "wrong record": 1,
}


def test_every_kind_of_trouble_is_named_counted_and_survived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = hard_data(tmp_path / "raw")
    result = DataAudit(source=table).run()
    assert result["faults"] == FAULTS
    assert result["usable"] == 6
    assert result["sources"]["sam"]["faults"] == {"corrupt": 1, "too large": 1, "missing": 1}
    assert result["sources"]["llava"]["usable"] == 3
    told = capsys.readouterr().out
    for name in ("sam/cut.jpg", "sam/bomb.png", "sam/gone.jpg", "By source"):
        assert name in told
    quick = DataAudit(source=table, quick=True).run()
    assert quick["faults"] == {key: n for key, n in FAULTS.items() if key != "corrupt"}
    with pytest.raises(InputError, match="records that cannot be used"):
        DataPrepare(source=table, out=tmp_path / "out").run()
    written = DataPrepare(source=table, out=tmp_path / "out", skip=True, per_shard=4).run()
    assert written["left_out"] == FAULTS
    assert written["examples"] == 6
    assert "left out, too large: 1" in capsys.readouterr().out
    audited = DataAudit(source=tmp_path / "out").run()
    assert (audited["usable"], audited["faults"]) == (6, {})
    assert json.loads(json.dumps(written)) == written


def test_a_changed_byte_in_a_prepared_folder_is_named_by_the_audit(tmp_path: Path) -> None:
    table = hard_data(tmp_path / "raw")
    DataPrepare(source=table, out=tmp_path / "out", skip=True).run()
    tar = tmp_path / "out" / "000000.tar"
    tar.write_bytes(tar.read_bytes().replace(b"called coco/fine", b"called coco/mine"))
    result = DataAudit(source=tmp_path / "out").run()
    assert [problem["name"] for problem in result["problems"]] == ["000000.tar"]


def test_prepare_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = str(hard_data(tmp_path / "raw"))
    with pytest.raises(SystemExit) as stopped:
        main(["data", "prepare", table, "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "--skip" in capsys.readouterr().err
    roots = ["--roots", "sam", str(tmp_path / "raw" / "coco")]
    main(["data", "prepare", table, "--out", str(tmp_path / "out"), "--skip", *roots])
    assert (tmp_path / "out" / "index.json").exists()


def test_digits_are_audited_without_a_path() -> None:
    result = DataAudit(format="digits", quick=True).run()
    assert result["usable"] == 1000


def test_refusals_of_data_commands_import_no_torch(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nothing,known\n1,2\n")
    told = (
        "import sys\n"
        "from experiments.commands.data import DataAudit, DataPrepare, Path\n"
        "from theory.errors import InputError\n"
        "for source in ('a.csv', 'gone.csv', '.'):\n"
        "    for command in (DataAudit(source=Path(source)), DataAudit(workers=0),\n"
        "                    DataPrepare(source=Path(source), out=Path('out'))):\n"
        "        try:\n"
        "            command.run()\n"
        "        except InputError:\n"
        "            continue\n"
        "        raise AssertionError(command)\n"
        "print(sorted({'torch', 'open_clip'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", told],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_audit_without_anything_usable_exits_with_1_and_tells_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("image,caption\n[/b]\x1b[31m.jpg,A bear.\n")
    with pytest.raises(SystemExit) as stopped:
        main(["data", "audit", str(tmp_path / "t.csv"), "--json", str(tmp_path / "a.json")])
    assert stopped.value.code == 1
    told = capsys.readouterr()
    assert "missing: 1 problem, 1 picture and 1 caption left out" in told.out
    assert "No such file" in told.out
    assert "[/b]\\x1b[31m.jpg" in told.out
    assert "\x1b" not in told.out
    assert "nothing usable" in told.err
    assert json.loads((tmp_path / "a.json").read_text())["pictures_found"] == 1

import json
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import parquet

from experiments.commands.data import DataAudit, DataEmoji, DataExport, DataScenes
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

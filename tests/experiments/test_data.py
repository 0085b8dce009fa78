import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.commands.data import DataAudit, DataEmoji
from theory.errors import InputError


def test_audit_prints_and_returns_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    table = "image,caption\na.png,A bear with a pen.\nb.png,A bear.\nc.png,A bear.\n"
    (tmp_path / "table.csv").write_text(table)
    result = DataAudit(source=tmp_path / "table.csv", layout="csv", context=4).run()
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

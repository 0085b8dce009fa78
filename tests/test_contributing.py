"""The worked examples of CONTRIBUTING.md, followed literally: one file each, and it is there."""

import importlib
import re
import sys
from pathlib import Path

import pytest

import experiments.datasets
import experiments.studies
from experiments.cli import main
from smartclip.methods import METHODS

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))


def test_there_are_three_examples():
    assert set(BLOCKS) == {
        "smartclip/methods.py",
        "experiments/datasets/bears.py",
        "experiments/studies/chairs.py",
    }


def test_a_method_is_one_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("smartclip.methods.METHODS", METHODS)
    known = dict(METHODS)
    try:
        exec(BLOCKS["smartclip/methods.py"], {})
        main(["train", "vectors", "--method", "cold-clip", "--debug", "--out", str(tmp_path)])
        assert list(tmp_path.glob("vectors-cold-clip-*/report.html"))
    finally:
        METHODS.clear()
        METHODS.update(known)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write the file of an example into a folder that its package also looks into."""

    def add(name: str) -> None:
        folder, _, file = name.rpartition("/")
        package = importlib.import_module(folder.replace("/", "."))
        place = tmp_path / "added"
        place.mkdir()
        (place / file).write_text(BLOCKS[name])
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])

    yield add
    for name in ("experiments.datasets.bears", "experiments.studies.chairs"):
        sys.modules.pop(name, None)


def test_a_data_set_is_one_file(added, tmp_path: Path):
    added("experiments/datasets/bears.py")
    main(["train", "bears", "--dependence", "0.6", "--debug", "--out", str(tmp_path / "runs")])
    assert list((tmp_path / "runs").glob("bears-ours-*/report.html"))
    assert "bears" in experiments.datasets.datasets()


def test_a_study_is_one_file(added, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    added("experiments/studies/chairs.py")
    main(["study"])
    assert "chairs" in capsys.readouterr().out.split()
    out = tmp_path / "chairs.md"
    main(["study", "chairs", "--size", "smoke", "--workers", "1", "--out", str(out)])
    assert "The two orders agree." in out.read_text()

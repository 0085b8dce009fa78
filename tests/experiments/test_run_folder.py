"""What a run folder says about where its numbers come from."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from experiments import run_folder
from experiments.run_folder import RunFolder, provenance


def test_versions_threads_and_commit(tmp_path: Path) -> None:
    folder = RunFolder.open(tmp_path, "run", {"a": 1})
    found = json.loads((folder.path / "versions.json").read_text())
    assert found["torch"] == torch.__version__
    assert {"numpy", "scipy", "tyro", "smartclip-testbed"} <= found.keys()
    assert "pytest" not in found
    assert found["threads"] == torch.get_num_threads()
    root = Path(run_folder.__file__).parent
    git = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    assert found["commit"] == (git.stdout.strip() if git.returncode == 0 else None)


def test_another_commit_is_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = RunFolder.open(tmp_path, "run", {"a": 1})
    monkeypatch.setattr(run_folder, "_git", lambda *_: "other")
    assert RunFolder.open(tmp_path, "run", {"a": 1}) == first


def test_outside_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_folder, "__file__", str(tmp_path / "run_folder.py"))
    assert provenance()["commit"] is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance()["changed"] is None

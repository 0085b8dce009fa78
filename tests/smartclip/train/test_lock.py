"""A run folder has one writer: tried with two real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from smartclip.train.lock import HOLDER, one_writer
from theory.errors import InputError

CPU = torch.device("cpu")

HOLDING = """
import sys, time, torch
from pathlib import Path
from smartclip.train.lock import one_writer
with one_writer(Path(sys.argv[1]), torch.device("cpu")):
    print("holding", flush=True)
    time.sleep(600)
"""

TRAINING = """
import sys, time
from experiments.cli import main
from smartclip.train import source

batch = source.WorldSource.batch
def slow(self, step, size, device):
    if step == 9:
        print("training", flush=True)
        time.sleep(600)
    return batch(self, step, size, device)
source.WorldSource.batch = slow
main(sys.argv[1:])
"""
TINY = ("train", "vectors", "--debug", "--captions", "a,b;b", "--seed", "3", "--device", "cpu")


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smartclip.train.lock.PATIENCE", 0.0)


@contextmanager
def started(program: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert any(line in ("holding\n", "training\n") for line in process.stdout)
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.mark.usefixtures("patience")
def test_the_holder_is_named_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started(HOLDING, folder) as other:
        told = rf"process {other.pid}; a run folder has one writer"
        with pytest.raises(InputError, match=told), one_writer(folder, CPU):
            raise AssertionError
    with one_writer(folder, CPU):
        assert str(os.getpid()) in (folder / HOLDER).read_text()
    assert not (folder / HOLDER).exists()


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("content", [None, "", "[]", '{"process": "x"}', "\0"])
def test_a_holder_that_is_not_told_is_another_process(tmp_path: Path, content: str | None) -> None:
    with one_writer(tmp_path, CPU):
        (tmp_path / HOLDER).unlink()
        if content is not None:
            (tmp_path / HOLDER).write_text(content)
        taken = pytest.raises(InputError, match="by another process")
        with taken, one_writer(tmp_path, CPU):
            raise AssertionError


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), one_writer(tmp_path, CPU):
        raise KeyError
    with one_writer(tmp_path, CPU):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = pytest.raises(InputError, match="could not be written")
    with refused, one_writer(tmp_path / "file" / "run", CPU):
        raise AssertionError


@pytest.mark.usefixtures("patience")
def test_of_several_ranks_the_first_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a second rank that hears from the first that the folder is taken."""
    monkeypatch.setattr("smartclip.train.lock.rank", lambda: 1)
    monkeypatch.setattr("smartclip.train.lock.any_rank", lambda said, device: True)
    with pytest.raises(SystemExit) as stopped, one_writer(tmp_path / "run", CPU):
        raise AssertionError
    assert stopped.value.code == 2
    monkeypatch.setattr("smartclip.train.lock.any_rank", lambda said, device: said)
    with one_writer(tmp_path / "run", CPU):  # the first holds it for all
        assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("patience")
def test_the_same_command_twice_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from experiments.cli import main

    arguments = [*TINY, "--out", str(tmp_path)]
    with started(TRAINING, *arguments) as other:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        (told,) = [
            line for line in capsys.readouterr().err.splitlines() if line.startswith("smartclip: ")
        ]
        assert f"process {other.pid}" in told
    main(arguments)
    (folder,) = tmp_path.glob("vectors-*")
    steps = [line.partition(",")[0] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len(steps) == len(set(steps)) > 5

"""A disk that fills up while training: one line, and the run goes on to the same weights."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from experiments.cli import main
from smartclip.train import checkpoint
from smartclip.train.checkpoint import read_checkpoint

TINY = ("train", "vectors", "--debug", "--captions", "a,b;b", "--seed", "3", "--device", "cpu")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
WRITES = ((tempfile, "mkstemp"), (os, "fsync"), (Path, "open"), (Path, "replace"), (Path, "mkdir"))


class Disk:
    """Counts what is written, and refuses from a certain write on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        self.place, self.count, self.room = place, 0, None
        for owner, name in WRITES:
            monkeypatch.setattr(owner, name, self.guarded(getattr(owner, name)))
        save_file = checkpoint.save_file

        def saved(tensors: Any, path: Path, metadata: dict[str, str]) -> None:
            try:
                self.write()
            except OSError as error:
                raise SafetensorError(f"Error while serializing: {error}") from None
            save_file(tensors, path, metadata=metadata)

        monkeypatch.setattr(checkpoint, "save_file", saved)

    def write(self) -> None:
        if self.room is not None and self.count >= self.room:
            raise FULL
        self.count += 1

    def guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **named: Any) -> Any:
            mode = named.get("mode", arguments[1] if len(arguments) > 1 else "r")
            told = named.get("dir", arguments[0] if arguments else "")
            reading = function.__name__ == "open" and not {*"wa+"} & {*str(mode)}
            if not reading and (function.__name__ == "fsync" or str(self.place) in str(told)):
                self.write()
            return function(*arguments, **named)

        return write


def told(capsys: pytest.CaptureFixture[str], root: Path) -> str:
    """The one line of a command that had no room."""
    with pytest.raises(SystemExit) as stopped:
        main([*TINY, "--out", str(root)])
    err = capsys.readouterr().err
    assert stopped.value.code == 2, err
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("smartclip: ")]
    return line


def ended(root: Path) -> tuple[dict[str, torch.Tensor], bytes, list[str]]:
    (folder,) = root.glob("vectors-*")
    steps = [line.partition(",")[0] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    tensors = read_checkpoint(folder / "checkpoint.safetensors")[1]
    left = [path.name for path in folder.glob(".*") if path.name != ".lock"]
    assert left == []
    return tensors, (folder / "result.json").read_bytes(), steps


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    root = tmp_path_factory.mktemp("whole")
    main([*TINY, "--out", str(root)])
    return ended(root)


def same(found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    assert found[0].keys() == expected[0].keys()
    assert all(torch.equal(each, expected[0][name]) for name, each in found[0].items())
    assert found[1:] == expected[1:]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Disk:
    return Disk(monkeypatch, tmp_path)


def no_room(disk: Disk, root: Path, whole: tuple[Any, ...], capsys: Any, room: int) -> None:
    disk.count, disk.room = 0, room
    assert "No space left" in told(capsys, root)
    disk.room = None
    main([*TINY, "--out", str(root)])
    same(ended(root), whole)
    capsys.readouterr()


def test_a_disk_that_fills_up_at_any_write(
    disk: Disk, whole: tuple[Any, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*TINY, "--out", str(tmp_path / "counted")])
    total = disk.count
    assert total > 40
    # Settings, lock, log, checkpoint and report each have a few of them.
    for room in sorted({0, 3, *range(5, total, max(1, total // 5)), total - 1}):
        no_room(disk, tmp_path / f"{room}", whole, capsys, room)


@pytest.mark.faults
def test_a_disk_that_fills_up_at_every_write(
    disk: Disk, whole: tuple[Any, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*TINY, "--out", str(tmp_path / "counted")])
    for room in range(disk.count):
        no_room(disk, tmp_path / f"{room}", whole, capsys, room)
        shutil.rmtree(tmp_path / f"{room}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB, where one may be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("kilobytes", [0, 8, 40, 100, 180, 230])
def test_a_small_file_system(
    small: Path, whole: tuple[Any, ...], kilobytes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """As full as it is left with this much room; then the room is given back."""
    used = small / "used"
    used.write_bytes(bytes(1024 * (300 - kilobytes) - 4096))
    told(capsys, small)
    used.unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
    main([*TINY, "--out", str(small)])
    same(ended(small), whole)

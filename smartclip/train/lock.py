"""A run folder has one writer: two would double the metrics, and mix two states in a checkpoint.

The lock is the system's (`flock`), so a process that is killed lets go of it. Beside it stands who
holds it, for the message to the other. Of the ranks of torchrun the first holds it for all.
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from smartclip.train.ranks import any_rank, rank
from theory.errors import InputError
from theory.storage import writing

LOCK = ".lock"
HOLDER = ".holder.json"
# Reading a finished run holds the lock for less than this, in seconds.
PATIENCE = 2.0


@contextmanager
def one_writer(folder: Path, device: torch.device) -> Iterator[None]:
    """Hold the lock of a run folder inside; all ranks call it together.

    Args:
        folder: of the run; made if it does not exist.
        device: of this rank, to agree with the others.

    Raises:
        InputError: another process holds it, or the folder cannot be written. The first rank says
            so, the others leave.
    """
    lock, refused = FileLock(folder / LOCK, timeout=PATIENCE), None
    if rank() == 0:
        try:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                _acquire(lock, folder)
                told = {"process": os.getpid(), "machine": platform.node()}
                (folder / HOLDER).write_text(json.dumps(told))
        except InputError as error:
            lock.release()
            refused = error
    if any_rank(refused is not None, device):
        raise SystemExit(2) if refused is None else refused
    try:
        yield
    finally:
        if rank() == 0:
            (folder / HOLDER).unlink(missing_ok=True)
            lock.release()


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{folder} is being written by {_holder(folder)}",
            rule="a run folder has one writer",
            fix="wait until it is done, stop it, or choose another folder",
        ) from error


def _holder(folder: Path) -> str:
    """Which process says that it holds the lock."""
    try:
        told = json.loads((folder / HOLDER).read_text())
        process, machine = int(told["process"]), str(told["machine"])
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
    here = "" if machine == platform.node() else f" on {machine}"
    return f"process {process}{here}"

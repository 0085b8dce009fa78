"""The log of a run: one JSON object a line, the truth about what happened, and views of it.

The views are a progress bar and, where TensorBoard is installed, its event files.
"""

import errno
import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from theory.storage import write_atomically, writing


class MetricsLog:
    """Appends lines to a file such as `metrics.jsonl`, and to TensorBoard's if that is installed.

    Lines past the step a run resumes from are dropped.

    Args:
        path: of the file; TensorBoard's are in `tensorboard/` beside it, under the file's name.
        resume_step: the step the run starts, or resumes, from.
    """

    def __init__(self, path: Path, *, resume_step: int) -> None:
        self.path = path
        self._writer = _tensorboard(path.parent / "tensorboard" / path.stem, resume_step)
        kept = [line for line in read_metrics(path) if line["step"] <= resume_step]
        with write_atomically(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def append(self, line: dict[str, Any]) -> None:
        """Add a line; a part of one, left by a full disk, is dropped when the run resumes."""
        with writing(self.path):
            content = (json.dumps(line) + "\n").encode()
            with self.path.open("ab", buffering=0) as file:
                if file.write(content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._writer is not None:
                for name, value in line.items():
                    if name != "step":
                        self._writer.add_scalar(name, value, line["step"])
                self._writer.flush()


def _tensorboard(folder: Path, resume_step: int) -> Any:
    """A writer that hides what an earlier process wrote past `resume_step`."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    with writing(folder):
        return SummaryWriter(str(folder), purge_step=resume_step + 1)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last line cut short by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    whole = []
    for line in lines:
        try:
            whole.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return whole


class TrainingProgress:
    """A bar with time left on a terminal; a line now and then where output goes to a file."""

    LINES = 5

    def __init__(self, label: str, total: int, console: Console, progress: Progress) -> None:
        self.label, self.total, self.console, self.progress = label, total, console, progress
        self.task = progress.add_task(label, total=total, status="")
        self.announced = 0

    def say(self, line: str) -> None:
        """A line of its own."""
        self.console.print(f"  {self.label}: {line}", soft_wrap=True, highlight=False)

    def update(self, step: int, status: str) -> None:
        self.progress.update(self.task, completed=step, status=status)
        due = step * self.LINES // self.total
        if not self.console.is_terminal and due > self.announced:
            self.announced = due
            line = f"  {self.label}: step {step} of {self.total}, {status}"
            self.console.print(line, soft_wrap=True)


@contextmanager
def training_progress(label: str, total: int, *, quiet: bool = False) -> Iterator[TrainingProgress]:
    """Show progress on stderr, so that stdout stays for results."""
    console = Console(stderr=True, quiet=quiet)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        yield TrainingProgress(label, total, console, progress)

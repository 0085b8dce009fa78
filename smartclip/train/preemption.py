"""SIGTERM, the notice a cluster gives before it takes a machine back: save, say so, exit."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from smartclip.train.ranks import any_rank, rank, ranks
from theory.errors import as_sent

# Several ranks agree on a notice this often, in steps: asking costs them an exchange.
STEPS_BETWEEN_AGREEMENTS = 10


class Preempted(SystemExit):
    """The exit after SIGTERM, with the code a shell reports of it; the state is saved."""

    def __init__(self, step: int, folder: Path) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.step, self.folder = step, folder
        if rank() == 0:
            print(
                f"smartclip: stopped by SIGTERM after step {step}; the state is saved in {folder}: "
                "give the same command again to continue",
                file=sys.stderr,
                flush=True,
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return as_sent(self)


class Notice:
    """Whether this process has been told to stop."""

    def __init__(self) -> None:
        self.given = False

    def receive(self, _signal: int, _frame: FrameType | None) -> None:
        self.given = True

    def due(self, step: int, device: torch.device) -> bool:
        """Whether to stop after this step; all ranks ask after each step and get one answer."""
        if ranks() > 1 and step % STEPS_BETWEEN_AGREEMENTS:
            return False
        return any_rank(self.given, device)


@contextmanager
def listening() -> Iterator[Notice]:
    """Take SIGTERM as a notice inside; only a main thread can listen, others get none."""
    notice = Notice()
    if threading.current_thread() is not threading.main_thread():
        yield notice
        return
    before = signal.signal(signal.SIGTERM, notice.receive)
    try:
        yield notice
    finally:
        signal.signal(signal.SIGTERM, before)

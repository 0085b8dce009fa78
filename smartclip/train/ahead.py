"""Batches made ahead of the step that needs them, by other processes, while a GPU is at work.

A source is a function of the step alone, so a batch made early is the same batch. PyTorch's loader
does the work; what is added here is that a run may begin, or go on, at any step.
"""

import itertools
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from smartclip.train.source import WorldSource

CPU = torch.device("cpu")
MOST_WORKERS = 8


class AheadSource:
    """A source whose batches for a GPU come from `workers` processes; on a CPU it changes nothing.

    Args:
        source: draws a world.
        workers: processes; by default one for each processor but one, at most 8.
    """

    def __init__(self, source: WorldSource, *, workers: int | None = None) -> None:
        spare = (os.cpu_count() or 2) - 1
        self.source = source
        self.workers = min(MOST_WORKERS, spare) if workers is None else workers
        self._coming: tuple[tuple[str, int, int], Iterator[Any]] | None = None

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return self._made("batch", step, size, device)

    def rows(
        self, step: int, size: int, wanted: slice, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Some rows of a batch, made in place: each of several processes makes only its own."""
        return self.source.rows(step, size, wanted, device)

    def pairs(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return self._made("pairs", step, size, device)

    def _made(self, kind: str, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        if _is_here(device):
            return getattr(self.source, kind)(step, size, device)
        asked = kind, step, size
        if self._coming is None or self._coming[0] != asked:
            batches = DataLoader(
                _Steps(self.source, kind, size),
                batch_size=None,
                sampler=_From(step),
                num_workers=self.workers,
                pin_memory=device.type == "cuda",
            )
            self._coming = asked, iter(batches)
        _, batches = self._coming
        first, second = next(batches)
        self._coming = (kind, step + 1, size), batches
        return first.to(device, non_blocking=True), second.to(device, non_blocking=True)

    def __enter__(self) -> "AheadSource":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._coming = None  # the loader ends its processes when nothing holds it


def _is_here(device: torch.device) -> bool:
    """A CPU that trains has no time to spare for batches ahead."""
    return device.type == "cpu"


class _Steps(Dataset[tuple[Tensor, Tensor]]):
    """Step -> what the source makes for it, on the host."""

    def __init__(self, source: WorldSource, kind: str, size: int) -> None:
        self.source, self.kind, self.size = source, kind, size

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return getattr(self.source, self.kind)(step, self.size, CPU)


class _From:
    """All steps from one on."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.step)

"""A metric that is updated batch by batch and computed at the end, on one process or many.

The interface is that of torchmetrics: `update`, `compute`, `reset`, and the class attributes
`higher_is_better`, `plot_lower_bound`, `plot_upper_bound`. (torchmetrics itself loads image and
audio packages on import, which this layer does without.)
"""

# pyright: basic

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Tensor


class Accumulator(ABC):
    """A subclass adds to its state in `update` and reads it in `compute`.

    In a process group `compute` is a collective call: every process makes it and gets the value of
    all rows together, those of rank 0 first.
    """

    higher_is_better: ClassVar[bool | None]
    plot_lower_bound: ClassVar[float]
    plot_upper_bound: ClassVar[float]

    @abstractmethod
    def update(self, *batch: Tensor) -> None:
        """Add a batch."""

    @abstractmethod
    def compute(self) -> object:
        """The value for everything seen since the last reset, by all processes."""

    @abstractmethod
    def reset(self) -> None:
        """Forget everything seen."""


def summed(state: Tensor) -> Tensor:
    """The sum of a state over the processes of the group; the state itself without a group."""
    if not _in_group():
        return state
    total = state.clone()
    dist.all_reduce(total)
    return total


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes, those of rank 0 first; the rows themselves without a group."""
    if not _in_group():
        return rows
    counts = [torch.zeros((), dtype=torch.int64, device=rows.device) for _ in range(_size())]
    dist.all_gather(counts, torch.tensor(len(rows), device=rows.device))
    most = max(int(count) for count in counts)
    # Collectives take equal shapes, so short parts are padded on the way.
    padded = rows.new_zeros(most, *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])


def _in_group() -> bool:
    return dist.is_available() and dist.is_initialized() and _size() > 1


def _size() -> int:
    return dist.get_world_size()

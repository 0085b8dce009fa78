"""Where batches come from: step n of seed s is always the same batch, so a run can resume.

It is also the same for every number of processes, of which each takes its rows.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from simulators.world import Batch, World
from theory.errors import InputError


@runtime_checkable
class Source(Protocol):
    """Anything that gives the batch of a step."""

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Images and tokens of step `step`, each with `size` rows, on `device`."""
        ...


@runtime_checkable
class RowSource(Source, Protocol):
    """A source that can also give part of a batch without making the rest."""

    def rows(
        self, step: int, size: int, wanted: slice, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """`images[wanted]` and `tokens[wanted]` of `batch(step, size, device)`."""
        ...


@runtime_checkable
class PairSource(Source, Protocol):
    """A source that can also give two captions of each picture, and no picture."""

    def pairs(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Tokens of one caption and of another of `size` pictures, on `device`."""
        ...


@runtime_checkable
class ReportingSource(Source, Protocol):
    """A source that has something of its own for the log, such as what it left out."""

    def report(self) -> dict[str, float]:
        """Numbers by name, over all batches so far."""
        ...


def reported(source: Source) -> dict[str, float]:
    """What a source has for the log; nothing if it is none that reports."""
    return source.report() if isinstance(source, ReportingSource) else {}


def rows_of_batch(
    source: Source, step: int, size: int, wanted: slice, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Some rows of the batch of a step, cut out of the whole if the source can do no better."""
    if isinstance(source, RowSource) and wanted != slice(0, size):
        return source.rows(step, size, wanted, device)
    images, tokens = source.batch(step, size, device)
    return images[wanted], tokens[wanted]


class WorldSource:
    """Batches of a simulated world, drawn a few at a time because large draws are cheaper.

    Args:
        world: the world.
        seed: of its samples.
        steps_at_once: batches drawn together.
    """

    def __init__(self, world: World, *, seed: int, steps_at_once: int = 8) -> None:
        self.world = world
        self.seed = seed
        self.steps_at_once = steps_at_once
        self._drawn: tuple[int, int, Tensor, Tensor] | None = None

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        group = step // self.steps_at_once
        if self._drawn is None or self._drawn[:2] != (group, size):
            n = size * self.steps_at_once
            self._drawn = (group, size, *self._sample(n, group * n, device))
        images, tokens = self._drawn[2:]
        first = (step % self.steps_at_once) * size
        return images[first : first + size], tokens[first : first + size]

    def rows(
        self, step: int, size: int, wanted: slice, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        start, stop, _ = wanted.indices(size)
        return self._sample(stop - start, step * size + start, device)

    def _sample(self, n: int, start: int, device: torch.device) -> tuple[Tensor, Tensor]:
        batch = self.world.sample(n, seed=self.seed, start=start, device=device)
        return batch.image, _vectors(batch)


class LongAndShort(WorldSource):
    """Images with two of their captions each, [B, 2, L], the longer one first.

    Longer is the one that mentions more concepts. What Long-CLIP trains on; arguments as above.
    """

    def _sample(self, n: int, start: int, device: torch.device) -> tuple[Tensor, Tensor]:
        one, other = (
            self.world.sample(n, seed=self.seed, start=start, draw=draw, device=device)
            for draw in (0, 1)
        )
        counts = torch.tensor(self.world.family.matrix, device=device).sum(1)
        swapped = (counts[other.caption] > counts[one.caption]).unsqueeze(1)
        texts = _vectors(one), _vectors(other)
        pairs = [torch.where(swapped, *reversed(texts)), torch.where(swapped, *texts)]
        return one.image, torch.stack(pairs, dim=1)


def _vectors(batch: Batch) -> Tensor:
    if isinstance(batch.text, list):
        raise InputError(
            "captions that are words",
            rule="this source passes captions on as they are",
            fix="use a source that tokenises",
        )
    return batch.text

"""Where batches come from: step n of seed s is always the same batch, so a run can resume."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from simulators.world import World
from theory.errors import InputError


@runtime_checkable
class Source(Protocol):
    """Anything that gives the batch of a step."""

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Images and tokens of step `step`, each with `size` rows, on `device`."""
        ...


class WorldSource:
    """Batches of a simulated world, drawn a few at a time because large draws are cheaper.

    Args:
        world: the world.
        seed: of its samples.
        steps_at_once: batches drawn together.
    """

    def __init__(self, world: World, *, seed: int, steps_at_once: int = 32) -> None:
        self.world = world
        self.seed = seed
        self.steps_at_once = steps_at_once
        self._drawn: tuple[int, int, Tensor, Tensor] | None = None

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        group = step // self.steps_at_once
        if self._drawn is None or self._drawn[:2] != (group, size):
            n = size * self.steps_at_once
            batch = self.world.sample(n, seed=self.seed, start=group * n, device=device)
            if isinstance(batch.text, list):
                raise InputError(
                    f"captions of {type(self.world).__name__} are words",
                    rule="this source passes captions on as they are",
                    fix="use a source that tokenises",
                )
            self._drawn = (group, size, batch.image, batch.text)
        images, tokens = self._drawn[2:]
        first = (step % self.steps_at_once) * size
        return images[first : first + size], tokens[first : first + size]

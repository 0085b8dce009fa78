"""Where batches come from: step n of seed s is always the same batch, so a run can resume.

It is also the same for every number of processes, of which each takes its rows.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from simulators.world import World
from theory.errors import InputError

Tokenise = Callable[[list[str]], Tensor]


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
    """A source that can also give two captions of each image, and no image."""

    def pairs(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Tokens of one caption and of another of `size` images, on `device`."""
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
    """Batches of a simulated world; of captions in words, their tokens.

    Args:
        world: the world.
        seed: of its samples.
        tokenise: turns captions in words into tokens; None for captions that are vectors.
        captions: of each image. With 2, tokens are [B, 2, ...], the longer caption first: the one
            that mentions more concepts.
        steps_at_once: batches drawn together, because large draws of vectors are cheaper.
    """

    def __init__(
        self,
        world: World,
        *,
        seed: int,
        tokenise: Tokenise | None = None,
        captions: int = 1,
        steps_at_once: int = 1,
    ) -> None:
        self.world, self.seed = world, seed
        self.tokenise, self.captions = tokenise, captions
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

    def pairs(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        one, other = (
            self.world.texts(size, seed=self.seed, start=step * size, draw=draw) for draw in (0, 1)
        )
        return self._tokens(one, device), self._tokens(other, device)

    def _sample(self, n: int, start: int, device: torch.device) -> tuple[Tensor, Tensor]:
        one = self.world.sample(n, seed=self.seed, start=start, device=device)
        tokens = self._tokens(one.text, device)
        if self.captions == 1:
            return one.image, tokens
        mentions = self.world.mentions(n, seed=self.seed, start=start, draw=1)
        text = self.world.texts(n, seed=self.seed, start=start, draw=1)
        others = self._tokens(text, device)
        counts = torch.tensor(self.world.family.matrix).sum(1)
        longer = counts[mentions.caption] > counts[one.caption.cpu()]
        longer = longer.to(device).view(-1, *[1] * (tokens.ndim - 1))
        pairs = [torch.where(longer, others, tokens), torch.where(longer, tokens, others)]
        return one.image, torch.stack(pairs, dim=1)

    def _tokens(self, text: Tensor | list[str], device: torch.device) -> Tensor:
        if isinstance(text, Tensor):
            return text.float().to(device)
        if self.tokenise is None:
            raise InputError(
                "captions that are words",
                rule="a model reads words as tokens",
                fix="give the source a tokeniser",
            )
        return self.tokenise(text).to(device)

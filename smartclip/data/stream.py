"""Batches of image-text data: step n of seed s is always the same batch, on any number of ranks.

Step n of B rows in all takes positions nB, ..., nB + B - 1 of the order of its epoch; rank r of R
takes the r-th of R equal parts of them. Which caption, which sentences and which crop are pure
functions of the seed and the number of the sample. So nothing has to be saved to go on at any step,
and the ranks together see what one process would. Of each epoch the last n mod B rows of its order
are left out: no picture is twice in a batch.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64, UInt8
from torch import Tensor

from simulators.randomness import between_0_and_1
from smartclip.data.crop import DRAWS, MEAN, STD, Crop, normalised
from smartclip.data.examples import Example, ImageText, Problem
from smartclip.data.order import Order
from smartclip.data.pictures import PictureError
from smartclip.data.sentences import PADDED, Policy, Split, kept, sentences
from smartclip.text import moved
from theory.errors import InputError

Tokenise = Callable[[Sequence[str]], Int[Tensor, "b l"]]
"""Captions to rows of tokens, all of one length; a plain function or method."""

_LOG = logging.getLogger(__name__)
_WORDS = 8  # of 64 bits, drawn for each sample
_CHUNK = 16
_NAMED = 20


class StreamSource:
    """A training source over image-text data; `batch` gives any step, the next ones come early.

    Args:
        data: from a reader, best after `audit(...).data`.
        tokenise: for captions; called in the workers.
        seed: of order, captions and crops.
        crop: size of the images and how they are cut.
        policy: which sentences of a caption are kept.
        split: where a caption is cut into sentences.
        short_captions: give two captions of each picture, tokens [b, 2, L]: what the policy keeps,
            and its first sentence; with `debias` the whole caption, and what the policy keeps, as
            DeBias-CLIP has them in the places of Long-CLIP's two.
        rank: of this process.
        ranks: how many processes share each step.
        workers: threads (or processes) that read, decode and tokenise.
        processes: use processes. Threads do nearly as well, since decoding leaves Python's lock,
            and cost nothing to start.
        ahead: batches that are made before they are asked for; no more are ever held.
        skip: put the next usable picture in the place of one that cannot be used, count it and log
            its name. Without it such a picture is an error.
        block: rows that stay close in the order, for slow disks; see `Order`.
        mean: of each channel, 0 to 1.
        std: of each channel.

    Raises:
        InputError: empty data, or numbers out of range.
    """

    def __init__(
        self,
        data: ImageText,
        tokenise: Tokenise,
        *,
        seed: int,
        crop: Crop | None = None,
        policy: Policy = "all",
        split: Split = "marks",
        short_captions: bool = False,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 2,
        processes: bool = False,
        ahead: int = 2,
        skip: bool = False,
        block: int = 1,
        mean: tuple[float, float, float] = MEAN,
        std: tuple[float, float, float] = STD,
    ) -> None:
        if not 0 <= rank < ranks or workers < 1 or ahead < 0:
            raise InputError(
                f"rank={rank}, ranks={ranks}, workers={workers}, ahead={ahead}",
                rule="ranks count from 0, at least one worker works, ahead is 0 or more",
                fix="change them",
            )
        if len(data) == 0:
            raise InputError(
                f"{data.source} without a usable picture",
                rule="training needs pictures",
                fix="see what `smartclip data audit` says",
            )
        self.data = data
        self.seed, self.rank, self.ranks = seed, rank, ranks
        self.policy: Policy = policy
        self.split: Split = split
        self.workers, self.ahead, self.skip = workers, ahead, skip
        self.mean, self.std = mean, std
        self.problems: list[Problem] = []
        self._order = Order(count=len(data), seed=seed, block=block)
        self._work = _Work(
            tokenise=tokenise,
            crop=crop or Crop(),
            policy=policy,
            short_captions=short_captions,
        )
        self.short_captions = short_captions
        self._pool = _pool(workers, processes=processes)
        self._coming: dict[int, _Coming] = {}
        self._size = 0
        self._bad: set[int] = set()

    def batch(
        self, step: int, size: int, device: torch.device
    ) -> tuple[Float32[Tensor, "b 3 s s"], Int[Tensor, "b *captions l"]]:
        """Images and tokens of this rank's part of a step.

        Args:
            step: from 0.
            size: rows of this rank; the step has size x ranks.
            device: where the batch is needed.

        Returns:
            [size, 3, S, S] float32 and [size, L] tokens, or [size, 2, L].

        Raises:
            InputError: fewer examples than rows in a step.
            PictureError: a picture cannot be used, without `skip`.
        """
        if size != self._size:
            self._forget(range(0))
            self._size = size
        wanted = range(step, step + self.ahead + 1)
        self._forget(wanted)
        for each in wanted:
            if each not in self._coming:
                self._coming[each] = self._begun(each, size)
        levels, tokens = self._finished(self._coming.pop(step))
        if device.type == "cuda":
            levels, tokens = levels.pin_memory(), tokens.pin_memory()
        images = normalised(levels.to(device, non_blocking=True), self.mean, self.std)
        return images, tokens.to(device, non_blocking=True)

    def steps_per_epoch(self, size: int) -> int:
        """Steps in which every picture but the last few of the order comes once."""
        return len(self.data) // (size * self.ranks)

    def rows(self, step: int, size: int) -> Int64[np.ndarray, " b"]:
        """Which examples this rank's part of a step is made of, before any is replaced."""
        per_epoch = self.steps_per_epoch(size)
        if step < 0 or size < 1 or per_epoch < 1:
            raise InputError(
                f"step {step} of {size} x {self.ranks} rows from {len(self.data):,} pictures",
                rule="a batch holds no picture twice",
                fix="take a smaller batch",
            )
        epoch, turn = divmod(step, per_epoch)
        first = (turn * self.ranks + self.rank) * size
        return self._order.rows(epoch, np.arange(first, first + size))

    def captions(self, step: int, size: int) -> list[str]:
        """What the captions of this rank's part of a step say."""
        number, draws = self._drawn(step, size)
        return [
            self._captions(self.data.examples[int(row)], int(n), float(draw))[0]
            for row, n, draw in zip(self.rows(step, size), number, draws[:, 0], strict=True)
        ]

    @property
    def left_out(self) -> Counter[str]:
        """How many pictures were left out so far, by fault."""
        return Counter(problem.fault for problem in self.problems)

    def close(self) -> None:
        """Stop the workers."""
        self._forget(range(0))
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> "StreamSource":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _drawn(
        self, step: int, size: int
    ) -> tuple[Int64[np.ndarray, " b"], Float[np.ndarray, "b w"]]:
        """Numbers of the samples of this rank, and uniforms for their choices."""
        first = (step * self.ranks + self.rank) * size
        bits = np.random.Philox(
            counter=first * (_WORDS // 4), key=np.array([self.seed, len(self.data)], np.uint64)
        )
        draws = between_0_and_1(bits.random_raw(size * _WORDS)).reshape(size, _WORDS)
        return np.arange(first, first + size), draws

    def _captions(self, example: Example, number: int, draw: float) -> tuple[str, ...]:
        """What the policy keeps of a caption, and the shorter one if there is one."""
        caption = example.captions[int(draw * len(example.captions))]
        drawn = caption
        if self.policy not in ("all", "padded"):
            parts = sentences(caption, self.split)
            drawn = kept(parts, self.policy, seed=self.seed, index=number, split=self.split)
        if not self.short_captions:
            return (drawn,)
        if self.policy == "debias":
            return caption, drawn
        return drawn, sentences(drawn, self.split)[0]

    def _begun(self, step: int, size: int) -> "_Coming":
        number, draws = self._drawn(step, size)
        coming = _Coming(rows=self.rows(step, size), number=number, draws=draws, parts=[])
        width = max(1, min(_CHUNK, -(-size // self.workers)))
        for start in range(0, size, width):
            self._submit(coming, range(start, min(start + width, size)))
        return coming

    def _submit(self, coming: "_Coming", places: Sequence[int]) -> None:
        """Give some rows of a batch to a worker; pictures known to be bad are passed over."""
        examples, captions = [], []
        for place in places:
            row = int(coming.rows[place])
            for _ in range(len(self.data)):
                if row not in self._bad:
                    break
                row = (row + 1) % len(self.data)
            else:
                raise InputError(
                    f"{self.data.source} without a usable picture",
                    rule="training needs pictures",
                    fix="see what `smartclip data audit` says",
                )
            coming.rows[place] = row
            example = self.data.examples[row]
            examples.append(example)
            captions.append(
                self._captions(example, int(coming.number[place]), coming.draws[place, 0])
            )
        draws = coming.draws[list(places), 1 : 2 + DRAWS]
        future = self._pool.submit(self._work, examples, captions, draws)
        coming.parts.append((list(places), future))

    def _finished(
        self, coming: "_Coming"
    ) -> tuple[UInt8[Tensor, "b 3 s s"], Int[Tensor, "b *captions l"]]:
        side = self._work.crop.pixels
        levels = torch.empty((len(coming.rows), 3, side, side), dtype=torch.uint8)
        tokens: dict[int, Tensor] = {}
        while coming.parts:
            parts, coming.parts = coming.parts, []
            again: list[int] = []
            for places, future in parts:
                done = future.result()
                bad = {at for at, _ in done.problems}
                good = [place for at, place in enumerate(places) if at not in bad]
                for place, level, row in zip(good, done.levels, done.tokens, strict=True):
                    levels[place], tokens[place] = level, row
                for at, problem in done.problems:
                    self._leave_out(int(coming.rows[places[at]]), problem)
                    again.append(places[at])
            for start in range(0, len(again), _CHUNK):
                self._submit(coming, again[start : start + _CHUNK])
        return levels, torch.stack([tokens[place] for place in range(len(coming.rows))])

    def _leave_out(self, row: int, problem: Problem) -> None:
        if not self.skip:
            raise PictureError(problem.detail, problem.fault)
        if row in self._bad:
            return
        self._bad.add(row)
        self.problems.append(problem)
        if len(self.problems) <= _NAMED:
            _LOG.warning("left out %s (%s: %s)", problem.name, problem.fault, problem.detail)
        elif len(self.problems) % 1000 == 0:
            _LOG.warning("left out %d pictures so far", len(self.problems))

    def _forget(self, wanted: range) -> None:
        for step in [step for step in self._coming if step not in wanted]:
            for _, future in self._coming.pop(step).parts:
                future.cancel()


@dataclass(kw_only=True, slots=True)
class _Coming:
    """A batch on its way: which rows, their draws, and the parts the workers have."""

    rows: Int64[np.ndarray, " b"]
    number: Int64[np.ndarray, " b"]
    draws: Float[np.ndarray, "b w"]
    parts: "list[tuple[list[int], Future[_Done]]]"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Done:
    """Part of a batch: what worked, in order, and the places of what did not."""

    levels: UInt8[Tensor, "k 3 s s"]
    tokens: Int[Tensor, "k *captions l"]
    problems: list[tuple[int, Problem]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """What a worker does; it holds settings only, so that it can be sent to a process.

    `short_captions` says that each caption comes with a shorter one.
    """

    tokenise: Tokenise
    crop: Crop
    policy: Policy = "all"
    short_captions: bool = False

    def __call__(
        self,
        examples: list[Example],
        captions: list[tuple[str, ...]],
        draws: Float[np.ndarray, "k 6"],
    ) -> _Done:
        side = self.crop.pixels
        levels = torch.empty((len(examples), 3, side, side), dtype=torch.uint8)
        good: list[int] = []
        problems: list[tuple[int, Problem]] = []
        for place, example in enumerate(examples):
            try:
                levels[len(good)] = self.crop(
                    example.image.read(), example.name, draws[place, :DRAWS]
                )
            except PictureError as error:
                problem = Problem(name=example.name, fault=error.fault, detail=error.given)
                problems.append((place, problem))
                continue
            good.append(place)
        tokens = torch.empty((0, 0), dtype=torch.int64)
        if good:
            told = zip(*(captions[place] for place in good), strict=True)
            columns = [self.tokenise(column) for column in told]
            if self.policy in PADDED:  # of DeBias-CLIP's two captions the sampled one
                at = -1 if self.policy == "debias" else 0
                columns[at] = moved(columns[at], torch.from_numpy(draws[good, DRAWS]))
            tokens = torch.stack(columns, dim=1) if self.short_captions else columns[0]
        return _Done(levels=levels[: len(good)], tokens=tokens, problems=problems)


def _pool(workers: int, *, processes: bool) -> Executor:
    if not processes:
        return ThreadPoolExecutor(workers, thread_name_prefix="pictures")
    # A fresh interpreter for each: a fork would copy the locks of running threads, and CUDA.
    context = torch.multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    )

"""Image-text pairs from any data set: hold some out, start from a pretrained CLIP, train, compare.

Told before the first step: how many captions lose their end, where the weights come from, and what
the run will take. Told at the end: retrieval on the pictures held out, before and after.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from experiments.figures.style import save
from experiments.figures.training import training_curves
from experiments.held_out import HeldOut, hold_out
from experiments.recipes.pairs import PairRecipe
from experiments.report import Picture, Section
from experiments.run_folder import RESULT, RunFolder
from smartclip.data.examples import ImageText
from smartclip.data.stream import StreamSource
from smartclip.evaluate.retrieval import Retrieval
from smartclip.text import CaptionLengths, CaptionReader, caption_lengths
from smartclip.train.log import read_metrics
from smartclip.train.loop import METRICS, train
from smartclip.train.ranks import own_rows, rank, ranks
from smartclip.train.validate import Validation
from theory.errors import InputError

HELD_OUT = 1000
"""Records from the start of the data set that the authors held out."""


class PairSource:
    """The batches of a stream as the training loop asks for them, and what they lost.

    Args:
        stream: made for this rank.
        reader: the one that the stream tokenises with.
    """

    def __init__(self, stream: StreamSource, reader: CaptionReader) -> None:
        self.stream, self.reader = stream, reader

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return self.rows(step, size, slice(0, size), device)

    def rows(
        self, step: int, size: int, wanted: slice, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """The rows of this rank, which are all that it reads."""
        if wanted != own_rows(size):
            raise InputError(
                f"rows {wanted.start} to {wanted.stop} of {size} on rank {rank()}",
                rule="each rank reads its own rows",
                fix="ask for smartclip.train.ranks.own_rows(size)",
            )
        return self.stream.batch(step, wanted.stop - wanted.start, device)

    def report(self) -> dict[str, float]:
        """For the log: the share of captions that were cut, and pictures left out, on this rank."""
        return {
            "captions_cut": self.reader.share,
            "pictures_left_out": float(sum(self.stream.left_out.values())),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PairResult:
    """What a run on pairs found.

    Attributes:
        recipe: as it was run.
        source: of the data.
        weights: that the towers started from.
        lengths: of the captions, before training.
        left_out: pictures that could not be used and were skipped.
        cut: share of captions that training cut, since it was last started.
        pictures: that were held out.
        before: retrieval with the weights it started from.
        after: retrieval with the trained model, masked and unmasked.
        folder: where everything is kept.
    """

    recipe: PairRecipe
    source: str
    weights: str
    lengths: CaptionLengths
    left_out: int
    cut: float
    pictures: int
    before: Retrieval
    after: dict[str, Retrieval]
    folder: RunFolder

    def table(self) -> pd.DataFrame:
        """One row a model and a direction: R@k and chance, in percent."""
        models = {"before": self.before} | {
            f"SmartCLIP, {reading}": found for reading, found in self.after.items()
        }
        frames = [found.table().assign(model=name) for name, found in models.items()]
        table = pd.concat(frames, ignore_index=True)
        return table.loc[:, ["model", *table.columns[:-1]]].round(1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.name,
            "source": self.source,
            "weights": self.weights,
            "captions": {
                "measured": self.lengths.captions,
                "too_long": self.lengths.share,
                "longest": self.lengths.longest,
                "context": self.lengths.context,
                "cut_while_training": self.cut,
            },
            "pictures_left_out": self.left_out,
            "held_out": self.pictures,
            "before": self.before.to_dict(),
            "after": {reading: found.to_dict() for reading, found in self.after.items()},
        }

    def verdict(self) -> str:
        """Before and after in words."""
        unmasked, masked = self.after["unmasked"], self.after["masked"]
        told = [
            f"{found.caption_to_image.at(1):.1%} / {found.image_to_caption.at(1):.1%}"
            for found in (self.before, unmasked, masked)
        ]
        return (
            f"R@1 by caption / by picture among {self.pictures:,} pictures held out: {told[0]} "
            f"before training, {told[1]} after it, {told[2]} read through the masks."
        )

    def section(self) -> Section:
        """The story of this run for a report."""
        return Section(
            title=f"{self.recipe.name} on {Path(self.source).name}",
            verdict=self.verdict(),
            steps=[
                f"Weights: {self.weights}.",
                f"Captions: {self.lengths}. Of those that training drew, {self.cut:.1%} were cut.",
                f"Pictures left out: {self.left_out:,}.",
            ],
            pictures=[Picture(path=self.folder.figure("training"), text="Training.")],
            tables=[("Retrieval, in percent", self.table())],
            folder=self.folder.path,
        )


def train_pairs(
    recipe: PairRecipe,
    data: ImageText,
    root: Path,
    *,
    device: torch.device,
    held_out: int | None = None,
    skip: bool = False,
    workers: int = 2,
    say: Callable[[str], None] = print,
    quiet: bool = False,
) -> PairResult | None:
    """Train a recipe on a data set, and compare with the weights it started from.

    Args:
        recipe: what to do.
        data: from a reader.
        root: where runs are kept. The same recipe on the same data continues in the same folder.
        device: of this process.
        held_out: examples from the start of the data that are kept for retrieval; 1,000, or a
            tenth of fewer than 10,000, by default.
        skip: leave out pictures that cannot be used, counted and logged; else they are an error.
        workers: threads that open pictures.
        say: told what is known before the first step.
        quiet: no progress bar.

    Returns:
        What was found; None on all ranks but the first.

    Raises:
        InputError: too few pictures, or weights that do not fit.
        PictureError: a picture that cannot be used, without `skip`.
    """
    kept = _held_out_count(len(data), held_out)
    recipe = recipe.for_data(len(data) - kept)
    training = replace(data, examples=data.part(kept, len(data)), problems=())
    tell = say if rank() == 0 else _say_nothing
    lengths = caption_lengths(
        list(chain.from_iterable(example.captions for example in training)), recipe.tokenizer
    )
    tell(str(recipe.record))
    tell(f"{len(training):,} pictures to train on, {kept:,} held out; {lengths}")
    model, found = recipe.make(device)
    tell(f"weights: {found.source}")
    reader = CaptionReader(recipe.tokenizer)
    test = hold_out(
        replace(data, examples=data.part(0, kept), problems=()),
        CaptionReader(recipe.tokenizer),
        recipe.crop,
        mean=found.mean,
        std=found.std,
        skip=skip,
        workers=workers,
    )
    folder = RunFolder.open(root, recipe.name, _settings(recipe, data, kept))
    before = test.retrieved(model)["unmasked"]
    stream = StreamSource(
        training,
        reader,
        seed=recipe.train.seed,
        crop=recipe.crop,
        policy=recipe.policy,
        split=recipe.split,
        rank=rank(),
        ranks=ranks(),
        workers=workers,
        skip=skip,
        mean=found.mean,
        std=found.std,
    )
    with stream:
        source = PairSource(stream, reader)
        train(
            model,
            source,
            recipe.train,
            folder.path,
            execution=recipe.execution,
            optimiser=recipe.optimiser,
            validation=_validation(test),
            label=recipe.name,
            quiet=quiet,
        )
        left_out = sum(stream.left_out.values()) + len(test.problems)
    after = test.retrieved(model)
    if rank() > 0:
        return None
    metrics = read_metrics(folder.path / METRICS)
    result = PairResult(
        recipe=recipe,
        source=data.source,
        weights=found.source,
        lengths=lengths,
        left_out=left_out,
        cut=metrics[-1]["captions_cut"],
        pictures=len(test),
        before=before,
        after=after,
        folder=folder,
    )
    folder.write_json(RESULT, result.to_dict())
    save(training_curves(metrics, steps=recipe.train.steps), folder.figure("training"))
    return result


def _held_out_count(pictures: int, wanted: int | None) -> int:
    kept = min(HELD_OUT, pictures // 10) if wanted is None else wanted
    if not 2 <= kept < pictures:
        raise InputError(
            f"{kept} of {pictures:,} pictures held out",
            rule="at least two are held out, and some are left to train on",
            fix="choose held_out in between, or give more data",
        )
    return kept


def _settings(recipe: PairRecipe, data: ImageText, kept: int) -> dict[str, Any]:
    """What the result depends on: not how the run is carried out, nor what others measured."""
    settings = recipe.to_dict()
    del settings["execution"], settings["record"]
    return settings | {"data": data.fingerprint(), "held_out": kept}


def _validation(test: HeldOut) -> Validation:
    """As many pictures as every rank can take an equal part of."""
    size = len(test) - len(test) % ranks()
    return Validation(source=test, size=size, rows_at_a_time=64)


def _say_nothing(told: str) -> None:
    del told

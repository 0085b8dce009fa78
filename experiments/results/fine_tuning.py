"""What training on image-text pairs changed: retrieval on held-out pictures, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from experiments.figures.style import save
from experiments.figures.training import training_curves
from experiments.report import Picture, Section
from experiments.results.retrieval import retrieval_table
from experiments.run import Trained
from experiments.run_folder import RunFolder
from smartclip.evaluate.retrieval import Retrieval
from smartclip.text import CaptionLengths
from smartclip.train.log import read_metrics
from smartclip.train.loop import METRICS
from smartclip.train.ranks import rank

if TYPE_CHECKING:
    from experiments.datasets.pairs import PairData


@dataclass(frozen=True, kw_only=True, slots=True)
class FineTuning:
    """What a run on pairs found.

    Attributes:
        name: of the recipe.
        method: title of the method.
        source: of the data.
        weights: that the towers started from.
        lengths: of the captions, before training.
        left_out: pictures that could not be used and were skipped.
        cut: share of captions that training cut, since it was last started.
        pictures: that were held out.
        before: retrieval with the weights it started from.
        after: retrieval with the trained model, unmasked, and masked if it has masks.
        folder: where everything is kept.
    """

    name: str
    method: str
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
            f"{self.method}, {reading}": found for reading, found in self.after.items()
        }
        frames = [found.table().assign(model=name) for name, found in models.items()]
        table = pd.concat(frames, ignore_index=True)
        return table.loc[:, ["model", *table.columns[:-1]]].round(1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "recipe": self.name,
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

        def both(found: Retrieval) -> str:
            return f"{found.caption_to_image.at(1):.1%} / {found.image_to_caption.at(1):.1%}"

        told = (
            f"R@1 by caption / by picture among {self.pictures:,} pictures held out: "
            f"{both(self.before)} before training, {both(self.after['unmasked'])} after it"
        )
        masked = self.after.get("masked")
        return f"{told}." if masked is None else f"{told}, {both(masked)} read through the masks."

    def section(self) -> Section:
        """The story of this run for a report."""
        return Section(
            title=f"{self.name} on {Path(self.source).name}",
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

    def show(self, console: Console) -> None:
        """Retrieval before and after, and the verdict."""
        console.print(retrieval_table("held out", self.table()))
        console.print(self.verdict())


def measure(data: "PairData", trained: Sequence[Trained]) -> FineTuning | None:
    """Compare a trained model with the weights it started from; None on all ranks but the first.

    Args:
        data: what it was trained on, with what was held out.
        trained: one run.
    """
    (done,) = trained
    asked = data.held_out()
    after = asked.retrieved(done.model)
    if rank() > 0:
        return None
    before = asked.retrieved(done.run.model(data, done.device))["unmasked"]
    metrics = read_metrics(done.folder.path / METRICS)
    name = data.options.recipe + ("-debug" if data.options.debug else "")
    result = FineTuning(
        name=name,
        method=done.title,
        source=data.data.source,
        weights=data.origin,
        lengths=data.lengths,
        left_out=data.left_out + len(asked.problems),
        cut=metrics[-1]["captions_cut"],
        pictures=len(asked),
        before=before,
        after=after,
        folder=done.folder,
    )
    save(training_curves(metrics), result.folder.figure("training"))
    return result

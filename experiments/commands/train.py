"""`smartclip train`: train, measure, and write a report."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from experiments.commands.command import Command
from experiments.commands.data import Reading
from experiments.commands.verify import Verify

if TYPE_CHECKING:
    import pandas as pd

    from experiments.pictures import PictureResult
    from experiments.recipes.pairs import PairRecipe
    from experiments.recipes.pictures import PictureRecipe


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainVectors(Verify):
    """Train on simulated latents; the same as `smartclip verify`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainDigits(Command):
    """Train on scenes of real handwritten digits with worded captions, and plain CLIP beside it.

    About three minutes on two cores.
    """

    joins: ClassVar[bool] = True

    debug: bool = False
    """The recipe's twin of seconds: small towers, six steps."""
    seed: int = 0
    """Of the batches, the initial weights and the gates."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from experiments.recipes.digits import digits

        recipe = digits(seed=self.seed)
        return train_and_tell(recipe.debug() if self.debug else recipe, self.out, self.device)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainEmoji(Command):
    """Train on the emoji of two vendors with their real captions, and plain CLIP beside it.

    The data are fetched once (`smartclip data emoji`). Held out are whole subjects and
    combinations of subject, gender and skin tone.
    """

    joins: ClassVar[bool] = True

    debug: bool = False
    """The recipe's twin of seconds: small towers, six steps."""
    seed: int = 0
    """Of the batches, the initial weights and the gates."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from experiments.recipes.emoji import emoji

        recipe = emoji(seed=self.seed)
        return train_and_tell(recipe.debug() if self.debug else recipe, self.out, self.device)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainScenes(Command):
    """Train on rendered scenes with captions in words, and plain CLIP beside it.

    What is known of simulated pictures is measured too: every block of the lattice, and which words
    open which coordinates. `smartclip bench scenes` does that for several seeds, without CLIP.
    """

    joins: ClassVar[bool] = True

    debug: bool = False
    """The recipe's twin of seconds: small towers, six steps."""
    seed: int = 0
    """Of the batches, the initial weights and the gates."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from experiments.recipes.scenes import scenes

        recipe = scenes(seed=self.seed)
        return train_and_tell(recipe.debug() if self.debug else recipe, self.out, self.device)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainPairs(Reading):
    """Train on any images with captions, from pretrained weights, and compare with those weights.

    Captions may have several sentences; a recipe says which are kept at a step. The first pictures
    of the data set are held out. Stopped and started again, the same command continues. Under
    torchrun all its processes train together.
    """

    joins: ClassVar[bool] = True

    recipe: Literal["vit-b-16", "vit-l-14", "vit-b-16-500-steps"] = "vit-b-16-500-steps"
    """The published settings for ViT-B/16 or ViT-L/14, or 500 steps of the first."""
    debug: bool = False
    """The recipe's twin of seconds: tiny random towers, four steps."""
    weights: str | None = None
    """Where the towers start: a file or folder of weights, hf-hub:owner/name, or one of
    open_clip's tags; the recipe's own by default."""
    steps: int | None = None
    """Training steps, whatever the recipe says."""
    batch_size: int | None = None
    """Pairs per step, over all processes; the recipe's own by default."""
    micro_batch: int | None = None
    """Pairs that pass the towers at a time; less memory, the same numbers."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Of the towers' matrix products; the recipe's own by default."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Over several processes: a whole model on each, or a part of it."""
    policy: Literal["prefix", "subset", "single", "pair", "window", "all"] | None = None
    """Which sentences of a caption are kept at a step; published is prefix."""
    held_out: int | None = None
    """Pictures from the start of the data set kept for retrieval; 1,000, or a tenth of few."""
    skip: bool = False
    """Leave out pictures that cannot be used, counted and logged; else the first is an error."""
    seed: int = 0
    """Of the batches, the initial weights of the mask network and the gates."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from rich.console import Console

        from experiments.device import choose_device
        from experiments.pairs import train_pairs
        from experiments.report import write_report
        from smartclip.train.ranks import joined

        recipe, device = self.chosen(), choose_device(self.device)
        console = Console(highlight=False)
        with joined(device) as own:
            data = self.read()
            result = train_pairs(
                recipe,
                data,
                self.out,
                device=own,
                held_out=self.held_out,
                skip=self.skip,
                workers=self.workers,
                say=lambda told: console.print(told, markup=False),
            )
        if result is None:
            return {}
        tell_retrieval(console, "held out", result.table())
        console.print(result.verdict())
        page = write_report(result.folder.path / "report.html", recipe.name, [result.section()])
        print(f"\nReport: {page}")
        return result.to_dict() | {"report": str(page)}

    def chosen(self) -> "PairRecipe":
        """The recipe, with what was asked for changed."""
        from experiments.recipes.published import RECIPES

        recipe = RECIPES[self.recipe](seed=self.seed)
        if self.debug:
            recipe = recipe.debug()
        train, execution = recipe.train, replace(recipe.execution, parallel=self.parallel)
        if self.steps is not None:
            train = replace(train, steps=self.steps)
            recipe = replace(recipe, epochs=None)
        if self.batch_size is not None:
            train = replace(train, batch_size=self.batch_size)
        if self.micro_batch is not None:
            execution = replace(execution, micro_batch=self.micro_batch)
        if self.precision is not None:
            execution = replace(execution, precision=self.precision)
        return replace(
            recipe,
            train=train,
            execution=execution,
            weights=recipe.weights if self.weights is None else self.weights,
            policy=recipe.policy if self.policy is None else self.policy,
        )


def train_and_tell(recipe: "PictureRecipe", out: Path, device: str) -> dict[str, Any]:
    """Run a recipe, print what it found, write the report; nothing on all ranks but the first."""
    from rich.console import Console

    from experiments.device import choose_device
    from experiments.pictures import train_pictures
    from experiments.report import write_report
    from smartclip.train.ranks import joined, rank

    console = Console(highlight=False)
    with joined(choose_device(device)) as own:
        if first := rank() == 0:
            console.print(str(recipe.record), markup=False)
        result = train_pictures(recipe, out, device=own)
    if not first:
        return {}
    tell(console, result)
    page = write_report(result.folder.path / "report.html", result.title, [result.section()])
    print(f"\nReport: {page}")
    return result.to_dict() | {"report": str(page)}


def tell(console: Any, result: "PictureResult") -> None:
    """R@k of every model in a table for each gallery, and the comparison in words."""
    for gallery, rows in result.table().groupby("gallery", sort=False):
        tell_retrieval(console, str(gallery), rows)
    console.print(result.verdict())


def tell_retrieval(console: Any, gallery: str, rows: "pd.DataFrame") -> None:
    """R@k of every model and direction on one gallery."""
    from rich.table import Table

    chance = ", ".join(f"{rows[f'chance@{k}'].iloc[0]:.1f}" for k in (1, 5, 10))
    table = Table("model", "direction", "R@1", "R@5", "R@10")
    table.title = f"{gallery}: percent answered (chance {chance})"
    for row in rows.to_dict("records"):
        table.add_row(row["model"], row["direction"], *(f"{row[f'R@{k}']:.1f}" for k in (1, 5, 10)))
    console.print(table)

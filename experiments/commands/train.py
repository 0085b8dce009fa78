"""`smartclip train`: train, measure, and write a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.commands.command import Command
from experiments.commands.verify import Verify

if TYPE_CHECKING:
    from experiments.pictures import PictureResult
    from experiments.recipes.pictures import PictureRecipe


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainVectors(Verify):
    """Train on simulated latents; the same as `smartclip verify`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainDigits(Command):
    """Train on scenes of real handwritten digits with worded captions, and plain CLIP beside it.

    About three minutes on two cores.
    """

    seed: int = 0
    """Of the batches, the initial weights and the gates."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from experiments.recipes.digits import digits

        return train_and_tell(digits(seed=self.seed), self.out, self.device)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainEmoji(Command):
    """Train on the emoji of two vendors with their real captions, and plain CLIP beside it.

    The data are fetched once (`smartclip data emoji`). Held out are whole subjects and
    combinations of subject, gender and skin tone.
    """

    seed: int = 0
    """Of the batches, the initial weights and the gates."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from experiments.recipes.emoji import emoji

        return train_and_tell(emoji(seed=self.seed), self.out, self.device)


def train_and_tell(recipe: "PictureRecipe", out: Path, device: str) -> dict[str, Any]:
    """Run a recipe, print what it found, write the report."""
    from rich.console import Console

    from experiments.device import choose_device
    from experiments.pictures import train_pictures
    from experiments.report import write_report

    result = train_pictures(recipe, out, device=choose_device(device))
    tell(Console(highlight=False), result)
    page = write_report(result.folder.path / "report.html", result.title, [result.section()])
    print(f"\nReport: {page}")
    return result.to_dict() | {"report": str(page)}


def tell(console: Any, result: "PictureResult") -> None:
    """R@k of every model in a table for each gallery, and the comparison in words."""
    from rich.table import Table

    for gallery, rows in result.table().groupby("gallery", sort=False):
        chance = ", ".join(f"{rows[f'chance@{k}'].iloc[0]:.1f}" for k in (1, 5, 10))
        table = Table("model", "direction", "R@1", "R@5", "R@10")
        table.title = f"{gallery}: percent answered (chance {chance})"
        for row in rows.to_dict("records"):
            table.add_row(
                row["model"], row["direction"], *(f"{row[f'R@{k}']:.1f}" for k in (1, 5, 10))
            )
        console.print(table)
    console.print(result.verdict())

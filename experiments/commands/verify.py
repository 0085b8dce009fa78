"""`smartclip verify`: predict, train on a vector world, measure, and give the verdict."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from experiments.commands.caption_text import parse_captions, parse_sizes
from experiments.commands.command import Command

if TYPE_CHECKING:
    from experiments.recipes.vectors import VectorRecipe
    from experiments.verification import Verification


@dataclass(frozen=True, kw_only=True, slots=True)
class Verify(Command):
    """Predict which blocks a set of captions identifies, train, and measure whether it got there.

    Without captions: {0,1,2}, {0,3,4}, {1,3}, {2,4}, five concepts of two dimensions. About a
    minute on two cores. The same command gives the same numbers. Under torchrun all its processes
    train together.
    """

    joins: ClassVar[bool] = True

    captions: str | None = None
    """Captions separated by ";", the concepts of each by ",": "bear,pen;bear,chair"."""
    sizes: str | None = None
    """Latent dimensions of a concept where it is not 1: "bear=2,pen=3"."""
    dependence: float = 0.0
    """Correlation between the concepts, through one common factor."""
    dimension: int | None = None
    """Coordinates of the code; twice the dimensions of the latents by default."""
    seed: int = 0
    """Of the samples, the initial weights and the gates."""
    steps: int | None = None
    """Training steps with learning masks; the recipe's own by default."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from rich.console import Console

        from experiments.device import choose_device
        from experiments.report import write_report
        from experiments.verification import verify
        from smartclip.train.ranks import joined, rank

        with joined(choose_device(self.device)) as own:
            first = rank() == 0
            done = verify(self.recipe(), self.out, device=own)
        if not first:
            return {}
        page = write_report(done.folder.path / "report.html", "Verification", [done.section()])
        tell(Console(highlight=False), done)
        print(f"\nReport: {page}")
        return done.to_dict() | {"report": str(page)}

    def recipe(self) -> "VectorRecipe":
        """The recipe of the demo, with what was asked for changed."""
        from dataclasses import replace

        from experiments.recipes.vectors import (
            DEMO_CAPTIONS,
            DEMO_SIZE,
            VectorRecipe,
            identifying,
        )

        train = identifying(seed=self.seed)
        if self.steps is not None:
            share = train.refine_steps / train.steps
            train = replace(train, steps=self.steps, refine_steps=round(share * self.steps))
        if self.captions is None:
            captions, sizes = DEMO_CAPTIONS, dict.fromkeys("01234", DEMO_SIZE)
        else:
            captions, sizes = tuple(map(tuple, parse_captions(self.captions))), {}
        if self.sizes is not None:
            sizes = sizes | parse_sizes(self.sizes)
        return VectorRecipe(
            captions=captions,
            sizes=tuple(sizes.items()),
            dependence=self.dependence,
            dimension=self.dimension,
            train=train,
        )


def tell(console: Any, done: "Verification") -> None:
    """The verdict in words and the blocks in a table."""
    from rich.table import Table

    table = Table(title="What was promised and what was measured (held out)")
    for title in ("block", "", "promised", "completeness", "purity", "floor", "coordinates"):
        table.add_column(title, justify="left" if title in ("block", "") else "right")
    table.add_column("verdict")
    order = done.prediction.family.space.ordered
    names = ["{" + ", ".join(map(str, order(row.block))) + "}" for row in done.recovery.blocks]
    for name, row in zip(names, done.recovery.blocks, strict=True):
        colour = "green" if row.verdict.as_predicted else "red"
        table.add_row(
            name,
            row.kind,
            "yes" if row.promised else "no",
            f"{row.completeness.average:.3f}",
            f"{row.purity.average:.3f}",
            f"{row.completeness.floor:.3f}",
            f"{len(row.coordinates)} for {row.dimension}",
            f"[{colour}]{row.verdict}[/{colour}]",
        )
    console.print(table)
    beside = Table(title="The same scores / of an oracle / of a null (the code of other samples)")
    beside.add_column("block")
    beside.add_column("")
    for title in ("completeness", "purity"):
        beside.add_column(title, justify="right", no_wrap=True)
    for name, row in zip(names, done.beside.to_dict("records"), strict=True):
        scores = [
            " / ".join(
                f"{round(row[direction + end], 2) + 0:.2f}"
                for end in ("", "_of_oracle", "_of_null")
            )
            for direction in ("completeness", "purity")
        ]
        beside.add_row(name, row["kind"], *scores)
    console.print(beside)
    console.print(
        f"Masks of the same kind of caption agree in {done.code.agreement:.1%} of captions."
    )
    controls = Table(title="The same code under other masks")
    for title in ("masks", "promised blocks recovered", "completeness", "purity"):
        controls.add_column(title, justify="left" if title == "masks" else "right")
    for name, row in done.controls.iterrows():
        controls.add_row(
            str(name), f"{row.recovered:.0%}", f"{row.completeness:.3f}", f"{row.purity:.3f}"
        )
    console.print(controls)
    console.print(done.swap_words)
    console.print(done.fold_words)
    for words in filter(None, (done.twin_words, done.independent_words)):
        console.print(words)
    console.print(done.recovery.verdict)

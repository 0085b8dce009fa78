"""`smartclip train DATASET --method NAME`: train, measure, and write a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Union

import tyro

from experiments.commands.command import Command
from experiments.datasets import datasets
from experiments.datasets.dataset import Dataset
from smartclip.methods import METHODS
from theory.errors import InputError


def any_dataset() -> Any:
    """The union of all data sets, each a subcommand under its name."""
    return Union[  # noqa: UP007  (its members are known when it is asked for)
        tuple(Annotated[one, tyro.conf.subcommand(name)] for name, one in datasets().items())
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Train(Command):
    """Train a method on a data set, measure it, and write a report.

    Stopped and started again, the same command continues; finished, it reads the finished run.
    Under torchrun all its processes train together.
    """

    joins: ClassVar[bool] = True
    resumes: ClassVar[bool] = True

    data: Annotated[Dataset, tyro.conf.arg(constructor_factory=any_dataset)]
    """Which data set."""
    method: str | None = None
    """What is minimised: ours, published, clip or long-clip; the data set says which by default."""
    beside: tuple[str, ...] | None = None
    """Methods to train and measure beside it; the data set says which by default."""
    steps: int | None = None
    """Training steps of every method; those of the data set by default."""
    seed: int = 0
    """Of the batches, the initial weights and the gates."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        if self.beside and not self.data.beside:
            raise InputError(
                f"--beside {' '.join(self.beside)} for {self.data.name}",
                rule="this data set measures one method at a time",
                fix="train the other one by its own command",
            )
        beside = self.data.beside if self.beside is None else self.beside
        names = tuple(dict.fromkeys((self.method or self.data.default_method, *beside)))
        for name in names:
            if name not in METHODS:
                raise InputError(
                    f"method {name!r}",
                    rule="the methods are " + ", ".join(METHODS),
                    fix="choose among them",
                )
        return train_and_tell(
            self.data, names, seed=self.seed, steps=self.steps, out=self.out, device=self.device
        )


def train_and_tell(
    data: Dataset,
    names: tuple[str, ...],
    *,
    seed: int,
    steps: int | None,
    out: Path,
    device: str,
) -> dict[str, Any]:
    """Run methods on a data set, print what was found and write the report.

    Returns:
        The result in plain JSON types; nothing on all processes of torchrun but the first.
    """
    from rich.console import Console

    from experiments.device import choose_device
    from experiments.report import write_report
    from experiments.run import train_and_measure
    from smartclip.train.ranks import joined

    with joined(choose_device(device)) as own:
        result = train_and_measure(data, names, out, seed=seed, steps=steps, device=own)
    if result is None:
        return {}
    section = result.section()
    page = write_report(section.folder / "report.html", section.title, [section])
    console = Console(highlight=False)
    result.show(console)
    console.print(f"\nReport: {page}", markup=False, soft_wrap=True)
    return result.to_dict() | {"report": str(page)}

"""`smartclip study NAME`: does training do what the theory says?"""

import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro

import experiments.studies
from experiments.commands.command import Command
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Study(Command):
    """Run a study: a hypothesis, a grid of runs, a figure, and a conclusion from the numbers.

    It can be stopped, and goes on where it was: runs whose rows are in the table beside the page
    are not run again. Without a name it lists the studies.
    """

    resumes: ClassVar[bool] = True

    name: Annotated[str | None, tyro.conf.Positional] = None
    """Which study."""
    size: Literal["smoke", "laptop", "full"] = "laptop"
    """How large a grid: seconds, minutes to an hour on two cores, or all of it."""
    seeds: tuple[int, ...] | None = None
    """Instead of the seeds of the study, which no choice was made on."""
    only: tuple[str, ...] = ()
    """Parts of the grid, such as methods; the study's own by default."""
    out: Path | None = None
    """The Markdown page, table and figures beside it; in runs/ under its name by default."""
    runs: Path = Path("runs")
    """Folder that keeps runs."""
    workers: int = 2
    """Processes, one thread each."""
    device: str = "cpu"
    """auto, cpu, cuda or cuda:1; the processes share a GPU."""

    def run(self) -> dict[str, Any]:
        known = [module.name for module in pkgutil.iter_modules(experiments.studies.__path__)]
        if self.name is None:
            print("\n".join(known))
            return {"studies": known}
        if self.name not in known:
            raise InputError(
                f"study {self.name!r}",
                rule="the studies are " + ", ".join(known),
                fix="choose one of them",
            )
        if self.workers < 1:
            raise InputError(
                f"{self.workers} workers", rule="at least one works", fix="give 1 or more"
            )
        return self._run(self.name)

    def _run(self, name: str) -> dict[str, Any]:
        import importlib

        from rich.console import Console
        from rich.table import Table

        from experiments.harness import Study as Harness
        from experiments.harness import run_study
        from experiments.registry import of_module

        (kind,) = of_module(importlib.import_module(f"experiments.studies.{name}"), Harness)
        out = self.out or Path("runs") / f"{name}.md"
        table, page = run_study(
            kind(),  # pyright: ignore[reportAbstractUsage]  (of_module leaves abstract ones out)
            size=self.size,
            seeds=self.seeds,
            only=self.only,
            out=out,
            runs=self.runs,
            workers=self.workers,
            device=self.device,
        )
        console = Console(highlight=False)
        for title, rows in page.tables[:1]:
            shown = Table(*map(str, rows.columns), title=title)
            for row in rows.to_numpy().tolist():
                shown.add_row(*map(str, row))
            console.print(shown)
        console.print(page.conclusion)
        console.print(f"Page: {out}", markup=False, soft_wrap=True)
        return {"conclusion": page.conclusion, "rows": table.to_dict("records"), "page": str(out)}

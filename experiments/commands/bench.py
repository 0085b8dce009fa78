"""`smartclip bench`: our times beside a reference's; and whether training reaches the theorems."""

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from experiments.commands.command import Command
from theory.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

SUITE, SCENES = "identification", "scenes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench(Command):
    """Run the benchmarks and print times, references and ratios.

    `smartclip bench identification` is the identification suite instead: twelve families under two
    laws of the latents for each seed, ten minutes a seed on two cores. `smartclip bench scenes`
    asks the same of rendered scenes and words. Both can be stopped and go on where they were.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which benchmarks; all that measure times by default."""
    seeds: tuple[int, ...] = (2,)
    """Of the two studies; that of identification was set on seeds 0 and 1, of scenes on 0 to 4."""
    without: tuple[str, ...] = ()
    """Of the identification suite: ablations instead of the whole, such as clip."""
    out: Path | None = None
    """Page of a study, its table and figures beside it; in runs/ under its name by default."""
    workers: int = 2
    """Processes of a study, one thread each."""

    def run(self) -> dict[str, Any]:
        from rich.console import Console
        from rich.table import Table

        import experiments.benchmarks as benchmarks

        timed = sorted(
            module.name
            for module in pkgutil.iter_modules(benchmarks.__path__)
            if module.name != "measurement"
        )
        for name in self.names:
            if name not in (*timed, SUITE, SCENES):
                raise InputError(
                    f"benchmark {name!r}",
                    rule=f"the benchmarks are {', '.join(timed)}, {SUITE} and {SCENES}",
                    fix="choose among them, or give none to run all",
                )
        console = Console()
        results: dict[str, Any] = {}
        for name in self.names or timed:
            if name in (SUITE, SCENES):
                study = self.suite if name == SUITE else self.scenes
                results[name] = study(console, self.out or Path("runs") / f"{name}.md")
                continue
            with console.status(f"measuring {name}"):
                module = importlib.import_module(f"experiments.benchmarks.{name}")
                measurements = module.measurements()
            table = Table("work", "seconds", "reference", "seconds", "ratio", "target", "note")
            table.title = name
            for row in measurements:
                compared = row.reference != ""
                table.add_row(
                    row.work,
                    f"{row.seconds:.4g}",
                    row.reference,
                    f"{row.reference_seconds:.4g}" if compared else "",
                    f"{row.ratio:.3g}" if compared else "",
                    row.target,
                    row.note,
                )
            console.print(table)
            results[name] = [row.to_dict() for row in measurements]
        return results

    def suite(self, console: "Console", out: Path) -> list[dict[str, Any]]:
        """Run the identification suite, print what each method reached, return its runs."""
        from experiments.studies.identification import suite
        from experiments.studies.identification_page import by_method

        runs = suite(seeds=self.seeds, without=self.without, out=out, workers=self.workers)
        _show(console, by_method(runs), title=SUITE, page=out)
        return runs.to_dict("records")

    def scenes(self, console: "Console", out: Path) -> list[dict[str, Any]]:
        """Run the study of scenes, print what each kind of block reached, return the blocks."""
        from experiments.studies.scenes import by_kind, study

        blocks = study(seeds=self.seeds, out=out, workers=self.workers)
        _show(console, by_kind(blocks), title=SCENES, page=out)
        return blocks.to_dict("records")


def _show(console: "Console", rows: "pd.DataFrame", *, title: str, page: Path) -> None:
    from rich.table import Table

    table = Table(*rows.columns, title=title)
    for row in rows.to_numpy().tolist():
        table.add_row(*map(str, row))
    console.print(table)
    console.print(f"Page: {page}", markup=False)

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
    from rich.console import Console

SUITE = "identification"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench(Command):
    """Run the benchmarks and print times, references and ratios.

    `smartclip bench identification` is the identification suite instead: twelve families under two
    laws of the latents for each seed, ten minutes a seed on two cores. It can be stopped and goes
    on where it was.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which benchmarks; all that measure times by default."""
    seeds: tuple[int, ...] = (2,)
    """Of the identification suite; its setting was chosen on seeds 0 and 1."""
    without: tuple[str, ...] = ()
    """Of the identification suite: ablations instead of the whole, such as clip."""
    out: Path = Path("runs/identification.md")
    """Page of the identification suite; its runs are kept beside it."""
    workers: int = 2
    """Processes of the identification suite, one thread each."""

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
            if name not in (*timed, SUITE):
                raise InputError(
                    f"benchmark {name!r}",
                    rule=f"the benchmarks are {', '.join(timed)} and {SUITE}",
                    fix="choose among them, or give none to run all",
                )
        console = Console()
        results: dict[str, Any] = {}
        for name in self.names or timed:
            if name == SUITE:
                results[name] = self.suite(console)
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

    def suite(self, console: "Console") -> list[dict[str, Any]]:
        """Run the identification suite, print what each method reached, return its runs."""
        from rich.table import Table

        from experiments.studies.identification import suite
        from experiments.studies.identification_page import by_method

        runs = suite(seeds=self.seeds, without=self.without, out=self.out, workers=self.workers)
        rows = by_method(runs)
        table = Table(*rows.columns, title=SUITE)
        for row in rows.to_numpy().tolist():
            table.add_row(*map(str, row))
        console.print(table)
        console.print(f"Page: {self.out}", markup=False)
        return runs.to_dict("records")

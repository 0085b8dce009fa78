"""`smartclip bench`: our times beside a reference's, in the same process."""

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.commands.command import Command
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench(Command):
    """Run the benchmarks and print times, references and ratios."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which benchmarks; all but gpu by default."""
    pretend: bool = False
    """Of gpu: every part at toy size on the CPU, to see that it runs."""
    parts: tuple[str, ...] = ()
    """Of gpu: which parts; what the page has of the others stays. All by default."""
    out: Path = Path("runs/gpu.md")
    """Of gpu: the page. The figures of other machines on it stay."""

    def run(self) -> dict[str, Any]:
        import experiments.benchmarks as benchmarks

        known = sorted(
            module.name
            for module in pkgutil.iter_modules(benchmarks.__path__)
            if module.name != "measurement"
        )
        ordinary = [name for name in known if name != "gpu"]
        for name in self.names:
            if name not in known:
                raise InputError(
                    f"benchmark {name!r}",
                    rule=f"the benchmarks are {', '.join(known)}",
                    fix="choose among them, or give none to run all",
                )
        if self.pretend and "gpu" not in self.names:
            raise InputError(
                "--pretend", rule="only the benchmark gpu pretends", fix="ask for it by name"
            )
        return {
            name: self._on_gpu() if name == "gpu" else measured(name)
            for name in self.names or ordinary
        }

    def _on_gpu(self) -> dict[str, Any]:
        from experiments.benchmarks.gpu.run import run_parts

        found = run_parts(self.out, pretend=self.pretend, only=self.parts)
        print(f"Page: {self.out}")
        return found


def measured(name: str) -> list[dict[str, Any]]:
    """Run one benchmark and print its table."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
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
    return [row.to_dict() for row in measurements]

"""What a task said of a checkpoint, beside another: numbers with intervals, protocol, figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from experiments.figures.evaluation import bars, curve
from experiments.figures.style import save
from experiments.report import Picture, Section, write_report
from experiments.run_folder import RESULT, RunFolder
from experiments.tasks.task import Outcome
from smartclip.data.printed import shown
from smartclip.evaluate.comparison import Difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """One task.

    Attributes:
        task: its name.
        model: the checkpoint.
        other: the checkpoint beside it, if any.
        outcome: of the first.
        beside: of the other.
    """

    task: str
    model: str
    other: str | None
    outcome: Outcome
    beside: Outcome | None = None

    def gains(self) -> dict[str, Difference]:
        """Each score minus that of the other checkpoint, paired by query.

        Scores that the other does not have (it has no masks) are compared with its unmasked ones.
        """
        if self.beside is None:
            return {}
        found = {}
        for name, score in self.outcome.scores.items():
            other = self.beside.scores.get(name)
            if other is None:
                other = self.beside.scores.get(name.replace(", masked", ", unmasked"))
            if other is not None:
                found[name] = score.beside(other)
        return found

    def table(self) -> pd.DataFrame:
        """One row a score: percent, 95 % interval, chance, and the gain over the other."""
        gains, rows = self.gains(), []
        for name, score in self.outcome.scores.items():
            found = score.interval()
            row: dict[str, Any] = {
                "score": name,
                "percent": f"{100 * found.mean:.1f}",
                "95 %": f"{100 * found.low:.1f} to {100 * found.high:.1f}",
                "queries": f"{len(score.values):,}",
                "chance": "" if score.chance is None else f"{100 * score.chance:.1f}",
            }
            if self.beside is not None:
                gain = gains.get(name)
                row["gain"] = "" if gain is None else _told(gain)
            rows.append(row)
        return pd.DataFrame(rows)

    def numbers(self) -> pd.DataFrame:
        """Values without an interval."""
        rows = []
        for name, value in self.outcome.numbers.items():
            row: dict[str, Any] = {"value": name, "model": f"{value:.4g}"}
            if self.beside is not None:
                other = self.beside.numbers.get(name)
                row["beside"] = "" if other is None else f"{other:.4g}"
            rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.outcome.to_dict(),
            "beside": None if self.beside is None else self.beside.to_dict(),
            "gains": {name: gain.to_dict() for name, gain in self.gains().items()},
        }

    def show(self, console: Console) -> None:
        """The table, and the protocol under it."""
        rows = self.table()
        table = Table(title=f"{self.task}, in percent")
        for number, column in enumerate(rows.columns):
            table.add_column(str(column), no_wrap=number == 0)
        for row in rows.to_numpy().tolist():
            table.add_row(*map(str, row))
        console.print(table)
        for name, value in self.outcome.numbers.items():
            console.print(f"{name}: {value:.4g}", markup=False)
        if self.other is not None:
            console.print(f"Gain: over {shown(self.other)}, paired by query.", markup=False)
        told = "; ".join(f"{name}: {shown(value)}" for name, value in self._protocol().items())
        console.print(f"Protocol: {told}.", markup=False)

    def section(self, folder: RunFolder) -> Section:
        """For the report; draws the figures."""
        name = self.task
        pictures = []
        save(bars(self.outcome, self.beside), folder.figure(name))
        text = "Percent, with 95 % intervals" + (
            "." if self.beside is None else "; hollow: the checkpoint beside."
        )
        pictures.append(Picture(path=folder.figure(name), text=text))
        for key, each in self.outcome.curves.items():
            other = self.beside.curves.get(key) if self.beside else None
            path = folder.figure(f"{name}-{key}")
            save(curve(each, other), path)
            pictures.append(Picture(path=path, text=f"{each.title} against {each.setting}."))
        first, score = next(iter(self.outcome.scores.items()))
        found = score.interval()
        verdict = f"{first}: {found.mean:.1%} ({found.low:.1%} to {found.high:.1%})."
        gain = self.gains().get(first)
        if gain is not None:
            verdict += f" Beside {shown(self.other)}: {_told(gain)} points."
        protocol = pd.DataFrame(
            [{"protocol": key, "": shown(value)} for key, value in self._protocol().items()]
        )
        tables = [(f"{name}, in percent", self.table())]
        if self.outcome.numbers:
            tables.append(("Without an interval", self.numbers()))
        return Section(
            title=f"{name}: {shown(self.model)}",
            verdict=verdict,
            pictures=pictures,
            tables=[*tables, ("Protocol", protocol)],
            folder=folder.path,
        )

    def _protocol(self) -> dict[str, Any]:
        return self.outcome.protocol


def write(root: Path, found: Sequence[Evaluation], *, settings: dict[str, Any]) -> Path:
    """Figures, `result.json` and the report, in a folder of their own."""
    weights = [one.outcome.protocol["weights"] for one in found]
    folder = RunFolder.open(root, "evaluate", settings | {"weights": weights})
    folder.write_json(RESULT, {one.task: one.to_dict() for one in found})
    sections = [one.section(folder) for one in found]
    return write_report(folder.path / "report.html", "Evaluation", sections)


def _told(gain: Difference) -> str:
    """A difference in points with its interval, and whether it is one."""
    call = "" if gain.decided else ", not decided"
    return f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f}{call})"

"""`smartclip demo`: the whole story once, on simulated latents and on real handwriting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.commands.command import Command
from experiments.datasets.digits import Digits
from experiments.datasets.vectors import Vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo(Command):
    """Predict, train, measure and report: simulated latents first, then scenes of real digits.

    Under ten minutes on two cores.
    """

    resumes: ClassVar[bool] = True

    seed: int = 0
    """Of all runs."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from rich.console import Console

        from experiments.device import choose_device
        from experiments.report import write_report
        from experiments.run import train_and_measure

        console = Console(highlight=False)
        device = choose_device(self.device)
        story = {
            "vectors": ("1 of 2: simulated latents", Vectors()),
            "digits": ("2 of 2: real handwriting, worded captions", Digits()),
        }
        results = {}
        for name, (heading, data) in story.items():
            console.rule(heading)
            names = ("ours", *data.beside)
            result = train_and_measure(data, names, self.out, seed=self.seed, device=device)
            assert result is not None  # torchrun does not start this command
            result.show(console)
            results[name] = result
        page = write_report(
            self.out / "demo.html",
            "SmartCLIP: what captions identify, and whether training got there",
            [result.section() for result in results.values()],
        )
        console.print(f"\nOpen the report in a browser: {page.resolve()}", soft_wrap=True)
        console.print(
            'Next: smartclip predict --captions "bear,pen;bear,chair", make lab, make test '
            "(smartclip is in .venv/bin)"
        )
        return {name: result.to_dict() for name, result in results.items()} | {"report": str(page)}

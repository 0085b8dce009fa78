"""`smartclip demo`: the whole story once, on simulated latents and on real handwriting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.commands.command import Command


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo(Command):
    """Predict, train, measure and report: a vector world first, then scenes of real digits.

    Under ten minutes on two cores.
    """

    seed: int = 0
    """Of both runs."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        from rich.console import Console

        from experiments.commands import train, verify
        from experiments.device import choose_device
        from experiments.pictures import train_pictures
        from experiments.recipes.digits import digits
        from experiments.report import write_report
        from experiments.verification import verify as verify_run

        console = Console(highlight=False)
        device = choose_device(self.device)
        console.rule("1 of 2: simulated latents")
        vectors = verify_run(verify.Verify(seed=self.seed).recipe(), self.out, device=device)
        verify.tell(console, vectors)
        console.rule("2 of 2: real handwriting, worded captions")
        scenes = train_pictures(digits(seed=self.seed), self.out, device=device)
        train.tell(console, scenes)
        page = write_report(
            self.out / "demo.html",
            "SmartCLIP: what captions identify, and whether training got there",
            [vectors.section(), scenes.section()],
        )
        console.print(f"\nOpen the report in a browser: {page.resolve()}", soft_wrap=True)
        console.print(
            'Next: smartclip predict --captions "bear,pen;bear,chair", make lab, make test '
            "(smartclip is in .venv/bin)"
        )
        return {
            "vectors": vectors.to_dict(),
            "digits": scenes.to_dict(),
            "report": str(page),
        }

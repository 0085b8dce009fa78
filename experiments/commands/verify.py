"""`smartclip verify`: predict, train on simulated latents, measure, and give the verdict."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from experiments.commands.command import Command
from experiments.commands.train import train_and_tell
from experiments.datasets.vectors import Vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class Verify(Command):
    """Predict which blocks a set of captions identifies, train, and measure whether it got there.

    Without captions: {0,1,2}, {0,3,4}, {1,3}, {2,4}, five concepts of two dimensions. About a
    minute on two cores. The same command gives the same numbers. It is `train vectors` with our
    method. Under torchrun all its processes train together.
    """

    joins: ClassVar[bool] = True
    resumes: ClassVar[bool] = True

    data: Vectors = field(default_factory=Vectors)
    """The captions and the latents."""
    seed: int = 0
    """Of the samples, the initial weights and the gates."""
    steps: int | None = None
    """Training steps; 2,400 by default."""
    out: Path = Path("runs")
    """Folder that keeps the runs."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        return train_and_tell(
            self.data, ("ours",), seed=self.seed, steps=self.steps, out=self.out, device=self.device
        )

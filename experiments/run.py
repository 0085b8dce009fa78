"""One run: (data set, method, seed) -> folder -> trained model -> measurement -> report.

    train_and_measure  =  load the data  ->  train each method  ->  measure them together

The folder's name is a function of everything the numbers depend on, so the same command finds the
same folder: it continues there if it was stopped, and reads the finished model if it was not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from experiments.datasets.dataset import Data, Dataset, Result
from experiments.run_folder import RESULT, RunFolder
from smartclip.model import SmartCLIP
from smartclip.train.assembly import assemble
from smartclip.train.caption_pairs import learn_captions
from smartclip.train.config import TrainConfig
from smartclip.train.loop import train
from smartclip.train.method import Method
from smartclip.train.ranks import rank


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What is trained.

    Attributes:
        data: the data set, with its options.
        method: what is minimised.
        config: batch size, rates and seed.
    """

    data: Dataset
    method: Method
    config: TrainConfig

    @classmethod
    def of(cls, data: Data, name: str, *, seed: int = 0, steps: int | None = None) -> "Run":
        """A method by its name, under the budget of the data set."""
        options = data.options
        return cls(
            data=options,
            method=options.method(name, data.steps if steps is None else steps),
            config=options.config(seed),
        )

    def folder(self, root: Path, data: Data) -> RunFolder:
        """Where the run is kept."""
        optimiser = self.data.optimiser()
        settings: dict[str, Any] = {
            "data": self.data.name,
            "options": self.data.options(),
            "identity": data.identity(),
            "method": self.method.to_dict(),
            "training": self.config.to_dict(),
            "optimiser": optimiser.to_dict() if optimiser else {},
        }
        return RunFolder.open(root, f"{self.data.name}-{self.method.name}", settings)

    def model(self, data: Data, device: torch.device) -> SmartCLIP:
        """Fresh; its weights are drawn from the seed, whatever was drawn before."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            image, text, width, heads = data.towers()
            model = assemble(
                self.method,
                image,
                text,
                width=width,
                heads=heads,
                dimension=self.data.dimension,
            )
        return model.to(device)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A run that is done.

    Attributes:
        run: what was trained.
        model: in evaluation mode.
        folder: where everything is kept.
        device: of the model.
    """

    run: Run
    model: SmartCLIP
    folder: RunFolder
    device: torch.device

    @property
    def title(self) -> str:
        """The name of the method, for people."""
        return self.run.method.title


def trained(
    run: Run, data: Data, root: Path, *, device: torch.device, quiet: bool = False
) -> Trained:
    """Train a run, go on where it stopped, or read it if it is done.

    Args:
        run: what to train.
        data: that of `run.data.load()`.
        root: keeps the runs.
        device: of this process.
        quiet: no progress bar.
    """
    method, config = run.method, run.config
    folder, model = run.folder(root, data), run.model(data, device)
    label = f"{run.data.name}, {method.title}"
    with data.source(seed=config.seed, captions=method.objective.captions) as source:
        if method.captions_first is not None:
            learn_captions(
                model,
                source,
                method.captions_first,
                config,
                folder.path / "captions",
                label=f"{label}, captions",
                quiet=quiet,
            )
        model = train(
            model,
            source,
            method,
            config,
            folder.path,
            execution=run.data.execution(),
            optimiser=run.data.optimiser(),
            validation=data.validation(),
            label=label,
            quiet=quiet,
        )
    return Trained(run=run, model=model, folder=folder, device=device)


def train_and_measure(
    dataset: Dataset,
    names: Sequence[str],
    root: Path,
    *,
    seed: int,
    steps: int | None = None,
    device: torch.device,
    quiet: bool = False,
) -> Result | None:
    """Train methods on a data set and measure them together.

    Args:
        dataset: which.
        names: of the methods, the one that was asked for first, others beside it.
        root: keeps the runs.
        seed: of the initial weights, the batches and the gates.
        steps: of every method; those of the data set by default.
        device: of this process.
        quiet: no progress bar, and nothing told before the first step.

    Returns:
        What was measured, which is also written into the folder of the first run; None on all
        processes of torchrun but the first.
    """
    data = dataset.load()
    if not quiet and rank() == 0:
        for line in data.about():
            Console(highlight=False).print(line, markup=False)
    runs = [Run.of(data, name, seed=seed, steps=steps) for name in names]
    done = [trained(run, data, root, device=device, quiet=quiet) for run in runs]
    result = data.measure(done)
    if result is None or rank() > 0:
        return None
    done[0].folder.write_json(RESULT, result.to_dict())
    return result

"""`smartclip evaluate CHECKPOINT --tasks NAME=PATH ...`: what a trained model is judged by."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from experiments.checkpoints import FromCheckpoint, read_model
from experiments.commands.command import Command
from experiments.tasks import tasks
from experiments.tasks.task import Place
from theory.errors import InputError

if TYPE_CHECKING:
    from experiments.tasks.task import Outcome
    from smartclip.ready import ReadyModel

_TASKS = "Each task with where its data lie, NAME=PATH. " + "; ".join(
    f"{name}: {task.told}" for name, task in tasks().items()
)


@dataclass(frozen=True, kw_only=True)
class Evaluate(FromCheckpoint, Command):
    """Judge a checkpoint on data sets as they are published, beside the weights it started from.

    Every number is printed and stored with its protocol: split, captions, prompt, precision, crop
    and context.
    """

    tasks: Annotated[tuple[str, ...], tyro.conf.arg(help=_TASKS)]
    pictures: Path | None = None
    """Folder of the pictures, if it is not where the layout expects it."""
    split: str | None = None
    """One split, such as test, of layouts that have several."""
    format: str | None = None
    """How captions are laid out, if the path does not tell; see smartclip data audit --help."""
    beside: str | None = None
    """Another checkpoint, asked the same and compared query by query; the weights that a run
    started from by default."""
    skip: bool = False
    """Leave out pictures that cannot be used, counted; else the first is an error."""
    cache: Path | None = None
    """Folder that keeps embeddings of pictures, by content."""
    out: Path = Path("runs")
    """Folder that keeps the results."""
    device: str = "auto"
    """auto, cpu or cuda."""

    def run(self) -> dict[str, Any]:
        asked = self._asked()
        from rich.console import Console

        from experiments.results.evaluation import Evaluation, write

        models = {"model": self.ready()}
        if (other := self._beside(models["model"])) is not None:
            models["beside"] = other
        console = Console(highlight=False)
        outcomes: dict[str, dict[str, Outcome]] = {}
        for label, ready in models.items():
            for name, outcome in self._measured(ready, asked).items():
                outcomes.setdefault(name, {})[label] = outcome
        found = [
            Evaluation(
                task=name,
                model=models["model"].source,
                other=models["beside"].source if "beside" in models else None,
                outcome=each["model"],
                beside=each.get("beside"),
            )
            for name, each in outcomes.items()
        ]
        page = write(self.out, found, settings=self._settings())
        for one in found:
            one.show(console)
        console.print(f"\nReport: {page}", markup=False, soft_wrap=True)
        return {one.task: one.to_dict() for one in found} | {"report": str(page)}

    def _asked(self) -> dict[str, Place]:
        """Each task and its data.

        Raises:
            InputError: no such task, or no path.
        """
        known = tasks()
        found: dict[str, Place] = {}
        for each in self.tasks:
            name, _, path = each.partition("=")
            if name not in known or not path:
                raise InputError(
                    f"task {each!r}",
                    rule="a task is NAME=PATH, the names being " + ", ".join(known),
                    fix="write for example retrieval=coco/annotations/captions_val2017.json",
                )
            if name in found:
                raise InputError(
                    f"{name} twice",
                    rule="a task is asked once at a time, so that its name says which it is",
                    fix="run the other one by a command of its own",
                )
            if not Path(path).exists():
                raise InputError(
                    f"{path} does not exist", rule="data lie at a path", fix="check it"
                )
            found[name] = Place(
                path=Path(path), pictures=self.pictures, split=self.split, format=self.format
            )
        return found

    def _beside(self, ready: "ReadyModel") -> "ReadyModel | None":
        from smartclip.ready import RANDOM

        if self.beside is not None:
            return read_model(self.beside)
        if ready.start is None or ready.start == RANDOM:
            return None
        size = ready.architecture
        return read_model(ready.start, quick_gelu=size.quick_gelu, context=size.text.context)

    def _measured(self, ready: "ReadyModel", asked: dict[str, Place]) -> "dict[str, Outcome]":
        from experiments.device import choose_device
        from smartclip.evaluate.embedder import Embedder

        ready = replace(ready, model=ready.model.to(choose_device(self.device)))
        embedder = Embedder(ready, cache=self.cache, skip=self.skip)
        return {name: tasks()[name]().measure(embedder, place) for name, place in asked.items()}

    def _settings(self) -> dict[str, Any]:
        left = ("json", "out", "cache", "device")
        return {name: value for name, value in asdict(self).items() if name not in left}

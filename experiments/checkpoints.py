"""Any checkpoint as a model that is ready: a run of this project, or a CLIP of others."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from experiments.run_folder import read_json
from theory.errors import InputError

if TYPE_CHECKING:
    from experiments.datasets.pairs import Pairs
    from smartclip.ready import ReadyModel

_CONFIG = "config.json"


@dataclass(frozen=True, kw_only=True)  # without slots, so that a command can inherit from it too
class FromCheckpoint:
    """Flags of everything that uses a trained model."""

    checkpoint: Annotated[str, tyro.conf.Positional]
    """A run folder of `train pairs` or a checkpoint in it; a file or folder of weights in the
    layout of OpenAI, open_clip, Long-CLIP or Hugging Face; hf-hub:owner/name; or open_clip's name
    and tag, such as ViT-B-16-quickgelu/openai (with the tag random, random weights)."""
    quick_gelu: bool | None = None
    """Which activation weights were trained with, where nothing beside them tells."""
    context: int | None = None
    """Tokens of a caption: positions are stretched to it, or cut. The model's own by default."""

    def ready(self) -> "ReadyModel":
        """The model.

        Raises:
            InputError: nothing there, unreadable, or of a kind that is not known.
        """
        return read_model(self.checkpoint, quick_gelu=self.quick_gelu, context=self.context)


def read_model(
    checkpoint: str, *, quick_gelu: bool | None = None, context: int | None = None
) -> "ReadyModel":
    """A run of `train pairs`, or whatever `smartclip.ready.read_clip` takes.

    Raises:
        InputError: as there; or a run that was not trained on pairs; or `context` for a run, whose
            masks were trained with its own.
    """
    from smartclip.ready import read_clip

    run = _run_folder(Path(checkpoint))
    if run is None:
        return read_clip(checkpoint, quick_gelu=quick_gelu, context=context)
    if context is not None or quick_gelu is not None:
        raise InputError(
            f"--context or --quick-gelu for the run {run}",
            rule="a run has the context and the activation that it was trained with",
            fix="leave it out",
        )
    path = Path(checkpoint)
    return _of_run(run, _newest(run) if path == run else path)


def run_settings(ready: "ReadyModel") -> dict[str, Any]:
    """`config.json` of the run that trained it; nothing of a model of others."""
    return {} if ready.folder is None else _settings(ready.folder)


def _run_folder(path: Path) -> Path | None:
    for folder in (path, path.parent):
        if (folder / _CONFIG).is_file() and "training" in _settings(folder):
            return folder
    return None


def _settings(folder: Path) -> dict[str, Any]:
    return read_json(folder / _CONFIG)


def _newest(folder: Path) -> Path:
    from smartclip.train.checkpoint import Checkpoints

    newest = Checkpoints(folder, {}).newest()
    if newest is None:
        raise InputError(
            f"{folder} without a checkpoint",
            rule="a run writes checkpoints while it trains",
            fix="train it with smartclip train",
        )
    return newest


def _of_run(folder: Path, checkpoint: Path) -> "ReadyModel":
    import torch

    from experiments.datasets.pairs import CONTEXT, Pairs
    from smartclip.ready import ReadyModel
    from smartclip.text import CLIPTokenizer
    from smartclip.towers.weights import colours
    from smartclip.train.assembly import assemble
    from smartclip.train.checkpoint import load_model
    from smartclip.train.loss_state import attach_loss_state, scale_as_number
    from smartclip.train.phases import moment

    settings = _settings(folder)
    if settings.get("data") != Pairs.name:
        raise InputError(
            f"{folder}, a run on {settings.get('data')}",
            rule="runs on pairs have CLIP's towers and tokens; the others are measured by "
            "smartclip train itself",
            fix="give a run of smartclip train pairs",
        )
    known = {each.name for each in fields(Pairs)}
    options = Pairs(**{k: v for k, v in settings["options"].items() if k in known})
    told = settings["method"]
    steps = sum(phase["steps"] for phase in told["phases"])
    method = options.method(told["name"], steps)
    architecture = options.architecture()
    with torch.random.fork_rng(devices=[]):
        image, text = architecture.towers()
        model = assemble(
            method,
            image,
            text,
            width=text.width,
            dimension=options.dimension,
            heads=options.heads,
        )
    attach_loss_state(model, method)
    load_model(checkpoint, model)
    mean, std = colours(options.settings.model, options.start)
    scale = scale_as_number(model, moment(method.phases, method.steps - 1).scale)
    return ReadyModel(
        model=model.eval(),
        architecture=architecture,
        tokenizer=CLIPTokenizer(context=CONTEXT),
        source=str(checkpoint),
        mean=mean,
        std=std,
        similarity=method.objective.similarity,
        logit_scale=scale,
        start=_start(options),
        method=method.title,
        folder=folder,
    )


def _start(options: "Pairs") -> str:
    """The weights that a run started from, as `read_model` takes them."""
    from smartclip.towers.weights import HUB

    weights = options.start
    if weights is None or Path(weights).exists() or weights.startswith(HUB):
        return weights or "random"
    return f"{options.settings.model}/{weights}"

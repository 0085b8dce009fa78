"""The full state of a training run, without pickle, written whole or not at all.

Every tensor has a name: `model/...` (weights, and buffers such as statistics and dual variables),
`optimiser/<parameter>/<moment>`, `ema/...` and `generator`. The step, which is also the position in
the data, the best score so far and the settings are JSON. Nothing else changes while training: the
schedule and the randomness inside towers are functions of the step.

Models that are whole in each process become one safetensors file. Sharded ones become a folder of
safetensors, a file for each rank, through torch.distributed.checkpoint's storage in that format
(its default would pickle the metadata). Either can be read into either, on any number of ranks.
"""

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from smartclip.model import SmartCLIP
from smartclip.train.optimiser import WeightAverage
from smartclip.train.ranks import rank, wait_for_all
from theory.errors import InputError
from theory.storage import write_atomically

CHECKPOINT = "checkpoint.safetensors"
SHARDED = "checkpoint-*.sharded"
STATE = "state.json"


@dataclass(slots=True)
class TrainState:
    """What changes while training."""

    model: SmartCLIP
    optimiser: Optimizer
    generator: torch.Generator
    average: WeightAverage | None = None
    step: int = 0
    best: tuple[float, int] | None = None

    def improves(self, score: float) -> bool:
        """Whether a score is the highest so far; if so it is noted with its step."""
        if self.best is not None and score <= self.best[0]:
            return False
        self.best = (score, self.step)
        return True

    @property
    def is_best(self) -> bool:
        """Whether the highest score so far is that of this step."""
        return self.best is not None and self.best[1] == self.step


class Checkpoints:
    """The checkpoints of one run folder; all ranks call each method together.

    The newest is `checkpoint.safetensors`, or `checkpoint-<step>.sharded`. Of those before it
    `keep_last - 1` are kept, and the best apart from them as `best-<step>`.

    Args:
        folder: of the run.
        settings: what the numbers depend on; a checkpoint of other settings is refused.
        keep_last: checkpoints kept, the newest included.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, keep_last: int = 1) -> None:
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        self.keep_last = keep_last

    def save(self, state: TrainState) -> None:
        """Write the state after `state.step` steps; of the best, a copy that is not replaced."""
        tensors = _named_tensors(state)
        header = {
            "step": str(state.step),
            "best": json.dumps(state.best),
            "config": json.dumps(self.settings, sort_keys=True),
        }
        sharded = any(isinstance(tensor, DTensor) for tensor in tensors.values())
        if sharded:
            _save_sharded(self.folder / f"checkpoint-{state.step:08d}.sharded", tensors, header)
        elif rank() == 0:
            _save_whole(self.folder / CHECKPOINT, tensors, header)
        self._tidy(state.step, best=state.is_best, sharded=sharded)
        wait_for_all()

    def step(self) -> int:
        """The step that `resume` would continue from."""
        path = self.newest()
        return 0 if path is None else int(read_header(path)["step"])

    def newest(self) -> Path | None:
        """The file or folder that holds the last finished step, if any."""
        found = sorted(self.folder.glob(SHARDED))[-1:]
        whole = self.folder / CHECKPOINT
        if whole.exists():
            found.append(whole)
        return max(found, key=lambda path: int(read_header(path)["step"]), default=None)

    def resume(self, state: TrainState) -> bool:
        """Put the newest checkpoint into `state`; False if there is none.

        Raises:
            InputError: not a readable checkpoint, one of other settings, or of another model.
        """
        if rank() == 0:
            # Of a process that was killed while it wrote.
            for leftover in (*self.folder.glob(".checkpoint*"), *self.folder.glob(".best*")):
                _remove(leftover)
        wait_for_all()
        path = self.newest()
        if path is None:
            return False
        header = read_header(path)
        self._refuse_other_settings(path, json.loads(header["config"]))
        saved = _shapes(path)
        _refuse_misfit(state.model, saved, path)
        for tensors in (_prepare_moments(state, saved), _named_tensors(state)):
            _fill(path, {name: tensor for name, tensor in tensors.items() if name in saved})
        generator = torch.empty(saved["generator"], dtype=torch.uint8)
        _fill(path, {"generator": generator})
        state.generator.set_state(generator)
        best = json.loads(header["best"])
        state.step, state.best = int(header["step"]), None if best is None else tuple(best)
        self._tidy(state.step, best=state.is_best, sharded=path.is_dir())
        wait_for_all()
        return True

    def _refuse_other_settings(self, path: Path, saved: dict[str, Any]) -> None:
        keys = self.settings.keys() | saved.keys()
        changed = sorted(key for key in keys if saved.get(key) != self.settings.get(key))
        if changed:
            raise InputError(
                f"{path} was made with other settings ({', '.join(changed)})",
                rule="a run continues with the settings it was started with",
                fix="restore them, or choose another folder",
            )

    def _tidy(self, step: int, *, best: bool, sharded: bool) -> None:
        """Keep the last and the best, drop the others. Doing it twice does no harm."""
        if rank() > 0:
            return
        suffix = ".sharded" if sharded else ".safetensors"
        newest = self.folder / (f"checkpoint-{step:08d}{suffix}" if sharded else CHECKPOINT)
        if not sharded and self.keep_last > 1:
            _link(newest, self.folder / f"checkpoint-{step:08d}{suffix}")
        if best:
            kept = self.folder / f"best-{step:08d}{suffix}"
            _link(newest, kept)
            for old in set(self.folder.glob("best-*")) - {kept}:
                _remove(old)
        numbered = sorted(self.folder.glob("checkpoint-*.s*"))
        keep = self.keep_last if sharded or self.keep_last > 1 else 0
        superseded = numbered[: max(0, len(numbered) - keep)]
        if sharded:
            superseded.append(self.folder / CHECKPOINT)
        for old in superseded:
            _remove(old)


def load_model(path: Path, model: nn.Module) -> None:
    """Put the weights of a checkpoint, whole or sharded, into a model; strictly.

    Where the run kept a moving average of the weights, it is the average that is put there. What
    the loss carried is left out, unless the model has a place for it.

    Args:
        path: `checkpoint.safetensors` or a `.sharded` folder.
        model: as it was built for training.

    Raises:
        InputError: not a readable checkpoint, or of another model.
    """
    carried = any(name.startswith("carried.") for name in model.state_dict())
    saved = {
        name: shape
        for name, shape in _shapes(path).items()
        if carried or not name.startswith("model/carried.")
    }
    _refuse_misfit(model, saved, path)
    tensors = {}
    for name, tensor in model.state_dict().items():
        averaged = f"ema/{name}"
        tensors[averaged if averaged in saved else f"model/{name}"] = tensor
    _fill(path, tensors)


def read_checkpoint(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and all tensors of a checkpoint, whole or sharded, on the CPU."""
    if not path.is_dir():
        with _opened(path) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return read_header(path), tensors
    described = _describe_sharded(path)
    tensors = {
        name: torch.empty(tuple(entry.size), dtype=entry.properties.dtype)
        for name, entry in described.items()
    }
    _fill(path, tensors)
    return read_header(path), tensors


def read_header(path: Path) -> dict[str, str]:
    """What a checkpoint says beside its tensors: `step`, `config` and `best`."""
    if path.is_dir():
        return json.loads((path / STATE).read_text())
    with _opened(path) as file:
        header = file.metadata() or {}
    if not {"step", "config", "best"} <= header.keys():
        raise InputError(
            f"{path} holds tensors but no training state",
            rule="a checkpoint carries its step, its settings and its optimiser",
            fix="point to a checkpoint.safetensors that a training run wrote",
        )
    return header


def _named_tensors(state: TrainState) -> dict[str, Tensor]:
    tensors = {f"model/{name}": tensor for name, tensor in state.model.state_dict().items()}
    for name, parameter in state.model.named_parameters():
        for moment, tensor in state.optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{name}/{moment}"] = tensor
    if state.average is not None:
        tensors |= {f"ema/{name}": tensor for name, tensor in state.average.tensors.items()}
    return tensors | {"generator": state.generator.get_state()}


def _prepare_moments(state: TrainState, saved: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Give the optimiser the tensors it had, to be filled; returns those."""
    tensors = {}
    state.optimiser.state.clear()
    for name, parameter in state.model.named_parameters():
        for key, shape in saved.items():
            owner, _, moment = key.removeprefix("optimiser/").rpartition("/")
            if key.startswith("optimiser/") and owner == name:
                like = parameter.detach()
                tensor = (
                    torch.zeros_like(like)
                    if shape == tuple(like.shape) and moment != "step"
                    else torch.zeros(shape, dtype=torch.float32, device=like.device)
                )
                state.optimiser.state[parameter][moment] = tensors[key] = tensor
    return tensors


@torch.no_grad()
def _fill(path: Path, tensors: dict[str, Tensor]) -> None:
    """Read the named tensors of a checkpoint into the given ones, whole or sharded."""
    if path.is_dir():
        local = {name: tensor.detach() for name, tensor in tensors.items()}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*load in a single process")
                load(
                    local,
                    storage_reader=HuggingFaceStorageReader(str(path)),
                    # Each rank reads what it needs, also one that is alone in asking.
                    no_dist=True,
                )
        except (OSError, SafetensorError, CheckpointException) as error:
            raise _unreadable(path, error) from error
        return
    with _opened(path) as file:
        for name, tensor in tensors.items():
            value = file.get_tensor(name)
            if isinstance(tensor, DTensor):
                value = value.to(tensor.device)
                mesh, placements = tensor.device_mesh, tensor.placements
                value = distribute_tensor(value, mesh, placements, src_data_rank=None)
            tensor.copy_(value)


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    if path.is_dir():
        return {name: tuple(entry.size) for name, entry in _describe_sharded(path).items()}
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def _describe_sharded(path: Path) -> dict[str, Any]:
    header = read_header(path)
    files = sorted(file.name for file in path.glob("*.safetensors"))
    if files != json.loads(header["files"]):
        raise _unreadable(path, "a file is missing")
    try:
        return HuggingFaceStorageReader(str(path)).read_metadata().state_dict_metadata
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: object) -> InputError:
    return InputError(
        f"{path} cannot be read as a checkpoint ({error})",
        rule="a checkpoint is whole",
        fix="delete it to start again, or restore it from a copy",
    )


def _refuse_misfit(model: nn.Module, saved: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Every tensor of a checkpoint has its place in the model, with the same shape."""
    given = {name: shape for name, shape in saved.items() if name.startswith("model/")}
    expected = {f"model/{name}": tuple(t.shape) for name, t in model.state_dict().items()}
    wrong = sorted(name.removeprefix("model/") for name in expected.keys() ^ given.keys())
    wrong += [
        f"{name.removeprefix('model/')} {given[name]} for {expected[name]}"
        for name in sorted(expected.keys() & given.keys())
        if given[name] != expected[name]
    ]
    if wrong:
        raise InputError(
            f"{path} does not fit this model: {', '.join(wrong[:5])}",
            rule="every tensor of a checkpoint has its place in the model, with the same shape",
            fix="build the model with the settings in the run folder's config.json",
        )


def _save_whole(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    with write_atomically(path) as temporary:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata=header,
        )


def _save_sharded(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write beside, then give the folder its name: a folder with the name is whole."""
    temporary = path.with_name(f".{path.name}")
    if rank() == 0:
        _remove(temporary)
        temporary.mkdir(parents=True)
    wait_for_all()
    writer = HuggingFaceStorageWriter(str(temporary), save_distributed=True)
    save({name: tensor.detach() for name, tensor in tensors.items()}, storage_writer=writer)
    wait_for_all()
    if rank() == 0:
        files = sorted(file.name for file in temporary.glob("*.safetensors"))
        with write_atomically(temporary / STATE) as state:
            state.write_text(json.dumps(header | {"files": json.dumps(files)}))
        _remove(path)
        temporary.rename(path)


def _link(path: Path, to: Path) -> None:
    """A second name for a file or a folder of files; a copy where links are not to be had."""
    _remove(to)
    beside = to.with_name(f".{to.name}")
    _remove(beside)
    try:
        if path.is_dir():
            shutil.copytree(path, beside, copy_function=os.link)
        else:
            os.link(path, beside)
    except OSError:
        _remove(beside)
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, beside)
    beside.rename(to)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

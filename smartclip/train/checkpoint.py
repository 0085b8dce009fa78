"""The full state of a training run, without pickle, written whole or not at all.

Every tensor has a name: `model/...` (weights, and buffers such as statistics and dual variables),
`optimiser/<parameter>/<moment>`, `ema/...` and `generator`. The step, which is also the position in
the data, the best score so far and the settings are JSON. Nothing else changes while training: the
schedule and the randomness inside towers are functions of the step.

Models that are whole in each process become one safetensors file. Sharded ones become a folder of
safetensors, a file for each rank, through torch.distributed.checkpoint's storage in that format
(its default would pickle the metadata). Either can be read into either, on any number of ranks.

Nothing of a checkpoint is trusted before it is checked. A digest (BLAKE2b, 1 GB/s a thread) of
each tensor, or of each file of a folder, stands in the header, and a digest of the header itself;
what differs is refused when it is read. Shapes, types and names are compared with what the run has
before any tensor reaches the model or the optimiser: a fused update of a moment of another shape
writes beyond its memory. A file is opened once, so that header and tensors are of one checkpoint.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
from theory.storage import not_written, write_atomically, writing

CHECKPOINT = "checkpoint.safetensors"
SHARDED = "checkpoint-*.sharded"
STATE = "state.json"

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW
_MOST_STEPS = 10**12
_THREADS = 4  # hashing leaves Python's lock
_PIECE = 1 << 24
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


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
        """Write the state after `state.step` steps; of the best, a copy that is not replaced.

        Raises:
            InputError: the disk is full. What was there is as it was.
        """
        tensors = _named_tensors(state)
        header = {
            "step": str(state.step),
            "best": json.dumps(state.best),
            "config": json.dumps(self.settings, sort_keys=True),
        }
        sharded = any(isinstance(tensor, DTensor) for tensor in tensors.values())
        with writing(self.folder):
            if sharded:
                _save_sharded(self.folder / f"checkpoint-{state.step:08d}.sharded", tensors, header)
            elif rank() == 0:
                _save_whole(self.folder / CHECKPOINT, tensors, header)
            self._tidy(state.step, best=state.is_best, sharded=sharded)
        wait_for_all()

    def step(self) -> int:
        """The step that `resume` would continue from."""
        path = self.newest()
        return 0 if path is None else _step(path)

    def newest(self) -> Path | None:
        """The file or folder that holds the last finished step, if any."""
        found = sorted(self.folder.glob(SHARDED))[-1:]
        whole = self.folder / CHECKPOINT
        if whole.exists():
            found.append(whole)
        try:
            return max(found, key=_step, default=None)
        except InputError as error:
            raise self._with_previous(error, found) from error

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
        try:
            with _Saved.opened(path) as saved:
                self._restore(state, saved)
        except _Damaged as error:
            raise self._with_previous(error, [path]) from error
        self._tidy(state.step, best=state.is_best, sharded=path.is_dir())
        wait_for_all()
        return True

    def _restore(self, state: TrainState, saved: "_Saved") -> None:
        header = saved.header
        self._refuse_other_settings(saved.path, header.config)
        _refuse_misfit(state.model, saved.tensors, saved.path, exact=True)
        _refuse_other_state(state, saved)
        for tensors in (_prepare_moments(state, saved.tensors), _named_tensors(state)):
            saved.fill({name: each for name, each in tensors.items() if name in saved.tensors})
        generator = torch.empty(saved.tensors["generator"].shape, dtype=torch.uint8)
        saved.fill({"generator": generator})
        try:
            state.generator.set_state(generator)
        except RuntimeError as error:
            raise _unreadable(saved.path, "its generator has no such state") from error
        for name, tensor in state.model.state_dict().items():
            if name.startswith("loss_state.") and not torch.isfinite(_local(tensor)).all():
                raise _unreadable(saved.path, f"{name} is not finite")
        state.step, state.best = header.step, header.best

    def _with_previous(self, error: InputError, damaged: list[Path]) -> InputError:
        """The same error, with the newest sound checkpoint before it as the way out."""
        kinds = ("checkpoint-*.s*", "best-*.s*")
        others = {path for kind in kinds for path in self.folder.glob(kind)} - {*damaged}
        sound: list[tuple[int, Path]] = []
        for path in sorted(others):
            try:
                with _Saved.opened(path) as saved:
                    saved.verify()
                    sound.append((saved.header.step, path))
            except InputError:
                continue
        if not sound:
            return error
        step, path = max(sound)
        return _Damaged(
            error.given,
            rule=error.rule,
            fix=f"put a copy of {path} in its place, and the run goes on from step {step}",
        )

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
    the loss kept is left out, unless the model has a place for it.

    Args:
        path: `checkpoint.safetensors` or a `.sharded` folder.
        model: as it was built for training.

    Raises:
        InputError: not a readable checkpoint, or of another model.
    """
    has_state = any(name.startswith("loss_state.") for name in model.state_dict())
    with _Saved.opened(path) as saved:
        known = {
            name: described
            for name, described in saved.tensors.items()
            if has_state or not name.startswith("model/loss_state.")
        }
        _refuse_misfit(model, known, path)
        tensors = {}
        for name, tensor in model.state_dict().items():
            averaged = f"ema/{name}"
            if averaged in known and known[averaged].shape != tuple(tensor.shape):
                raise _misfit(path, [f"{averaged} {known[averaged].shape}"])
            tensors[averaged if averaged in known else f"model/{name}"] = tensor
        saved.fill(tensors)


def read_checkpoint(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and all tensors of a checkpoint, whole or sharded, on the CPU."""
    with _Saved.opened(path) as saved:
        tensors = {
            name: torch.empty(described.shape, dtype=described.dtype)
            for name, described in saved.tensors.items()
        }
        saved.fill(tensors)
        return saved.header.told, tensors


def read_header(path: Path) -> dict[str, str]:
    """What a checkpoint says beside its tensors: `step`, `config` and `best`."""
    with _Saved.opened(path) as saved:
        return saved.header.told


def _step(path: Path) -> int:
    with _Saved.opened(path) as saved:
        return saved.header.step


class _Damaged(InputError):
    """A checkpoint that is not what was written."""


@dataclass(frozen=True, slots=True)
class _Described:
    """Shape and type of a tensor in a checkpoint, before it is read."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class _Header:
    """What a checkpoint says beside its tensors, with the types that it has to have.

    Attributes:
        told: as it is written.
        step: of the run.
        best: the highest score and its step.
        config: settings of the run.
        digests: of each tensor, or of each file of a folder.
    """

    told: dict[str, str]
    step: int
    best: tuple[float, int] | None
    config: dict[str, Any]
    digests: dict[str, str]

    @classmethod
    def of(cls, path: Path, told: Any) -> "_Header":
        """Read a header; one that was not written so is refused."""
        if not isinstance(told, dict) or not {"step", "config", "best"} <= told.keys():
            raise InputError(
                f"{path} holds tensors but no training state",
                rule="a checkpoint carries its step, its settings and its optimiser",
                fix="point to a checkpoint.safetensors that a training run wrote",
            )
        try:
            if not all(isinstance(value, str) for value in told.values()):
                raise ValueError("an entry that is no text")
            if told["seal"] != _seal(told):
                raise ValueError("its header is not what was written")
            step, best = told["step"], json.loads(told["best"])
            config, digests = json.loads(told["config"]), json.loads(told["digests"])
            if not (step.isascii() and step.isdigit() and int(step) <= _MOST_STEPS):
                raise ValueError(f"the step {step[:20]!r}")
            if not isinstance(config, dict) or not isinstance(digests, dict):
                raise ValueError("settings or digests that are no objects")
            if best is not None:
                score, at = best
                if not (type(score) in (int, float) and type(at) is int and at >= 0):
                    raise ValueError("a best score that is no number")
                best = (float(score), at)
        except KeyError as error:
            raise _unreadable(path, f"its header lacks {error}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise _unreadable(path, error) from error
        return cls(told, int(step), best, config, digests)


class _Saved:
    """One checkpoint, opened once: header, descriptions and tensors are of the same file."""

    def __init__(self, path: Path, header: _Header, tensors: dict[str, _Described]) -> None:
        self.path, self.header, self.tensors = path, header, tensors
        self._file: Any = None

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> "Iterator[_Saved]":
        """Open a file, or a folder of files; header and names are checked, tensors are not yet."""
        if path.is_dir():
            yield cls._of_folder(path)
            return
        try:
            opened = safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise _unreadable(path, error) from error
        with opened as file:
            header = _Header.of(path, file.metadata() or {})
            names = list(file.keys())
            if set(names) != header.digests.keys():
                lacking = sorted(header.digests.keys() ^ set(names))
                raise _unreadable(path, f"{lacking[0]} is missing or was added")
            slices = {name: file.get_slice(name) for name in names}
            tensors = {
                name: _Described(tuple(part.get_shape()), _dtype(path, part.get_dtype()))
                for name, part in slices.items()
            }
            saved = cls(path, header, tensors)
            saved._file = file
            yield saved

    @classmethod
    def _of_folder(cls, path: Path) -> "_Saved":
        try:
            told = json.loads((path / STATE).read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise _unreadable(path, error) from error
        header = _Header.of(path, told)
        if sorted(file.name for file in path.glob("*.safetensors")) != sorted(header.digests):
            raise _unreadable(path, "a file is missing")
        saved = cls(path, header, {})
        saved.verify()  # before anything in the files is believed
        try:
            described = HuggingFaceStorageReader(str(path)).read_metadata().state_dict_metadata
        except (OSError, ValueError, LookupError, SafetensorError) as error:
            raise _unreadable(path, error) from error
        for name, entry in described.items():
            saved.tensors[name] = _Described(tuple(entry.size), entry.properties.dtype)  # pyright: ignore[reportAttributeAccessIssue]
        return saved

    def verify(self) -> None:
        """Every byte against its digest."""
        if self._file is None:
            names = sorted(self.header.digests)
            files = [self.path / name for name in names]
            with ThreadPoolExecutor(_THREADS) as pool:
                for name, found in zip(names, pool.map(_digest_of_file, files), strict=True):
                    if found != self.header.digests[name]:
                        raise _unreadable(self.path, f"{name} is not what was written")
            return
        for name in self.tensors:
            self._read(name)

    @torch.no_grad()
    def fill(self, tensors: dict[str, Tensor]) -> None:
        """Read the named tensors into the given ones, which have their shapes."""
        if self._file is None:
            local = {name: tensor.detach() for name, tensor in tensors.items()}
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message=".*load in a single process")
                    load(
                        local,
                        storage_reader=HuggingFaceStorageReader(str(self.path)),
                        # Each rank reads what it needs, also one that is alone in asking.
                        no_dist=True,
                    )
            except (OSError, SafetensorError, CheckpointException) as error:
                raise _unreadable(self.path, error) from error
            return
        for name, tensor in tensors.items():
            value = self._read(name)
            if isinstance(tensor, DTensor):
                value = value.to(tensor.device)
                mesh, placements = tensor.device_mesh, tensor.placements
                value = distribute_tensor(value, mesh, placements, src_data_rank=None)
            tensor.copy_(value)

    def _read(self, name: str) -> Tensor:
        try:
            value = self._file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise _unreadable(self.path, error) from error
        if _digest(value) != self.header.digests[name]:
            raise _unreadable(self.path, f"{name} is not what was written")
        return value


def _named_tensors(state: TrainState) -> dict[str, Tensor]:
    tensors = {f"model/{name}": tensor for name, tensor in state.model.state_dict().items()}
    for name, parameter in state.model.named_parameters():
        for moment, tensor in state.optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{name}/{moment}"] = tensor
    if state.average is not None:
        tensors |= {f"ema/{name}": tensor for name, tensor in state.average.tensors.items()}
    return tensors | {"generator": state.generator.get_state()}


def _prepare_moments(state: TrainState, saved: Mapping[str, _Described]) -> dict[str, Tensor]:
    """Give the optimiser the tensors it had, to be filled; returns those."""
    tensors = {}
    state.optimiser.state.clear()
    for name, parameter in state.model.named_parameters():
        for moment in _MOMENTS:
            key = f"optimiser/{name}/{moment}"
            if key in saved:
                like = parameter.detach()
                tensor = (
                    torch.zeros((), dtype=torch.float32, device=like.device)
                    if moment == "step"
                    else torch.zeros_like(like)
                )
                state.optimiser.state[parameter][moment] = tensors[key] = tensor
    return tensors


def _refuse_other_state(state: TrainState, saved: _Saved) -> None:
    """What stands beside the model: moments, average and generator, each as this run has it.

    A parameter that never had a gradient has no moment; any other has all of them, and moments
    have its shape and type.
    """
    wrong: list[str] = []
    expected: dict[str, _Described] = {}
    for name, parameter in state.model.named_parameters():
        keys = [f"optimiser/{name}/{moment}" for moment in _MOMENTS]
        there = [key for key in keys if key in saved.tensors]
        if there and len(there) < len(keys):
            wrong.append(f"of {name} only {', '.join(key.rpartition('/')[2] for key in there)}")
        alike = _Described(tuple(parameter.shape), parameter.dtype)
        expected |= dict.fromkeys(there, alike)
        if keys[0] in saved.tensors:
            expected[keys[0]] = _Described((), torch.float32)
        if state.average is not None:
            expected[f"ema/{name}"] = alike
    generator = state.generator.get_state()
    expected["generator"] = _Described(tuple(generator.shape), generator.dtype)
    beside = {name: each for name, each in saved.tensors.items() if not name.startswith("model/")}
    wrong += [f"{name} of nothing here" for name in sorted(beside.keys() - expected.keys())]
    wrong += [f"no {name}" for name in sorted(expected.keys() - beside.keys())]
    wrong += [
        f"{name} {_spelled(beside[name])} for {_spelled(expected[name])}"
        for name in sorted(expected.keys() & beside.keys())
        if beside[name] != expected[name]
    ]
    if wrong:
        raise _misfit(saved.path, wrong)


def _refuse_misfit(
    model: nn.Module, saved: Mapping[str, _Described], path: Path, *, exact: bool = False
) -> None:
    """Every tensor of a checkpoint has its place in the model, with the same shape.

    Args:
        model: as it was built.
        saved: what the checkpoint holds.
        path: for names.
        exact: types have to be the same too, not only of the same kind.
    """
    given = {name: each for name, each in saved.items() if name.startswith("model/")}
    expected = {
        f"model/{name}": _Described(tuple(tensor.shape), tensor.dtype)
        for name, tensor in model.state_dict().items()
    }
    wrong = sorted(name.removeprefix("model/") for name in expected.keys() ^ given.keys())
    for name in sorted(expected.keys() & given.keys()):
        one, other = given[name], expected[name]
        kinds = one.dtype.is_floating_point == other.dtype.is_floating_point
        if one.shape != other.shape or not kinds or (exact and one.dtype != other.dtype):
            told = f"{_spelled(one)} for {_spelled(other)}"
            wrong.append(f"{name.removeprefix('model/')} {told}")
    if wrong:
        raise _misfit(path, wrong)


def _misfit(path: Path, wrong: list[str]) -> InputError:
    return InputError(
        f"{path} does not fit this model: {', '.join(wrong[:5])}",
        rule="every tensor of a checkpoint has its place in the model, with the same shape",
        fix="build the model with the settings in the run folder's config.json",
    )


def _spelled(described: _Described) -> str:
    dtype = str(described.dtype).removeprefix("torch.")
    return str(described.shape) if dtype == "float32" else f"{described.shape} {dtype}"


def _unreadable(path: Path, error: object) -> InputError:
    return _Damaged(
        f"{path} cannot be read as a checkpoint ({error})",
        rule="a checkpoint is whole",
        fix="delete it to start again, or restore it from a copy",
    )


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _dtype(path: Path, name: str) -> torch.dtype:
    if name not in _DTYPES:
        raise _unreadable(path, f"tensors of the type {name}")
    return _DTYPES[name]


def _seal(header: Mapping[str, str]) -> str:
    """A digest of all that a header says beside it."""
    told = json.dumps({key: header[key] for key in sorted(header) if key != "seal"})
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _digest(tensor: Tensor) -> str:
    """BLAKE2b of a tensor's type, shape and bytes; it lies on the CPU in one piece."""
    state = hashlib.blake2b(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), digest_size=16)
    state.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def _digest_of_file(path: Path) -> str | None:
    state = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                state.update(piece)
    except OSError:
        return None
    return state.hexdigest()


def _save_whole(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = dict(zip(tensors, pool.map(_digest, tensors.values()), strict=True))
    header = header | {"digests": json.dumps(digests)}
    with write_atomically(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=header | {"seal": _seal(header)})
        except SafetensorError as error:  # its only way to tell of a full disk
            raise not_written(path, error) from error


def _save_sharded(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write beside, then give the folder its name: a folder with the name is whole."""
    temporary = path.with_name(f".{path.name}")
    if rank() == 0:
        _remove(temporary)
        temporary.mkdir(parents=True)
    wait_for_all()
    writer = HuggingFaceStorageWriter(str(temporary), save_distributed=True)
    try:
        save({name: tensor.detach() for name, tensor in tensors.items()}, storage_writer=writer)
    except CheckpointException as error:  # its text is a traceback of each rank
        raise not_written(path, next(iter(error.failures.values()))[0]) from error
    wait_for_all()
    if rank() == 0:
        files = sorted(temporary.glob("*.safetensors"))
        with ThreadPoolExecutor(_THREADS) as pool:
            digests = zip(files, pool.map(_digest_of_file, files), strict=True)
            header = header | {"digests": json.dumps({file.name: each for file, each in digests})}
        with write_atomically(temporary / STATE) as state:
            state.write_text(json.dumps(header | {"seal": _seal(header)}))
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

"""The full state of a training run in one file, without pickle, written whole or not at all.

Tensors (weights, optimiser moments, generator) are safetensors; everything else is JSON in the
file's header. Reading it back continues the run bit for bit on the same kind of device.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from simulators.storage import write_atomically
from smartclip.model import SmartCLIP
from theory.errors import InputError


@dataclass(slots=True)
class TrainState:
    """What changes while training."""

    model: SmartCLIP
    optimiser: Optimizer
    generator: torch.Generator
    step: int = 0


def save_checkpoint(path: Path, state: TrainState, config: dict[str, Any]) -> None:
    """Write the state after `state.step` steps."""
    optimiser = state.optimiser.state_dict()
    tensors = {f"model/{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {
        f"optimiser/{index}/{name}": tensor
        for index, moments in optimiser["state"].items()
        for name, tensor in moments.items()
    }
    tensors["generator"] = state.generator.get_state()
    header = {
        "step": str(state.step),
        "config": json.dumps(config, sort_keys=True),
        "groups": json.dumps(optimiser["param_groups"]),
    }
    with write_atomically(path) as temporary:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata=header,
        )


def load_checkpoint(path: Path, state: TrainState, config: dict[str, Any]) -> None:
    """Put the saved state into `state`.

    Raises:
        InputError: not a readable checkpoint, one of another configuration, or of another model.
    """
    header, tensors = read_checkpoint(path)
    saved = json.loads(header["config"])
    changed = [key for key in sorted(config) if saved.get(key) != config[key]]
    if changed or saved.keys() != config.keys():
        names = ", ".join(changed or sorted(saved.keys() ^ config.keys()))
        raise InputError(
            f"{path} was made with other settings ({names})",
            rule="a run continues with the settings it was started with",
            fix="restore them, or choose another folder",
        )
    load_weights(state.model, tensors, path)
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimiser/"):
            _, index, name = key.split("/", 2)
            moments.setdefault(int(index), {})[name] = tensor
    state.optimiser.load_state_dict(
        {"state": moments, "param_groups": json.loads(header["groups"])}
    )
    state.generator.set_state(tensors["generator"])
    state.step = int(header["step"])


def read_checkpoint(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors of a checkpoint, on the CPU."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} cannot be read as a checkpoint ({error})",
            rule="a checkpoint is a whole safetensors file",
            fix="delete it to start again, or restore it from a copy",
        ) from error
    if not {"step", "config", "groups"} <= header.keys():
        raise InputError(
            f"{path} holds tensors but no training state",
            rule="a checkpoint carries its step, its settings and its optimiser",
            fix="point to a checkpoint.safetensors that a training run wrote",
        )
    return header, tensors


def load_weights(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load the `model/` tensors strictly: every one accounted for, every shape equal."""
    prefix = "model/"
    weights = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    expected = model.state_dict()
    wrong = sorted(expected.keys() ^ weights.keys())
    wrong += [
        f"{name} {tuple(weights[name].shape)} for {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & weights.keys())
        if weights[name].shape != expected[name].shape
    ]
    if wrong:
        raise InputError(
            f"{path} does not fit this model: {', '.join(wrong[:5])}",
            rule="every tensor of a checkpoint has its place in the model, with the same shape",
            fix="build the model with the settings in the run folder's config.json",
        )
    model.load_state_dict(weights)

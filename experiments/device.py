"""Where a run computes: chosen when a command runs, never at import."""

import torch

from theory.errors import InputError


def choose_device(name: str) -> torch.device:
    """`auto` (CUDA where there is a device, else the CPU), `cpu`, `cuda` or `cuda:1`."""
    cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "cpu")
    if name != "cpu" and name.partition(":")[0] != "cuda":
        raise InputError(
            f"device {name!r}", rule="a device is auto, cpu or cuda", fix="choose one of them"
        )
    if name.startswith("cuda") and not cuda:
        raise InputError(
            f"device {name!r}", rule="this torch sees no CUDA device", fix="use auto or cpu"
        )
    return torch.device(name)

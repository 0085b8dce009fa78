"""What the machine itself can do, measured in the same process as what is compared with it.

A share of these figures says more than a share of a data sheet, which no program reaches.
"""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import ClassVar, Literal

import torch

from experiments.benchmarks.gpu.clock import rounded, seconds_in_turns
from experiments.benchmarks.gpu.part import Part, Row

Arithmetic = Literal["float32", "tf32", "bfloat16"]
ARITHMETIC: tuple[Arithmetic, ...] = ("float32", "tf32", "bfloat16")


@contextmanager
def arithmetic(kind: Arithmetic) -> Iterator[None]:
    """Exact products of float32 matrices inside, or TF32 ones; the caller's choice comes back."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if kind == "float32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def flops(kind: Arithmetic, device: torch.device, size: int = 8192) -> float:
    """FLOP/s of a product of two square matrices."""
    dtype = torch.bfloat16 if kind == "bfloat16" else torch.float32
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    with arithmetic(kind):
        (seconds,) = seconds_in_turns([lambda: one @ other], device, rounds=5)
    return 2 * size**3 / seconds


@cache
def bandwidth(device: torch.device, size: int = 2**30) -> float:
    """Bytes a second of a copy within the device, read and written."""
    one = torch.zeros(size, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    (seconds,) = seconds_in_turns([lambda: other.copy_(one)], device, rounds=5)
    return 2 * size / seconds


def described(device: torch.device) -> dict[str, str]:
    """Card, driver and versions."""
    told = {
        "device": platform.processor() or platform.machine(),
        "driver": "",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "open_clip": version("open_clip_torch"),
    }
    if device.type == "cuda":
        asked = ("--query-gpu=driver_version", "--format=csv,noheader")
        told["device"] = torch.cuda.get_device_name(device)
        told["driver"] = _output("nvidia-smi", *asked).partition("\n")[0]
    return told


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


class Machine(Part):
    """Products and copies."""

    name: ClassVar[str] = "machine"
    title: ClassVar[str] = "The machine itself"
    order: ClassVar[int] = 0
    limit: ClassVar[int] = 30

    def rows(self) -> Iterator[Row]:
        size, length = (256, 2**20) if self.pretend else (8192, 2**30)
        for kind in ARITHMETIC:
            rate = flops(kind, self.device, size)
            yield {"work": f"{size} x {size} product, {kind}", "rate": rounded(rate / 1e12),
                   "unit": "TFLOP/s"}  # fmt: skip
        rate = bandwidth(self.device, length)
        yield {"work": "copy within the device", "rate": rounded(rate / 1e9), "unit": "GB/s"}

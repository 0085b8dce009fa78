"""What a run costs: estimated before and after its first steps, measured at its end.

    time = steps x the duration of the first steps,      price = time x price per hour,
    mfu  = work done in a second / what the device can do at most      (Chowdhery et al. 2022)

The first steps are few and the machine may be busy with something else just then, so the time is
estimated again after each quarter: what passed + steps left x the duration of that quarter's steps.

`mfu` counts no recomputation, so it falls when features are cached or activations forgotten.
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch

from smartclip.train.estimate import Estimate
from smartclip.train.execution import ExecutionConfig, Precision
from smartclip.train.ranks import rank
from theory.storage import write_atomically

# What `Cost.speed` adds to a line of the log; all else there is the same in every repetition.
SPEEDS = ("steps_per_second", "pairs_per_second", "mfu")

# Steps whose duration stands for the others; the ones before them warm up.
WARM_STEPS = 3
TIMED_STEPS = 10
# The time is estimated again after each of these parts of the run.
PARTS = 4
# It is said again if it moved by this share.
WORTH_SAYING = 0.1

# Dense FLOPs a second by data sheet, by a part of the device's name: float32 (torch leaves TF32
# off) and bfloat16. The first part that is found counts.
DATA_SHEET: dict[str, tuple[float, float]] = {
    "H100 PCIe": (51e12, 756e12),
    "H100": (67e12, 989e12),
    "H200": (67e12, 989e12),
    "A100": (19.5e12, 312e12),
}


class Cost:
    """Follows a run from its first step, or from the one it resumes at.

    Args:
        expected: memory and work of one step.
        execution: for the price and the precision.
        device: of this rank.
        steps: of the whole run.
        batch_size: B.
        held_before: `peak_memory` before the run began to allocate.
        first_step: the step the run starts from.
    """

    def __init__(
        self,
        expected: Estimate,
        execution: ExecutionConfig,
        device: torch.device,
        *,
        steps: int,
        batch_size: int,
        held_before: int,
        first_step: int,
    ) -> None:
        self.expected, self.execution = expected, execution
        self.steps, self.batch_size = steps, batch_size
        self.device, self.held_before, self.first_step = device, held_before, first_step
        self.peak_rate = peak_rate(device, execution.precision)
        self.expected_seconds: float | None = None
        self.renewed: list[dict[str, float]] = []
        self._said = 0.0
        self._started = self._warm = time.monotonic()
        self._last = self._part = (first_step, self._started)

    def before(self) -> str:
        """What is known before the first step, in words."""
        expected = self.expected
        return (
            f"{expected.parameters / 1e6:.3g} M parameters; estimated for this process: "
            f"{expected.memory / 2**30:.2g} GiB and {expected.work / 1e12:.2g} TFLOP a step"
        )

    def tick(self, step: int) -> str | None:
        """After each step; time and price in words when enough steps were timed, and renewed."""
        done, steps = step - self.first_step, self.steps - self.first_step
        if done == WARM_STEPS:
            self._warm = time.monotonic()
            self._part = (step, self._warm)
        if done == WARM_STEPS + TIMED_STEPS:
            seconds = time.monotonic() - self._warm
            self.expected_seconds = self._warm - self._started
            self.expected_seconds += (steps - WARM_STEPS) * seconds / TIMED_STEPS
            self._said = self.expected_seconds
            return f"estimated from {TIMED_STEPS} steps: {self._bill(self.expected_seconds)}"
        part = done * PARTS // steps
        # Parts no longer than what the first estimate rests on would renew nothing.
        due = part > (done - 1) * PARTS // steps and steps > PARTS * (WARM_STEPS + TIMED_STEPS)
        return self._renew(step) if due and done < steps else None

    def _renew(self, step: int) -> str | None:
        """Estimate again from the steps since the last time; in words if that changes much."""
        now = time.monotonic()
        before, then = self._part
        self._part = (step, now)
        left = (self.steps - step) * (now - then) / (step - before)
        total = now - self._started + left
        self.renewed.append({"step": step, "seconds": total})
        if abs(total / self._said - 1) < WORTH_SAYING:
            return None
        self._said = total
        return (
            f"estimated again at step {step}, from {step - before} steps: {self._bill(total)}, "
            f"of which {left / 60:.3g} min are left"
        )

    def speed(self, step: int) -> dict[str, float]:
        """Steps and pairs a second, and `mfu`, since the last call."""
        now = time.monotonic()
        before, then = self._last
        self._last = (step, now)
        rate = (step - before) / max(now - then, 1e-9)
        values = (
            rate,
            rate * self.batch_size,
            rate * self.expected.work / self.peak_rate,
        )
        return dict(zip(SPEEDS, values, strict=True))

    def write(self, path: Path) -> str:
        """At the end: estimated beside measured, as JSON and in words."""
        seconds = time.monotonic() - self._started
        memory = self._grown()
        estimated = self.expected.to_dict() | {
            "seconds": self.expected_seconds,
            "renewed": self.renewed,
        }
        measured = {"memory": memory, "seconds": seconds}
        if self.execution.price_per_hour is not None:
            measured["price"] = self._price(seconds)
            if self.expected_seconds is not None:
                estimated["price"] = self._price(self.expected_seconds)
        if rank() == 0:
            with write_atomically(path) as temporary:
                found = {"estimated": estimated, "measured": measured, "from": self.first_step}
                temporary.write_text(json.dumps(found, indent=1) + "\n")
        return (
            f"measured: {self._bill(seconds)}, {memory / 2**30:.2g} GiB; estimated: "
            f"{self._bill(self.expected_seconds)}{self._missed(seconds)}, "
            f"{self.expected.memory / 2**30:.2g} GiB"
        )

    def _missed(self, seconds: float) -> str:
        """How far the first estimate of the time was off, and the last one."""
        if self.expected_seconds is None:
            return ""
        told = f" at first ({_off(seconds, self.expected_seconds)})"
        if self.renewed:
            last = self.renewed[-1]
            told += f", {self._bill(last['seconds'])} at step {last['step']} "
            told += f"({_off(seconds, last['seconds'])})"
        return told

    def _grown(self) -> int:
        """Peak bytes of the run: what the process came to hold, and the weights it held before."""
        return peak_memory(self.device) - self.held_before + self.expected.weight_memory

    def _price(self, seconds: float) -> float:
        return seconds / 3600 * (self.execution.price_per_hour or 0)

    def _bill(self, seconds: float | None) -> str:
        if seconds is None:
            return "too few steps to say"
        time = f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.3g} s"
        price = self.execution.price_per_hour
        return time if price is None else f"{time}, price {self._price(seconds):.2f}"


def _off(measured: float, estimated: float) -> str:
    share = measured / estimated - 1
    return f"it took {abs(share):.0%} {'longer' if share > 0 else 'less'}"


def peak_rate(device: torch.device, precision: Precision) -> float:
    """FLOPs a second that the device can reach: by data sheet if known, else as measured here.

    What is measured is a product of two square matrices, in float32 on a CPU.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for part, rates in DATA_SHEET.items():
            if part in name:
                return rates[precision == "bfloat16"]
    kind = torch.bfloat16 if precision == "bfloat16" and device.type == "cuda" else torch.float32
    size = 4096 if device.type == "cuda" else 512
    square = torch.ones(size, size, device=device, dtype=kind)
    fastest = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        (square @ square)[0, 0].item()
        fastest = min(fastest, time.perf_counter() - started)
    return 2 * size**3 / fastest


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: by tensors on a GPU, by the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak

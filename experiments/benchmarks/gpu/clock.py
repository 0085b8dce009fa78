"""Times and memory of calls on a GPU or a CPU."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch

GIB = 2**30
Call = Callable[[], object]


def finish(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_in_turns(
    calls: Sequence[Call], device: torch.device, *, rounds: int = 9, least: float = 0.01
) -> list[float]:
    """Median wall seconds of each call, taken in turns so that whatever else happens hits all.

    A call that is short is repeated within its turn until the turn takes `least` seconds: else the
    time to wait for the device would be measured.
    """
    repeats: list[int] = []
    for call in calls:
        for _ in range(2):  # the first call pays for memory and compilation
            finish(device)
            started = time.perf_counter()
            call()
            finish(device)
        repeats.append(max(1, round(least / max(time.perf_counter() - started, 1e-9))))
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, count, taken in zip(calls, repeats, times, strict=True):
            finish(device)
            started = time.perf_counter()
            for _ in range(count):
                call()
            finish(device)
            taken.append((time.perf_counter() - started) / count)
    return [statistics.median(taken) for taken in times]


def peak_gib(call: Call, device: torch.device) -> float | None:
    """GiB that a call holds at once beyond what was held before; None on a CPU."""
    if device.type != "cuda":
        return None
    finish(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    finish(device)
    return (torch.cuda.max_memory_allocated(device) - before) / GIB


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Significant digits, for a table."""
    return None if value is None else float(f"{value:.{digits}g}")

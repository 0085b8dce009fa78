"""What the modular loss costs beside plain CLIP's loss and beside the published computation."""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.benchmarks.measurement import Measurement
from smartclip.objective import Similarity, modular_contrastive_loss

SCALE = 10.0
SIZES, DIMENSIONS = (512, 1024, 2048, 4096), (512, 768)
TARGET = "at most 2.2"


def measurements() -> list[Measurement]:
    """Forward and backward, float32, on the CPU; about four minutes on two idle cores."""
    rows: list[Measurement] = []
    for threads in sorted({1, os.cpu_count() or 1}):
        with _threads(threads):
            rows += [_against_clip(b, d, threads) for d in DIMENSIONS for b in SIZES]
    with _threads(1):
        rows += [
            _against_clip(1024, 512, 1, similarity="likelihood_ratio"),
            _against_clip(512, 20, 1, similarity="likelihood_ratio"),
            _against_clip(1024, 512, 1, chunk_size=256),
            _against_published(128, 512),
        ]
    return [*rows, _memory(16384, 768, 512)]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _interleaved_seconds(calls: list[Callable[[], Tensor]], repeats: int) -> list[float]:
    """Median times of calls and their backward passes, taken in turns: other jobs hit all alike."""
    times: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for call, taken in zip(calls, times, strict=True):
            started = time.perf_counter()
            call().backward()
            if repeat:  # the first warms caches
                taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in times]


def _inputs(size: int, dimension: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image, text = (torch.randn(size, dimension, generator=generator) for _ in range(2))
    mask = (torch.rand(size, dimension, generator=generator) < 0.7).float()
    return image.requires_grad_(), text.requires_grad_(), mask.requires_grad_()


def _clip_loss(image: Tensor, text: Tensor) -> Tensor:
    logits = SCALE * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _against_clip(
    size: int,
    dimension: int,
    threads: int,
    *,
    similarity: Similarity = "cosine",
    chunk_size: int | None = None,
) -> Measurement:
    image, text, mask = _inputs(size, dimension)
    seconds, reference_seconds = _interleaved_seconds(
        [
            lambda: modular_contrastive_loss(
                image, text, mask, SCALE, similarity=similarity, chunk_size=chunk_size
            ),
            lambda: _clip_loss(image, text),
        ],
        repeats=max(5, 21 * 512 // size),
    )
    streamed = "" if chunk_size is None else f", in chunks of {chunk_size}"
    return Measurement(
        work=f"{similarity}, B={size}, D={dimension}, {threads} threads{streamed}",
        seconds=seconds,
        reference="plain CLIP loss",
        reference_seconds=reference_seconds,
        target=TARGET,
    )


def published_loss(image: Tensor, text: Tensor, mask: Tensor) -> Tensor:
    """The published way: every image under every mask, a [B, B, D] array."""
    masked = F.normalize(image[:, None] * mask[None], dim=2)
    logits = SCALE * torch.einsum("ijd,jd->ij", masked, F.normalize(text, dim=1))
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _against_published(size: int, dimension: int) -> Measurement:
    image, text, mask = _inputs(size, dimension)
    calls = [
        lambda: modular_contrastive_loss(image, text, mask, SCALE),
        lambda: published_loss(image, text, mask),
    ]
    ours, published = (call().item() for call in calls)
    seconds, reference_seconds = _interleaved_seconds(calls, repeats=3)
    return Measurement(
        work=f"cosine, B={size}, D={dimension}, 1 thread",
        seconds=seconds,
        reference="the published computation",
        reference_seconds=reference_seconds,
        note=f"values differ by {math.fabs(ours - published):.1e}",
    )


def _memory(size: int, dimension: int, chunk_size: int) -> Measurement:
    """In a process of its own, since a peak is never taken back."""
    code = (
        "from experiments.benchmarks.objective import print_streamed_peak; "
        f"print_streamed_peak({size}, {dimension}, {chunk_size})"
    )
    done = subprocess.run(  # noqa: S603 -- this very file
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    return Measurement(
        work=f"cosine, B={size}, D={dimension}, in chunks of {chunk_size}, a fresh process",
        seconds=told["seconds"],
        target="peak below 2 GiB",
        note=f"peak of the process {told['peak'] / 2**30:.2f} GiB, of it "
        f"{told['before'] / 2**30:.2f} GiB before the loss (torch and inputs)",
    )


def print_streamed_peak(size: int, dimension: int, chunk_size: int) -> None:
    """Peak memory of this process before and after one loss and its gradient, as JSON."""
    image, text, mask = _inputs(size, dimension)
    before = _peak_memory()
    started = time.perf_counter()
    modular_contrastive_loss(image, text, mask, SCALE, chunk_size=chunk_size).backward()
    seconds = time.perf_counter() - started
    print(json.dumps({"before": before, "peak": _peak_memory(), "seconds": seconds}))


def _peak_memory() -> int:
    """Bytes. On Linux not ru_maxrss, which a child process inherits from the one that starts it."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

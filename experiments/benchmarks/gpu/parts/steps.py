"""A training step of SmartCLIP beside open_clip's CLIP step, on ViT-B/32 and ViT-B/16.

    MFU = FLOP of a step / (seconds x FLOP/s of a matrix product on this machine)

FLOP are counted by `torch.utils.flop_counter` in one step; both steps get their own count.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.benchmarks.gpu.clock import peak_gib, rounded, seconds_in_turns
from experiments.benchmarks.gpu.part import Part, Row
from experiments.benchmarks.gpu.parts.machine import Arithmetic, flops
from experiments.benchmarks.step import Step, clip_step, noise_batch, smartclip_step
from smartclip.train.execution import ExecutionConfig, Precision

CASES = (("ViT-B-32", 1024, 77), ("ViT-B-16", 256, 248))
HOW: tuple[tuple[Precision, bool], ...] = (
    ("bfloat16", False),
    ("bfloat16", True),
    ("float32", False),
)


class Steps(Part):
    """Time, memory, MFU; compiled and not."""

    name: ClassVar[str] = "steps"
    title: ClassVar[str] = "A training step"
    order: ClassVar[int] = 3
    limit: ClassVar[int] = 110

    def __init__(self, *, pretend: bool) -> None:
        super().__init__(pretend=pretend)
        self.work: dict[tuple[str, Callable[..., Step]], int] = {}
        """FLOP of a step, by model and kind of step."""

    def rows(self) -> Iterator[Row]:
        if self.pretend:
            yield self._beside("ViT-B-32", 2, 9, "bfloat16", False)
            return
        for precision, compiled in HOW:
            for name, size, context in CASES:
                yield self._beside(name, size, context, precision, compiled)

    def _beside(
        self, name: str, size: int, context: int, precision: Precision, compiled: bool
    ) -> Row:
        execution = ExecutionConfig(precision=precision, compile=compiled)
        images, tokens = (part.to(self.device) for part in noise_batch(name, size, context))
        arithmetic: Arithmetic = precision
        peak = flops(arithmetic, self.device, 256 if self.pretend else 8192)
        makers: tuple[Callable[..., Step], ...] = (smartclip_step, clip_step)
        gib, steps = [], []
        for make in makers:
            step = make(name, images, tokens, context, execution)
            if (name, make) not in self.work:  # the first case of a model is not compiled
                with FlopCounterMode(display=False) as counter:
                    step()
                self.work[name, make] = counter.get_total_flops()
            step()  # makes the optimiser's moments and compiles
            gib.append(peak_gib(step, self.device))
            steps.append(step)
        work = [self.work[name, make] for make in makers]
        rounds = 1 if self.pretend else 5
        seconds = seconds_in_turns(steps, self.device, rounds=rounds)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return {
            "work": f"SmartCLIP step, {name}, {precision}{', compiled' if compiled else ''}",
            "B": size,
            "tokens": context,
            "ms": rounded(1e3 * seconds[0]),
            "reference": "open_clip's CLIP step",
            "reference ms": rounded(1e3 * seconds[1]),
            "ratio": rounded(seconds[0] / seconds[1], 4),
            "GiB": rounded(gib[0], 3),
            "reference GiB": rounded(gib[1], 3),
            "MFU": rounded(work[0] / seconds[0] / peak, 3),
            "reference MFU": rounded(work[1] / seconds[1] / peak, 3),
        }

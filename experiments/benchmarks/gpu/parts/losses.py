"""The modular loss beside open_clip's loss and the published way, forward and backward.

    FLOP of ours    12 B^2 D: two products forward, four backward; 16 B^2 D if streamed
    FLOP of CLIP's   6 B^2 D

Under bfloat16 the inputs are of that kind; open_clip's products are too, and those of ours TF32, as
in training (`smartclip.train.parallel.Towers.products`).
"""

import math
from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.benchmarks.gpu.clock import Call, peak_gib, rounded, seconds_in_turns
from experiments.benchmarks.gpu.part import Part, Row
from experiments.benchmarks.gpu.parts.machine import ARITHMETIC, Arithmetic, arithmetic, flops
from experiments.benchmarks.objective import published_loss
from smartclip.objective import modular_contrastive_loss
from smartclip.objective.similarities import formula
from smartclip.towers.open_clip import load_open_clip

SCALE = 20.0
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def smartclip_loss(image: Tensor, text: Tensor, mask: Tensor) -> Tensor:
    """Ours, S in memory."""
    return modular_contrastive_loss(image, text, mask, SCALE)


def clip_loss(image: Tensor, text: Tensor, mask: Tensor) -> Tensor:
    """open_clip's, which has no masks."""
    loss = load_open_clip().ClipLoss()
    return loss(F.normalize(image, dim=1), F.normalize(text, dim=1), SCALE)


def autograd_loss(image: Tensor, text: Tensor, mask: Tensor) -> Tensor:
    """Ours from the same factors, its gradient by autograd: what a compiler can fuse."""
    scale = torch.full((1, 1), SCALE, device=image.device)
    logits = formula("cosine").factors(image, text, mask, scale).logits()
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


class Losses(Part):
    """Time, memory, and the share of what the machine can do."""

    name: ClassVar[str] = "losses"
    title: ClassVar[str] = "The loss, forward and backward"
    order: ClassVar[int] = 2
    limit: ClassVar[int] = 80

    def rows(self) -> Iterator[Row]:
        sizes = (32, 64) if self.pretend else (1024, 4096, 16384, 32768)
        dimensions = (8,) if self.pretend else (512, 768)
        for dimension in dimensions:
            # Of the second dimension the largest batch says enough.
            for size in sizes if dimension == dimensions[0] else sizes[-1:]:
                for kind in ARITHMETIC:
                    yield self._beside_clip(size, dimension, kind)
        for kind in ARITHMETIC[:2]:
            yield self._compiled(sizes[-2], dimensions[0], kind)
        yield self._beside_published(sizes[0], dimensions[0])
        yield self._streamed(128 if self.pretend else 65536, dimensions[0])

    def _beside_clip(self, size: int, dimension: int, kind: Arithmetic) -> Row:
        row = self._beside(clip_loss, "open_clip's loss", size, dimension, kind)
        peak = flops("tf32" if kind == "bfloat16" else kind, self.device, self._square())
        share = 12 * size**2 * dimension / (row["ms"] / 1e3) / peak
        return row | {"share of FLOP/s": rounded(share, 3)}

    def _compiled(self, size: int, dimension: int, kind: Arithmetic) -> Row:
        compiled = autograd_loss if self.pretend else torch.compile(autograd_loss)
        return self._beside(compiled, "the same by autograd, torch.compile", size, dimension, kind)

    def _beside_published(self, size: int, dimension: int) -> Row:
        name = "the published way, [B, B, D]"
        try:
            return self._beside(published_loss, name, size, dimension, "float32")
        except torch.cuda.OutOfMemoryError:
            row: Row = {"work": "SmartCLIP's loss, float32", "B": size, "D": dimension}
            return row | {"reference": f"{name}: out of memory", "ratio": math.nan}

    def _beside(
        self, reference: Loss, name: str, size: int, dimension: int, kind: Arithmetic
    ) -> Row:
        ours, theirs = self._calls([smartclip_loss, reference], size, dimension, kind)
        seconds = seconds_in_turns([ours, theirs], self.device, rounds=5)
        return {
            "work": f"SmartCLIP's loss, {kind}",
            "B": size,
            "D": dimension,
            "ms": rounded(1e3 * seconds[0]),
            "reference": name,
            "reference ms": rounded(1e3 * seconds[1]),
            "ratio": rounded(seconds[0] / seconds[1], 3),
            "GiB": rounded(peak_gib(ours, self.device), 3),
            "reference GiB": rounded(peak_gib(theirs, self.device), 3),
        }

    def _streamed(self, size: int, dimension: int) -> Row:
        def streamed(image: Tensor, text: Tensor, mask: Tensor) -> Tensor:
            return modular_contrastive_loss(image, text, mask, SCALE, chunk_size=size // 16)

        (call,) = self._calls([streamed], size, dimension, "float32")
        (seconds,) = seconds_in_turns([call], self.device, rounds=3)
        peak = flops("float32", self.device, self._square())
        return {
            "work": f"SmartCLIP's loss, float32, {size // 16} rows at a time",
            "B": size,
            "D": dimension,
            "ms": rounded(1e3 * seconds),
            "GiB": rounded(peak_gib(call, self.device), 3),
            "share of FLOP/s": rounded(16 * size**2 * dimension / seconds / peak, 3),
        }

    def _square(self) -> int:
        return 256 if self.pretend else 8192

    def _calls(self, losses: list[Loss], size: int, dimension: int, kind: Arithmetic) -> list[Call]:
        generator = torch.Generator(self.device).manual_seed(0)
        dtype = torch.bfloat16 if kind == "bfloat16" else torch.float32

        def drawn() -> Tensor:
            made = torch.randn(size, dimension, generator=generator, device=self.device)
            return made.to(dtype).requires_grad_()

        image, text = drawn(), drawn()
        mask = (drawn().detach() < 0.5).to(dtype).requires_grad_()

        def call_of(loss: Loss) -> Call:
            def call() -> None:
                for part in (image, text, mask):
                    part.grad = None
                with arithmetic(kind):
                    low = kind == "bfloat16"
                    with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
                        value = loss(image, text, mask)
                    value.backward()

            return call

        return [call_of(loss) for loss in losses]

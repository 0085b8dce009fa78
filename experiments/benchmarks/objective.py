"""What the modular loss costs beside plain CLIP's loss and beside the published computation."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.benchmarks.measurement import Measurement, median_seconds
from smartclip.objective import modular_contrastive_loss

DIMENSION = 512
SCALE = 10.0


def measurements() -> list[Measurement]:
    """Forward and backward, one process, the device torch takes by default."""
    rows = [_against_clip(size) for size in (512, 1024, 2048)]
    return [*rows, _against_published(128), _streamed(4096)]


def _inputs(size: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image, text = (torch.randn(size, DIMENSION, generator=generator) for _ in range(2))
    mask = (torch.rand(size, DIMENSION, generator=generator) < 0.7).float()
    return image.requires_grad_(), text.requires_grad_(), mask.requires_grad_()


def _clip_loss(image: Tensor, text: Tensor) -> Tensor:
    logits = SCALE * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _against_clip(size: int) -> Measurement:
    image, text, mask = _inputs(size)
    return Measurement(
        work=f"modular loss, B={size}, D={DIMENSION}",
        seconds=median_seconds(
            lambda: modular_contrastive_loss(image, text, mask, SCALE).backward()
        ),
        reference="plain CLIP loss",
        reference_seconds=median_seconds(lambda: _clip_loss(image, text).backward()),
        target="at most 2.2",
    )


def _published_loss(image: Tensor, text: Tensor, mask: Tensor) -> Tensor:
    """The published way: every image under every mask, a [B, B, D] array."""
    masked = F.normalize(image[:, None] * mask[None], dim=2)
    logits = SCALE * torch.einsum("ijd,jd->ij", masked, F.normalize(text, dim=1))
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _against_published(size: int) -> Measurement:
    image, text, mask = _inputs(size)
    ours = modular_contrastive_loss(image, text, mask, SCALE)
    published = _published_loss(image, text, mask)
    return Measurement(
        work=f"modular loss, B={size}, D={DIMENSION}",
        seconds=median_seconds(
            lambda: modular_contrastive_loss(image, text, mask, SCALE).backward()
        ),
        reference="the published computation",
        reference_seconds=median_seconds(
            lambda: _published_loss(image, text, mask).backward(), repeats=3
        ),
        note=f"values differ by {math.fabs(ours.item() - published.item()):.1e}",
    )


def _streamed(size: int) -> Measurement:
    image, text, mask = _inputs(size)
    return Measurement(
        work=f"streamed modular loss, B={size}, chunks of 512",
        seconds=median_seconds(
            lambda: modular_contrastive_loss(image, text, mask, SCALE, chunk_size=512).backward(),
            repeats=3,
        ),
        reference="the same loss, whole",
        reference_seconds=median_seconds(
            lambda: modular_contrastive_loss(image, text, mask, SCALE).backward(), repeats=3
        ),
        note=f"holds {512 * size * 4 / 2**20:.0f} MiB of logits, not {size * size * 4 / 2**20:.0f}",
    )

"""How fast the worlds are drawn."""

import torch

from experiments.benchmarks.measurement import Measurement, median_seconds
from simulators import DigitWorld, SceneWorld, VectorWorld
from simulators.randomness import Stream, uniforms
from theory.captions import CaptionFamily

FAMILY = CaptionFamily.from_captions(
    [["a", "b", "c"], ["a", "d", "e"], ["b", "d"], ["c", "e"]], sizes=dict.fromkeys("abcde", 2)
)


def measurements() -> list[Measurement]:
    """Samples a second of each world, on all cores that torch uses."""
    return [_latents(200_000), _vectors(200_000), _scenes(2048), _digits(20_000)]


def _latents(n: int) -> Measurement:
    """The same law from torch's own generator, which gives no random access."""
    world = VectorWorld(FAMILY)
    law, d = world.latents, FAMILY.dimension
    generator = torch.Generator().manual_seed(0)
    seconds = median_seconds(
        lambda: law.from_uniforms(uniforms(n, d, seed=0, stream=Stream.LATENTS))
    )
    return Measurement(
        work=f"{n:,} latents of dimension {d}, any one on its own",
        seconds=seconds,
        reference="torch.randn, in order only",
        reference_seconds=median_seconds(
            lambda: torch.randn(n, d, generator=generator, dtype=torch.float64)
        ),
        target="at least 1 M a second",
        note=f"{n / seconds / 1e6:.1f} M latents a second",
    )


def _vectors(n: int) -> Measurement:
    world = VectorWorld(FAMILY)
    seconds = median_seconds(lambda: world.sample(n, seed=0))
    return Measurement(
        work=f"{n:,} samples of VectorWorld: latents, images and captions",
        seconds=seconds,
        target="at least 1 M a second",
        note=f"{n / seconds / 1e6:.2f} M samples a second, {FAMILY.dimension} latents each",
    )


def _scenes(n: int) -> Measurement:
    world = SceneWorld()
    seconds = median_seconds(lambda: world.sample(n, seed=0), repeats=3)
    return Measurement(
        work=f"{n:,} samples of SceneWorld: images of 64 pixels and captions",
        seconds=seconds,
        target="at least 2,000 a second",
        note=f"{n / seconds:,.0f} samples a second",
    )


def _digits(n: int) -> Measurement:
    world = DigitWorld()
    seconds = median_seconds(lambda: world.sample(n, seed=0), repeats=3)
    return Measurement(
        work=f"{n:,} samples of DigitWorld: images and captions",
        seconds=seconds,
        note=f"{n / seconds:,.0f} samples a second",
    )

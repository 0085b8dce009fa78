"""Simulated latents behind vectors: the setting that the identification statements are about.

Without options: five concepts of two dimensions and the captions {0,1,2}, {0,3,4}, {1,3}, {2,4}.
No concept stands alone in any caption, and each of the five is an intersection.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, SupportsIndex

from experiments.datasets.dataset import Data, Dataset, TowerPair
from experiments.record import Record
from theory import CaptionFamily, Concept
from theory.errors import InputError

if TYPE_CHECKING:
    from experiments.results.blocks import Blocks
    from experiments.run import Trained
    from smartclip.train.source import Source

DEMO_CAPTIONS = (("0", "1", "2"), ("0", "3", "4"), ("1", "3"), ("2", "4"))
DEMO_SIZE = 2
# Streams of samples that never meet: training takes its own seed, measurement one far away.
HELD_OUT_SEED = 1_000_003


@dataclass(frozen=True, kw_only=True)
class Vectors(Dataset):
    """Simulated latents: which blocks a caption family promises, and whether they came out.

    About a minute on two cores. The same command gives the same numbers.
    """

    name: ClassVar[str] = "vectors"
    record: ClassVar[Record] = Record(
        machine="2 CPU cores",
        minutes="1",
        expected="all promised blocks of the demo's family; docs/identification.md for others",
    )
    steps: ClassVar[int] = 2400
    debug_steps: ClassVar[int] = 24

    captions: str | None = None
    """Captions separated by ";", the concepts of each by ",": "bear,pen;bear,chair"."""
    sizes: str | None = None
    """Latent dimensions of a concept where it is not 1: "bear=2,pen=3"."""
    dependence: float = 0.0
    """Correlation between the concepts, through one common factor."""
    dimensions: int | None = None
    """Coordinates of the code; twice the dimensions of the latents by default."""
    mixing: int = 0
    """Seed of the generators g_I and g_T."""
    samples: int | None = None
    """Held-out samples that measure recovery; 4,096 by default, 256 for the twin of seconds."""

    def __post_init__(self) -> None:
        for name, least in (("dimensions", 1), ("samples", 128)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(
                    f"{name} = {value}", rule=f"{name} is at least {least}", fix="change it"
                )

    @property
    def family(self) -> CaptionFamily:
        """C, with its sizes."""
        from experiments.caption_text import parse_captions, parse_sizes

        captions, sizes = DEMO_CAPTIONS, dict.fromkeys("01234", DEMO_SIZE)
        if self.captions is not None:
            captions, sizes = parse_captions(self.captions), {}
        if self.sizes is not None:
            sizes |= parse_sizes(self.sizes)
        known: dict[Concept, SupportsIndex] = {**sizes}
        return CaptionFamily.from_captions(captions, sizes=known)

    @property
    def measured(self) -> int:
        """Held-out samples."""
        return self.samples or (256 if self.debug else 4096)

    @property
    def dimension(self) -> int:
        return self.dimensions or 2 * self.family.dimension

    def load(self) -> "VectorData":
        return VectorData(self)


class VectorData(Data):
    """A vector world, and what is measured in it."""

    def __init__(self, options: Vectors) -> None:
        from simulators import VectorWorld
        from simulators.latents import Gaussian

        super().__init__(options)
        self.options: Vectors = options
        family = options.family
        latents = Gaussian(family.dimension, dependence=options.dependence)
        self.world: VectorWorld = VectorWorld(family, latents=latents, seed=options.mixing)

    def towers(self) -> TowerPair:
        from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower

        size = MLPConfig(width=16, depth=1) if self.options.debug else MLPConfig()
        text = MLPTextTower(self.world.text_dimension, self.options.dimension, size)
        image = MLPImageTower(self.world.image_dimension, self.options.dimension, size)
        return TowerPair(image, text, text.width)

    def source(self, *, seed: int, captions: int) -> "AbstractContextManager[Source]":
        from smartclip.train.source import WorldSource

        return nullcontext(WorldSource(self.world, seed=seed, captions=captions, steps_at_once=8))

    def measure(self, trained: "Sequence[Trained]") -> "Blocks":
        from experiments.results.blocks import measure

        return measure(self, trained[0])

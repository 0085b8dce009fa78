"""Train SmartCLIP on a vector world: the setting the identification statements are about."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from simulators import VectorWorld
from simulators.latents import Gaussian
from smartclip.gates import Gate
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.config import TrainConfig
from smartclip.train.growth import Growth
from smartclip.train.losses import Terms, step_loss
from smartclip.train.source import LongAndShort, WorldSource
from smartclip.train.two_captions import LongCaptionObjective, TwoCaptions
from theory import CaptionFamily, InputError

# Five concepts of two dimensions, none of them alone in any caption. Every pair of captions but
# the last shares exactly one concept, so that each of the five is an intersection.
DEMO_CAPTIONS = (("0", "1", "2"), ("0", "3", "4"), ("1", "3"), ("2", "4"))
DEMO_SIZE = 2


def identifying(*, seed: int = 0) -> TrainConfig:
    """The setting for every family: explore, specialise, settle, and prune only a little.

    A budget that closes every spare coordinate also closes whole concepts on most families, so it
    is kept low: promised blocks come out complete and pure, with more coordinates than needed.
    """
    return TrainConfig(
        steps=2000,
        refine_steps=400,
        logit_scale=8.0,
        refine_logit_scale=24.0,
        budget=0.1,
        prune_from=0.55,
        prune_until=0.75,
        growth=Growth(),
        seed=seed,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorRecipe:
    """Everything a run on a vector world depends on.

    Attributes:
        captions: the family.
        sizes: d_k where it is not 1, as pairs of concept and size.
        dependence: correlation between concepts through one common factor.
        dimension: d^, the coordinates of the code; twice d by default.
        tower: hidden layers of both towers.
        gate: how mask logits become masks.
        opening: probability with which gates are open at first.
        all_open: every mask is all ones: CLIP.
        components: Long-CLIP instead (see `smartclip.long_caption`), with so many components for
            the short one of two captions an image.
        train: the training.
        samples: held-out samples that measure recovery.
        seed: of the mixings; samples and training take theirs from `train.seed`.
    """

    captions: tuple[tuple[str, ...], ...] = DEMO_CAPTIONS
    sizes: tuple[tuple[str, int], ...] = tuple((name, DEMO_SIZE) for name in "01234")
    dependence: float = 0.0
    dimension: int | None = None
    tower: MLPConfig = field(default_factory=MLPConfig)
    gate: Gate = "bernoulli"
    opening: float = 0.5
    all_open: bool = False
    components: int | None = None
    train: TrainConfig = field(default_factory=identifying)
    samples: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dimension is not None and self.dimension < 1:
            raise InputError(
                f"dimension = {self.dimension}",
                rule="a code has at least one coordinate",
                fix="give 1 or more, or leave it out for twice the dimensions of the latents",
            )

    def family(self) -> CaptionFamily:
        """C, with its sizes."""
        return CaptionFamily.from_captions(self.captions, sizes=dict(self.sizes))

    def world(self) -> VectorWorld:
        """The simulator."""
        family = self.family()
        latents = Gaussian(family.dimension, dependence=self.dependence)
        return VectorWorld(family, latents=latents, seed=self.seed)

    def model(self, world: VectorWorld, device: torch.device) -> SmartCLIP:
        """A fresh model; its weights are drawn from `train.seed`, whatever was drawn before."""
        dimension = self.dimension or 2 * world.family.dimension
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.train.seed)
            text_tower = MLPTextTower(world.text_dimension, dimension, self.tower)
            model = (SmartCLIP if self.components is None else TwoCaptions)(
                MLPImageTower(world.image_dimension, dimension, self.tower),
                text_tower,
                width=text_tower.width,
                dimension=dimension,
                gate=self.gate,
                opening=self.opening,
                all_open=self.all_open,
            )
        return model.to(device)

    def source(self, world: VectorWorld) -> WorldSource:
        """The batches of training: two captions an image for Long-CLIP, else one."""
        kind = WorldSource if self.components is None else LongAndShort
        return kind(world, seed=self.train.seed)

    @property
    def objective(self) -> Callable[..., Terms]:
        """What a step minimises."""
        return step_loss if self.components is None else LongCaptionObjective(self.components)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

"""One run on a vector world: train, encode held-out samples, and find the twins of lucky codes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.recipes.vectors import VectorRecipe
from simulators import VectorWorld
from simulators.latents import Gaussian
from simulators.world import Batch
from smartclip.evaluate.code import Code, encode
from smartclip.model import SmartCLIP
from smartclip.train.loop import train
from theory import Concept, InputError
from theory.recovery import block_recovery
from theory.recovery.recovery import BlockScore
from theory.recovery.twin import twin_latents
from theory.recovery.verdict import Verdict

# Streams of samples that never meet: training takes its own seed, measurement one far away.
HELD_OUT_SEED = 1_000_003


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorRun:
    """A trained model with the code of held-out samples.

    Attributes:
        recipe: what was trained.
        world: the simulator.
        model: trained, in evaluation mode.
        held_out: samples that training never saw.
        code: their embeddings and masks.
        device: of the model.
    """

    recipe: VectorRecipe
    world: VectorWorld
    model: SmartCLIP
    held_out: Batch
    code: Code
    device: torch.device

    def encode_image(self, image: Tensor) -> Float[Tensor, "n D"]:
        """z^_I of any images, on the CPU; it can be differentiated."""
        return self.model.encode_image(image.float().to(self.device)).cpu()

    def twin(self, row: BlockScore) -> tuple[Concept, Concept] | None:
        """Why a block came out alone that no statement promises: luck, if there is a twin.

        Args:
            row: a measured block.

        Returns:
            A concept of the block and the companion outside that the twin mixes it with. None for
            any other block, and for concepts without a twin that keeps the law of the latents.
        """
        if row.verdict is not Verdict.SURPRISE:
            return None
        pairs = (
            (concept, companion)
            for concept in row.block
            for companion in self.world.family.closure(concept) - row.block
        )
        return next((pair for pair in pairs if self._is_mixed_by_twin(row, *pair)), None)

    def _is_mixed_by_twin(self, row: BlockScore, concept: Concept, companion: Concept) -> bool:
        family = self.world.family
        law = Gaussian(family.dimension, dependence=self.recipe.dependence)
        try:
            z = twin_latents(
                self.held_out.latents, family, concept, companion, covariance=law.covariance
            )
        except InputError:
            return False
        code = self.encode_image(self.world.render(z, self.held_out.image_noise)).detach()
        twin = block_recovery(
            self.held_out.latents, code, family=family, masks=self.code.caption_masks
        )
        return any(
            one.block == row.block and one.verdict is Verdict.NOT_IDENTIFIED for one in twin.blocks
        )


def run_vectors(
    recipe: VectorRecipe, folder: Path, *, device: torch.device, quiet: bool = False
) -> VectorRun:
    """Train a recipe in a folder, or go on where it stopped, and encode held-out samples."""
    world = recipe.world()
    model = train(
        recipe.model(world, device),
        recipe.source(world),
        recipe.train,
        folder,
        objective=recipe.objective,
        label="vectors",
        quiet=quiet,
    )
    held_out = world.sample(recipe.samples, seed=HELD_OUT_SEED + recipe.train.seed)
    assert isinstance(held_out.text, torch.Tensor)  # a vector world
    code = encode(
        model, held_out.image, held_out.text, held_out.caption, captions=len(world.family.captions)
    )
    return VectorRun(
        recipe=recipe, world=world, model=model, held_out=held_out, code=code, device=device
    )

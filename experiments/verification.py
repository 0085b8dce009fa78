"""captions -> prediction -> training -> measurement -> verdict, for one recipe and one seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.figures.recovery import block_scores, caption_masks, dependency_comparison
from experiments.figures.style import save
from experiments.figures.training import training_curves
from experiments.recipes.vectors import VectorRecipe
from experiments.report import Picture, Section
from experiments.run_folder import RESULT, RunFolder
from smartclip.evaluate.code import Code, encode
from smartclip.train.log import read_metrics
from smartclip.train.loop import METRICS, train
from smartclip.train.source import WorldSource
from theory import Concept, Prediction, predict
from theory.recovery import Recovery, block_recovery

# Streams of samples that never meet: training takes its own seed, measurement one far away.
HELD_OUT_SEED = 1_000_003


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was predicted, trained and measured.

    Attributes:
        prediction: before training.
        recovery: after training, on held-out samples.
        code: embeddings and masks of the held-out samples.
        folder: where everything is kept.
    """

    prediction: Prediction
    recovery: Recovery
    code: Code
    folder: RunFolder

    def to_dict(self) -> dict[str, Any]:
        return {
            "prediction": self.prediction.to_dict(),
            "recovery": self.recovery.to_dict(),
            "masks": self.code.caption_masks.int().tolist(),
            "mask_agreement": self.code.agreement,
        }

    def section(self) -> Section:
        """The story of this run for a report."""
        family = self.prediction.family
        pictures = {
            "dependency": "Which concepts the coordinates of each concept may depend on by "
            "prediction (zeros are promised), and how much of their variance is lost when a "
            "regression may not see a concept.",
            "masks": "Which coordinates each kind of caption opens. Columns of one colour are open "
            "in the same captions: they are the coordinates of what those captions share.",
            "blocks": "Each block of the lattice on held-out samples: is nothing lost "
            "(completeness), and does nothing else get in (purity)? The dashed line is the bar.",
            "training": "Training. Masks form up to the dotted line and stand still after it.",
        }
        table = self.recovery.table()
        table["block"] = [", ".join(map(str, family.space.ordered(b))) for b in table["block"]]
        return Section(
            title="Simulated latents: " + "  ".join(map(_braces, self._captions())),
            verdict=self.recovery.verdict,
            good=self.recovery.as_predicted,
            steps=self._story(),
            pictures=[
                Picture(path=self.folder.figure(name), text=text) for name, text in pictures.items()
            ],
            tables=[("Every block", table)],
            folder=self.folder.path,
        )

    def _captions(self) -> list[tuple[Concept, ...]]:
        family = self.prediction.family
        return [family.space.ordered(caption) for caption in family.captions]

    def _story(self) -> list[str]:
        family, alone = self.prediction.family, self.prediction.alone
        used = int(self.code.caption_masks.any(0).sum())
        return [
            f"Captions: {len(family.captions)} kinds, over {len(family.concepts)} concepts with "
            f"{family.dimension} latent dimensions.",
            f"Prediction: {len(alone)} of {len(family.concepts)} concepts are identified alone "
            f"({', '.join(map(str, alone)) or 'none'}), although "
            f"{sum((concept,) in self._captions() for concept in alone)} of them are ever named "
            "alone.",
            f"Training: {used} of {self.code.caption_masks.shape[1]} coordinates are in use; the "
            f"masks of one kind of caption agree in {self.code.agreement:.1%} of captions.",
            f"Measurement: {len(self.recovery.blocks)} blocks on {self.recovery.samples:,} "
            "held-out samples.",
        ]


def verify(
    recipe: VectorRecipe, root: Path, *, device: torch.device, quiet: bool = False
) -> Verification:
    """Predict, train, measure, and keep all of it in a run folder under `root`."""
    world = recipe.world()
    prediction = predict(world.family)
    folder = RunFolder.open(root, "vectors", recipe.to_dict())
    model = train(
        recipe.model(world, device),
        WorldSource(world, seed=recipe.train.seed),
        recipe.train,
        folder.path,
        label="vectors",
        quiet=quiet,
    )
    held_out = world.sample(recipe.samples, seed=HELD_OUT_SEED + recipe.train.seed)
    code = encode(
        model, held_out.image, held_out.text, held_out.caption, captions=len(world.family.captions)
    )
    recovery = block_recovery(
        held_out.latents, code.image, family=world.family, masks=code.caption_masks
    )
    done = Verification(prediction=prediction, recovery=recovery, code=code, folder=folder)
    folder.write_json(RESULT, done.to_dict())
    _draw(done, recipe)
    return done


def _draw(done: Verification, recipe: VectorRecipe) -> None:
    folder, masks = done.folder, np.asarray(done.code.caption_masks)
    save(dependency_comparison(done.prediction, done.recovery), folder.figure("dependency"))
    save(block_scores(done.recovery), folder.figure("blocks"))
    save(caption_masks(done.prediction.family, masks), folder.figure("masks"))
    metrics = read_metrics(folder.path / METRICS)
    save(training_curves(metrics, steps=recipe.train.steps), folder.figure("training"))


def _braces(concepts: tuple[Concept, ...]) -> str:
    return "{" + ", ".join(map(str, concepts)) + "}"

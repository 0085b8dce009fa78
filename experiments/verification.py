"""captions -> prediction -> training -> measurement -> verdict, for one recipe and one seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from experiments.figures.jacobian import jacobian_norms
from experiments.figures.recovery import block_scores, caption_masks, dependency_comparison
from experiments.figures.style import save
from experiments.figures.training import training_curves
from experiments.recipes.vectors import VectorRecipe
from experiments.report import Picture, Section
from experiments.run_folder import RESULT, RunFolder
from experiments.vector_run import HELD_OUT_SEED, run_vectors
from smartclip.evaluate.code import Code
from smartclip.train.log import read_metrics
from smartclip.train.loop import METRICS
from theory import Concept, Prediction, predict
from theory.recovery import (
    Recovery,
    beside_known,
    block_recovery,
    comparison,
    recovery_under_controls,
)
from theory.recovery.folds import FoldTest, fold_test
from theory.recovery.jacobian import JacobianTest, jacobian_test
from theory.recovery.swap import Swap, independent_latents, swap_test

SWAPPED, DIFFERENTIATED = 1024, 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was predicted, trained and measured.

    Attributes:
        prediction: before training.
        recovery: after training, on held-out samples.
        beside: each score beside that of an oracle and of a null on the same samples.
        controls: the same code under masks that cannot be right, or must be.
        swap: how far the code of a block moves when everything else is redrawn.
        jacobian: what each coordinate of the code reads.
        folds: samples far apart in a block that share its code.
        twins: concepts that came out alone by luck, each with a companion that a code of exactly
            the same losses mixes it with (see `theory.recovery.twin`).
        independent: the same scores on latents of the same support without dependence between
            concepts; None where the concepts are independent anyway.
        code: embeddings and masks of the held-out samples.
        folder: where everything is kept.
    """

    prediction: Prediction
    recovery: Recovery
    beside: pd.DataFrame
    controls: pd.DataFrame
    swap: Swap
    jacobian: JacobianTest
    folds: FoldTest
    twins: dict[Concept, Concept]
    independent: Recovery | None
    code: Code
    folder: RunFolder

    def to_dict(self) -> dict[str, Any]:
        return {
            "prediction": self.prediction.to_dict(),
            "recovery": self.recovery.to_dict(),
            "controls": self.controls.astype(float).replace({np.nan: None}).to_dict("index"),
            "beside": [
                {name: None if pd.isna(value) else value for name, value in row.items()}
                for row in self._beside_words().to_dict("records")
            ],
            "swap": self.swap.to_dict(),
            "jacobian": self.jacobian.to_dict(),
            "folds": self.folds.to_dict(),
            "twins": [[str(concept), str(other)] for concept, other in self.twins.items()],
            "independent": None if self.independent is None else self.independent.to_dict(),
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
            "jacobian": "How strongly each coordinate of the code reads each concept and the image "
            "noise, through the known generator. Coordinates stand under the captions that open "
            "them; outside the concepts of those captions nothing should be read.",
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
            tables=[
                ("Every block", table),
                ("Each score beside an oracle's and a null's", self._beside_words()),
                ("The same code under other masks", self.controls.reset_index(names="masks")),
            ],
            folder=self.folder.path,
        )

    def _beside_words(self) -> pd.DataFrame:
        order = self.prediction.family.space.ordered
        return self.beside.assign(block=[", ".join(map(str, order(b))) for b in self.beside.block])

    def _captions(self) -> list[tuple[Concept, ...]]:
        family = self.prediction.family
        return [family.space.ordered(caption) for caption in family.captions]

    @property
    def swap_words(self) -> str:
        """The swap test in one sentence."""
        promised = [row for row in self.swap.blocks if row.promised]
        worst = max((row.worst for row in promised), default=0.0)
        return (
            f"Swap: with a block held and everything else redrawn, the code of "
            f"{len(promised) - len(self.swap.leaks())} of {len(promised)} promised blocks stays "
            f"within {self.swap.tolerance:.0%} of its variance; the worst coordinate moves by "
            f"{worst:.1%}."
        )

    @property
    def fold_words(self) -> str:
        """The fold test in one sentence."""
        promised = [row for row in self.folds.blocks if row.promised]
        worst = max((row.folded for row in promised), default=0.0)
        return (
            f"Folds: in the worst of {len(promised)} promised blocks that have coordinates, "
            f"{worst:.1%} of the samples share their code with one far apart in the block."
        )

    @property
    def independent_words(self) -> str:
        """The verdict on independent latents in one sentence; empty where there is none."""
        if self.independent is None:
            return ""
        verdict = self.independent.verdict
        return f"On independent latents of the same support: {verdict[0].lower()}{verdict[1:]}"

    @property
    def twin_words(self) -> str:
        """What luck there was, in one sentence; empty where there was none."""
        if not self.twins:
            return ""
        mixed = ", ".join(f"{concept} with {other}" for concept, other in self.twins.items())
        return (
            f"Luck: {', '.join(map(str, self.twins))} came out alone without a promise. There is a "
            f"code of exactly the same losses that is entangled, its twin, which mixes {mixed}."
        )

    def _story(self) -> list[str]:
        family, alone = self.prediction.family, self.prediction.alone
        used = int(self.code.caption_masks.any(0).sum())
        promised = [row for row in self.recovery.blocks if row.promised]
        bar = self.recovery.bar.threshold
        reached = sum(min(row.completeness.average, row.purity.average) >= bar for row in promised)
        return [
            f"Captions: {len(family.captions)} kinds, over {len(family.concepts)} concepts with "
            f"{family.dimension} latent dimensions.",
            f"Prediction: {len(alone)} of {len(family.concepts)} concepts are identified alone "
            f"({', '.join(map(str, alone)) or 'none'}); "
            f"{sum((concept,) in self._captions() for concept in alone)} of them ever stand alone "
            "in a caption.",
            f"Training: {used} of {self.code.caption_masks.shape[1]} coordinates are in use; the "
            f"masks of one kind of caption agree in {self.code.agreement:.1%} of captions.",
            f"Measurement: {len(self.recovery.blocks)} blocks on {self.recovery.samples:,} "
            f"held-out samples. On average over coordinates, {reached} of {len(promised)} promised "
            f"blocks reach {bar} in both directions; the verdict asks it of every coordinate.",
            self.swap_words,
            self.fold_words,
            *filter(None, [self.twin_words, self.independent_words]),
        ]


def verify(
    recipe: VectorRecipe, root: Path, *, device: torch.device, quiet: bool = False
) -> Verification:
    """Predict, train, measure, and keep all of it in a run folder under `root`."""
    folder = RunFolder.open(root, "vectors", recipe.to_dict())
    run = run_vectors(recipe, folder.path, device=device, quiet=quiet)
    world, held_out, code = run.world, run.held_out, run.code
    prediction = predict(world.family)
    known = {"family": world.family, "masks": code.caption_masks}
    under = recovery_under_controls(held_out.latents, code.image, **known)
    recovery = under["learned"]
    z, noise = held_out.latents.cpu(), held_out.image_noise.cpu()
    few = slice(SWAPPED)
    independent = None
    if recipe.dependence:
        free = independent_latents(z, family=world.family, seed=HELD_OUT_SEED)
        free_code = run.encode_image(world.render(free, noise)).detach()
        independent = block_recovery(free, free_code, **known)
    done = Verification(
        prediction=prediction,
        recovery=recovery,
        beside=beside_known(recovery, held_out.latents, code.image, masks=code.caption_masks),
        controls=comparison(under),
        swap=swap_test(run.encode_image, world.render, z[few], noise[few], **known),
        jacobian=jacobian_test(
            run.encode_image, world.render, z[few], noise[few], points=DIFFERENTIATED, **known
        ),
        folds=fold_test(z[few], code.image[few], **known),
        twins=dict(filter(None, map(run.twin, recovery.blocks))),
        independent=independent,
        code=code,
        folder=folder,
    )
    folder.write_json(RESULT, done.to_dict())
    _draw(done, recipe)
    return done


def _draw(done: Verification, recipe: VectorRecipe) -> None:
    folder, masks = done.folder, np.asarray(done.code.caption_masks)
    save(dependency_comparison(done.prediction, done.recovery), folder.figure("dependency"))
    save(block_scores(done.recovery), folder.figure("blocks"))
    save(caption_masks(done.prediction.family, masks), folder.figure("masks"))
    save(jacobian_norms(done.jacobian, masks), folder.figure("jacobian"))
    metrics = read_metrics(folder.path / METRICS)
    save(training_curves(metrics, steps=recipe.train.steps), folder.figure("training"))


def _braces(concepts: tuple[Concept, ...]) -> str:
    return "{" + ", ".join(map(str, concepts)) + "}"

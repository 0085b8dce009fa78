"""Which promised blocks came out: the measurement of a model trained on simulated latents.

captions -> prediction -> training -> measurement -> verdict. Completeness and purity of every
block on held-out samples, beside an oracle, a null and the same code under other masks; the swap
test, the Jacobian and folds through the known generator; twins of codes that came out alone by
luck.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from experiments.figures.jacobian import jacobian_norms
from experiments.figures.recovery import block_scores, caption_masks, dependency_comparison
from experiments.figures.style import save
from experiments.figures.training import training_curves
from experiments.report import Picture, Section
from experiments.run import Trained
from experiments.run_folder import RunFolder
from simulators import VectorWorld
from simulators.latents import Gaussian
from simulators.world import Batch
from smartclip.evaluate.code import Code, encode
from smartclip.model import SmartCLIP
from smartclip.train.log import read_metrics
from smartclip.train.loop import METRICS
from smartclip.train.phases import held_from
from theory import CaptionFamily, Concept, InputError, Prediction, predict
from theory.recovery import (
    Recovery,
    beside_known,
    block_recovery,
    comparison,
    recovery_under_controls,
)
from theory.recovery.folds import FoldTest, fold_test
from theory.recovery.jacobian import JacobianTest, jacobian_test
from theory.recovery.recovery import BlockScore
from theory.recovery.swap import Swap, independent_latents, swap_test
from theory.recovery.twin import twin_latents
from theory.recovery.verdict import Verdict

if TYPE_CHECKING:
    from experiments.datasets.vectors import VectorData

SWAPPED, DIFFERENTIATED = 1024, 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
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

    def show(self, console: Console) -> None:
        """The blocks in tables and the verdict in words."""
        table = Table(title="What was promised and what was measured (held out)")
        for title in ("block", "", "promised", "completeness", "purity", "floor", "coordinates"):
            table.add_column(title, justify="left" if title in ("block", "") else "right")
        table.add_column("verdict")
        order = self.prediction.family.space.ordered
        names = ["{" + ", ".join(map(str, order(row.block))) + "}" for row in self.recovery.blocks]
        for name, row in zip(names, self.recovery.blocks, strict=True):
            colour = "green" if row.verdict.as_predicted else "red"
            table.add_row(
                name,
                row.kind,
                "yes" if row.promised else "no",
                f"{row.completeness.average:.3f}",
                f"{row.purity.average:.3f}",
                f"{row.completeness.floor:.3f}",
                f"{len(row.coordinates)} for {row.dimension}",
                f"[{colour}]{row.verdict}[/{colour}]",
            )
        console.print(table)
        beside = Table(title="The same scores / of an oracle / of a null (code of other samples)")
        beside.add_column("block")
        beside.add_column("")
        for title in ("completeness", "purity"):
            beside.add_column(title, justify="right", no_wrap=True)
        for name, row in zip(names, self.beside.to_dict("records"), strict=True):
            scores = [
                " / ".join(
                    f"{round(row[direction + end], 2) + 0:.2f}"
                    for end in ("", "_of_oracle", "_of_null")
                )
                for direction in ("completeness", "purity")
            ]
            beside.add_row(name, row["kind"], *scores)
        console.print(beside)
        console.print(
            f"Masks of the same kind of caption agree in {self.code.agreement:.1%} of captions."
        )
        controls = Table(title="The same code under other masks")
        for title in ("masks", "promised blocks recovered", "completeness", "purity"):
            controls.add_column(title, justify="left" if title == "masks" else "right")
        for name, row in self.controls.iterrows():
            controls.add_row(
                str(name), f"{row.recovered:.0%}", f"{row.completeness:.3f}", f"{row.purity:.3f}"
            )
        console.print(controls)
        console.print(self.swap_words)
        console.print(self.fold_words)
        for words in filter(None, (self.twin_words, self.independent_words)):
            console.print(words)
        console.print(self.recovery.verdict)

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


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """Held-out samples of a world and what a trained model says of them.

    Attributes:
        world: the simulator.
        dependence: correlation between its concepts.
        model: trained, in evaluation mode.
        batch: samples that training never saw.
        code: their embeddings and masks.
        device: of the model.
    """

    world: VectorWorld
    dependence: float
    model: SmartCLIP
    batch: Batch
    code: Code
    device: torch.device

    @property
    def family(self) -> CaptionFamily:
        """The captions."""
        return self.world.family

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
        law = Gaussian(family.dimension, dependence=self.dependence)
        try:
            z = twin_latents(
                self.batch.latents, family, concept, companion, covariance=law.covariance
            )
        except InputError:
            return False
        code = self.encode_image(self.world.render(z, self.batch.image_noise)).detach()
        twin = block_recovery(
            self.batch.latents, code, family=family, masks=self.code.caption_masks
        )
        return any(
            one.block == row.block and one.verdict is Verdict.NOT_IDENTIFIED for one in twin.blocks
        )


def held_out(data: "VectorData", done: Trained) -> HeldOut:
    """Show a trained model samples that it never saw."""
    from experiments.datasets.vectors import HELD_OUT_SEED

    world = data.world
    batch = world.sample(data.options.measured, seed=HELD_OUT_SEED + done.run.config.seed)
    assert isinstance(batch.text, Tensor)  # a vector world
    captions = len(world.family.captions)
    code = encode(done.model, batch.image, batch.text, batch.caption, captions=captions)
    return HeldOut(
        world=world,
        dependence=data.options.dependence,
        model=done.model,
        batch=batch,
        code=code,
        device=done.device,
    )


def measure(data: "VectorData", done: Trained) -> Blocks:
    """Predict, measure on held-out samples, and draw what was found."""
    from experiments.datasets.vectors import HELD_OUT_SEED

    seen = held_out(data, done)
    world, code = seen.world, seen.code
    known = {"family": world.family, "masks": code.caption_masks}
    latents = seen.batch.latents
    under = recovery_under_controls(latents, code.image, **known)
    recovery = under["learned"]
    z, noise = latents.cpu(), seen.batch.image_noise.cpu()
    few = slice(SWAPPED)
    independent = None
    if seen.dependence:
        free = independent_latents(z, family=world.family, seed=HELD_OUT_SEED)
        free_code = seen.encode_image(world.render(free, noise)).detach()
        independent = block_recovery(free, free_code, **known)
    result = Blocks(
        prediction=predict(world.family),
        recovery=recovery,
        beside=beside_known(recovery, latents, code.image, masks=code.caption_masks),
        controls=comparison(under),
        swap=swap_test(seen.encode_image, world.render, z[few], noise[few], **known),
        jacobian=jacobian_test(
            seen.encode_image, world.render, z[few], noise[few], points=DIFFERENTIATED, **known
        ),
        folds=fold_test(z[few], code.image[few], **known),
        twins=dict(filter(None, map(seen.twin, recovery.blocks))),
        independent=independent,
        code=code,
        folder=done.folder,
    )
    _draw(result, done)
    return result


def _draw(result: Blocks, done: Trained) -> None:
    folder, masks = result.folder, np.asarray(result.code.caption_masks)
    save(dependency_comparison(result.prediction, result.recovery), folder.figure("dependency"))
    save(block_scores(result.recovery), folder.figure("blocks"))
    save(caption_masks(result.prediction.family, masks), folder.figure("masks"))
    save(jacobian_norms(result.jacobian, masks), folder.figure("jacobian"))
    metrics = read_metrics(folder.path / METRICS)
    curves = training_curves(metrics, held_from=held_from(done.run.method.phases))
    save(curves, folder.figure("training"))


def _braces(concepts: tuple[Concept, ...]) -> str:
    return "{" + ", ".join(map(str, concepts)) + "}"

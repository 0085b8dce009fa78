"""Pictures and captions: what trained models find, and what can be read off their coordinates.

captions -> prediction -> training -> measurement: retrieval on held-out pictures for every model
that was trained, and which concept can be read off which concept's coordinates. Of simulated
pictures also every block of the lattice, and which words open which coordinates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from experiments.datasets.dataset import PictureData
from experiments.figures.pictures import readout_figure, retrieval_figure
from experiments.figures.recovery import caption_masks, dependency_comparison
from experiments.figures.style import save
from experiments.figures.training import training_curves
from experiments.figures.words import opened_by_words
from experiments.gallery import Gallery, Known, Labelled
from experiments.report import Picture, Section
from experiments.run import Trained
from experiments.run_folder import RunFolder
from smartclip.evaluate.code import Code, encode
from smartclip.evaluate.comparison import Difference, paired_difference
from smartclip.evaluate.embedding import embed_captions, embed_images
from smartclip.evaluate.readout import Readout, readout
from smartclip.evaluate.retrieval import KS, Retrieval, read, retrieval
from smartclip.evaluate.words import WordEffects, word_effects
from smartclip.model import SmartCLIP
from smartclip.train.log import read_metrics
from smartclip.train.loop import METRICS
from smartclip.train.loss_state import scale_as_number
from smartclip.train.phases import held_from, moment
from theory import Prediction, predict
from theory.recovery import Recovery, block_recovery

MASKED, UNMASKED = ", masked", ", unmasked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What models found on the same data.

    Attributes:
        title: of the data.
        prediction: what the captions promise.
        methods: titles of the methods, the one that was asked for first.
        retrievals: for each gallery and reading, R@k. A model with masks is read through the mask
            of each caption ("..., masked") and without ("..., unmasked").
        gains: for each gallery and method beside the first, caption-to-image R@1 of the first
            reading minus that of the other.
        readouts: of each method.
        code: the held-out code of the first.
        recovery: of simulated pictures, the blocks of the lattice in that code.
        effects: of simulated pictures, which words open which coordinates.
        folder: of the first run.
    """

    title: str
    prediction: Prediction
    methods: tuple[str, ...]
    retrievals: dict[str, dict[str, Retrieval]]
    gains: dict[str, dict[str, Difference]]
    readouts: dict[str, Readout]
    code: Code
    recovery: Recovery | None
    effects: WordEffects | None
    folder: RunFolder

    def table(self) -> pd.DataFrame:
        """One row a gallery, a reading and a direction: R@k and chance, in percent."""
        frames = [
            found.table().assign(gallery=gallery, model=reading)
            for gallery, readings in self.retrievals.items()
            for reading, found in readings.items()
        ]
        table = pd.concat(frames, ignore_index=True)
        return table.loc[:, ["gallery", "model", *table.columns[:-2]]].round(1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "prediction": self.prediction.to_dict(),
            "retrieval": {
                gallery: {reading: found.to_dict() for reading, found in readings.items()}
                for gallery, readings in self.retrievals.items()
            },
            "gain_at_1": {
                gallery: {over: gain.to_dict() for over, gain in gains.items()}
                for gallery, gains in self.gains.items()
            },
            "readout": {
                model: {
                    "concepts": list(map(str, found.concepts)),
                    "accuracy": found.accuracy.tolist(),
                    "whole_code": found.whole.tolist(),
                    "chance": found.chance.tolist(),
                    "coordinates": list(found.coordinates),
                }
                for model, found in self.readouts.items()
            },
            "masks": self.code.caption_masks.int().tolist(),
            "mask_agreement": self.code.agreement,
            "recovery": self.recovery.to_dict() if self.recovery else None,
            "masks_explained_by_words": self.effects.explained if self.effects else None,
        }

    def verdict(self) -> str:
        """The comparison in words, whatever it says."""
        gallery, readings = next(iter(self.retrievals.items()))
        names = list(readings)
        found = ", ".join(f"{readings[name].caption_to_image.at(1):.1%} ({name})" for name in names)
        chance = readings[names[0]].caption_to_image.chance[0]
        told = (
            f"On {gallery}, the right picture is first for {found} of captions; chance is "
            f"{chance:.1%}."
        )
        for over, gain in self.gains[gallery].items():
            call = "the difference is too small to call"
            if gain.decided:
                call = f"{self.methods[0] if gain.mean > 0 else over} is ahead"
            told += (
                f" {self.methods[0]} beside {over}: {call} ({100 * gain.mean:+.1f} points, 95 % "
                f"interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
            )
        return told

    def section(self) -> Section:
        """The story of this run for a report."""
        pictures = {
            "sheet": "Some of the pictures, with a caption each. A caption mentions only some of "
            "the concepts.",
            "retrieval": "Held-out pictures found by caption. Grey: chance.",
            "readout": "What a held-out classifier reads off the coordinates of each concept "
            "(rows), as accuracy. Where a concept is identified alone its row is bright at the "
            "concept itself and at chance elsewhere. Blank: no coordinate of its own.",
            "masks": "Which coordinates each kind of caption opens.",
            "training": f"Training of {self.methods[0]}.",
        }
        if self.recovery:
            pictures |= {
                "dependency": "Left what the coordinates of each concept may depend on, right "
                "what they do depend on.",
                "words": "What each word adds to the mask of a caption that says it.",
            }
        family = self.prediction.family
        alone = ", ".join(map(str, self.prediction.alone)) or "none"
        own = sum(map(bool, self.readouts[self.methods[0]].coordinates))
        return Section(
            title=self.title,
            verdict=self.verdict(),
            steps=[
                f"Captions: {len(family.captions)} kinds, over {len(family.concepts)} concepts.",
                f"Prediction, if every condition held: identified alone are {alone}. The values "
                "here are discrete, which the statements do not cover; the readout shows what "
                "training made of it.",
                f"Masks of one kind of caption agree in {self.code.agreement:.1%} of captions; "
                f"{own} of {len(family.concepts)} concepts have coordinates of their own.",
            ],
            pictures=[
                Picture(path=self.folder.figure(name), text=text) for name, text in pictures.items()
            ],
            tables=[
                ("Retrieval, in percent", self.table()),
                *([("Blocks", self.recovery.table())] if self.recovery else []),
            ],
            folder=self.folder.path,
        )

    def show(self, console: Console) -> None:
        """The retrieval of each gallery and the verdict."""
        for gallery, rows in self.table().groupby("gallery", sort=False):
            console.print(retrieval_table(str(gallery), rows))
        console.print(self.verdict())


def retrieval_table(title: str, rows: pd.DataFrame) -> Table:
    """R@k in percent for the terminal, with `model` and `direction`."""
    chance = ", ".join(f"R@{k} {rows[f'chance@{k}'].iloc[0]:.1f}" for k in KS)
    table = Table("model", "direction", *(f"R@{k}" for k in KS))
    table.title = f"{title}: percent answered (chance {chance})"
    for row in rows.to_dict("records"):
        table.add_row(row["model"], row["direction"], *(f"{row[f'R@{k}']:.1f}" for k in KS))
    return table


def measure(data: PictureData, trained: Sequence[Trained]) -> Comparison:
    """Measure models on held-out pictures, and draw what was found."""
    first = trained[0]
    data.tokenizer.save(first.folder.path / "tokenizer.json")
    retrievals, gains = {}, {}
    for gallery in data.galleries():
        found = [searched(one, gallery, data) for one in trained]
        retrievals[gallery.name] = {name: one for each in found for name, one in each.items()}
        (ours, *_), *others = [list(each.values()) for each in found]
        gains[gallery.name] = {
            one.title: _gain(ours, other[0], gallery)
            for one, other in zip(trained[1:], others, strict=True)
        }
    seen, held_out = data.labelled(held_out=False), data.labelled(held_out=True)
    codes = {
        one.title: [encode_labelled(one.model, part, data) for part in (seen, held_out)]
        for one in trained
    }
    code, known = codes[first.title][1], held_out.known
    result = Comparison(
        title=data.title,
        prediction=predict(data.family),
        methods=tuple(one.title for one in trained),
        retrievals=retrievals,
        gains=gains,
        readouts={
            name: readout(
                fit.image.numpy(),
                seen.values,
                test.image.numpy(),
                held_out.values,
                family=data.family,
                masks=test.caption_masks.numpy(),
            )
            for name, (fit, test) in codes.items()
        },
        code=code,
        recovery=recovered(known, code, data) if known else None,
        effects=word_effects(known.words, known.said, code.mask.numpy()) if known else None,
        folder=first.folder,
    )
    _draw(result, data, first)
    return result


def recovered(known: Known, code: Code, data: PictureData) -> Recovery:
    """The blocks of the lattice in the code of simulated pictures."""
    return block_recovery(known.latents, code.image, family=data.family, masks=code.caption_masks)


def encode_labelled(model: SmartCLIP, part: Labelled, data: PictureData) -> Code:
    """The code of labelled pictures and the masks of their captions."""
    return encode(
        model,
        part.images,
        data.tokenizer.tokenise(part.texts),
        part.caption,
        captions=len(data.family.captions),
    )


def searched(one: Trained, gallery: Gallery, data: PictureData) -> dict[str, Retrieval]:
    """Each reading of a model on a gallery, through its masks first if it has any."""
    method, model = one.run.method, one.model
    image = embed_images(model, gallery.images)
    text, mask = embed_captions(model, data.tokenizer.tokenise(gallery.texts))
    scale = scale_as_number(model, moment(method.phases, method.steps - 1).scale)
    masks = {MASKED: mask, UNMASKED: None} if model.mask_network is not None else {"": None}
    return {
        one.title + reading: retrieval(
            read(image, text, opened, logit_scale=scale, similarity=method.objective.similarity),
            gallery.relevant,
            KS,
        )
        for reading, opened in masks.items()
    }


def _gain(ours: Retrieval, other: Retrieval, gallery: Gallery) -> Difference:
    """R@1 by caption of one minus that of the other, paired by query."""
    one, two = ours.caption_to_image, other.caption_to_image
    groups = [gallery.groups[query] for query in one.queries]
    return paired_difference(one.hits[:, 0], two.hits[:, 0], groups=groups)


def _draw(result: Comparison, data: PictureData, first: Trained) -> None:
    folder = result.folder
    save(data.sheet(), folder.figure("sheet"))
    save(retrieval_figure(result.table()), folder.figure("retrieval"))
    save(readout_figure(result.readouts), folder.figure("readout"))
    masks = result.code.caption_masks.numpy()
    save(caption_masks(result.prediction.family, masks), folder.figure("masks"))
    if result.recovery:
        # Not every block: the scores of 148 blocks are a metre high. The table has them.
        figure = dependency_comparison(result.prediction, result.recovery)
        save(figure, folder.figure("dependency"))
    if result.effects:
        save(opened_by_words(result.effects), folder.figure("words"))
    curves = training_curves(
        read_metrics(folder.path / METRICS), held_from=held_from(first.run.method.phases)
    )
    save(curves, folder.figure("training"))

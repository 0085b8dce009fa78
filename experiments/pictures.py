"""Real pictures, worded captions: train SmartCLIP and plain CLIP alike, and compare what they find.

captions -> prediction -> training -> measurement: retrieval on held-out pictures, and which concept
can be read off which concept's coordinates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from experiments.figures.pictures import readout_figure, retrieval_figure
from experiments.figures.recovery import caption_masks, dependency_comparison
from experiments.figures.style import save
from experiments.figures.training import training_curves
from experiments.figures.words import opened_by_words
from experiments.picture_data import Gallery, Known, Labelled, PictureData
from experiments.recipes.pictures import PictureRecipe
from experiments.report import Picture, Section
from experiments.run_folder import RESULT, RunFolder
from smartclip.evaluate.code import Code, encode
from smartclip.evaluate.comparison import Difference, paired_difference
from smartclip.evaluate.readout import Readout, readout
from smartclip.evaluate.retrieval import KS, Retrieval, read, retrieval
from smartclip.evaluate.words import WordEffects, word_effects
from smartclip.model import SmartCLIP
from smartclip.text import Tokenizer
from smartclip.train.caption_pairs import learn_captions
from smartclip.train.log import read_metrics
from smartclip.train.loop import METRICS, train
from theory import Prediction, predict
from theory.recovery import Recovery, block_recovery


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureResult:
    """What SmartCLIP and plain CLIP found on the same data.

    Attributes:
        title: of the data.
        prediction: what the captions promise.
        retrievals: for each gallery, "SmartCLIP, masked", "SmartCLIP, unmasked" and "CLIP".
        gains: for each gallery, caption-to-image R@1 of masked SmartCLIP minus that of CLIP.
        readouts: of "SmartCLIP" and "CLIP".
        code: the held-out code of SmartCLIP.
        recovery: of simulated pictures, the blocks of the lattice in the held-out code.
        effects: of simulated pictures, which words open which coordinates.
        folder: where everything is kept.
    """

    title: str
    prediction: Prediction
    retrievals: dict[str, dict[str, Retrieval]]
    gains: dict[str, Difference]
    readouts: dict[str, Readout]
    code: Code
    recovery: Recovery | None
    effects: WordEffects | None
    folder: RunFolder

    def table(self) -> pd.DataFrame:
        """One row a gallery, a model and a direction: R@k and chance, in percent."""
        frames = [
            found.table().assign(gallery=gallery, model=model)
            for gallery, models in self.retrievals.items()
            for model, found in models.items()
        ]
        table = pd.concat(frames, ignore_index=True)
        return table.loc[:, ["gallery", "model", *table.columns[:-2]]].round(1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "prediction": self.prediction.to_dict(),
            "retrieval": {
                gallery: {model: found.to_dict() for model, found in models.items()}
                for gallery, models in self.retrievals.items()
            },
            "gain_over_clip_at_1": {name: gain.to_dict() for name, gain in self.gains.items()},
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
        gallery, gain = next(iter(self.gains.items()))
        models = self.retrievals[gallery]
        ours, clip = (models[name].caption_to_image for name in ("SmartCLIP, masked", "CLIP"))
        told = (
            "the difference is too small to call"
            if not gain.decided
            else "SmartCLIP is ahead"
            if gain.mean > 0
            else "plain CLIP is ahead"
        )
        return (
            f"On {gallery}, the right picture is first for {ours.at(1):.1%} of captions with "
            f"SmartCLIP and {clip.at(1):.1%} with plain CLIP (chance {ours.chance[0]:.1%}): {told} "
            f"(difference {100 * gain.mean:+.1f} points, 95 % interval {100 * gain.low:+.1f} to "
            f"{100 * gain.high:+.1f})."
        )

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
            "training": "Training of SmartCLIP.",
        }
        if self.recovery:
            pictures |= {
                "dependency": "Left what the coordinates of each concept may depend on, right "
                "what they do depend on.",
                "words": "What each word adds to the mask of a caption that says it.",
            }
        family = self.prediction.family
        alone = ", ".join(map(str, self.prediction.alone)) or "none"
        return Section(
            title=self.title,
            verdict=self.verdict(),
            steps=[
                f"Captions: {len(family.captions)} kinds, over {len(family.concepts)} concepts.",
                f"Prediction, if every condition held: identified alone are {alone}. The values "
                "here are discrete, which the statements do not cover; the readout shows what "
                "training made of it.",
                f"Masks of one kind of caption agree in {self.code.agreement:.1%} of captions; "
                f"{sum(map(bool, self.readouts['SmartCLIP'].coordinates))} of "
                f"{len(family.concepts)} concepts have coordinates of their own.",
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


def train_pictures(
    recipe: PictureRecipe, root: Path, *, device: torch.device, quiet: bool = False
) -> PictureResult:
    """Train SmartCLIP and plain CLIP on the same batches, and measure both on held-out pictures."""
    data = load_pictures(recipe)
    folder = open_folder(recipe, data, root)
    models = {
        name: train_one(recipe, data, folder, clip=clip, device=device, quiet=quiet)
        for name, clip in (("SmartCLIP", False), ("CLIP", True))
    }
    seen, held_out = data.labelled(held_out=False), data.labelled(held_out=True)
    codes = {
        name: [encode_labelled(model, part, data) for part in (seen, held_out)]
        for name, model in models.items()
    }
    retrievals, gains = {}, {}
    for gallery in data.galleries():
        found = _retrieve(models, recipe, gallery, data.tokenizer)
        hits = [found[name].caption_to_image for name in ("SmartCLIP, masked", "CLIP")]
        retrievals[gallery.name] = found
        gains[gallery.name] = paired_difference(
            hits[0].hits[:, 0],
            hits[1].hits[:, 0],
            groups=[gallery.groups[query] for query in hits[0].queries],
        )
    code, known = codes["SmartCLIP"][1], held_out.known
    result = PictureResult(
        title=data.title,
        prediction=predict(data.family),
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
        folder=folder,
    )
    folder.write_json(RESULT, result.to_dict())
    _draw(result, data, recipe)
    return result


def load_pictures(recipe: PictureRecipe) -> PictureData:
    """The data a recipe names."""
    if recipe.data == "digits":
        from experiments.recipes.digits import DigitPictures

        return DigitPictures()
    if recipe.data == "scenes":
        from experiments.recipes.scenes import ScenePictures

        return ScenePictures()
    from experiments.recipes.emoji import EmojiPictures

    return EmojiPictures()


def open_folder(recipe: PictureRecipe, data: PictureData, root: Path) -> RunFolder:
    """Where a recipe's run is kept, with the tokenizer that its models read by."""
    folder = RunFolder.open(root, recipe.data, recipe.to_dict())
    data.tokenizer.save(folder.path / "tokenizer.json")
    return folder


def train_one(
    recipe: PictureRecipe,
    data: PictureData,
    folder: RunFolder,
    *,
    clip: bool,
    device: torch.device,
    quiet: bool = False,
) -> SmartCLIP:
    """SmartCLIP, or plain CLIP; if `folder` has it trained, it is read from there."""
    name, settings = ("CLIP", recipe.clip) if clip else ("SmartCLIP", recipe.train)
    model, source = recipe.model(data.tokenizer, device, clip=clip), data.source(settings.seed)
    if recipe.captions and not clip:
        learn_captions(
            model,
            source,
            recipe.captions,
            folder.path / "captions",
            label=f"{recipe.data}, captions",
            quiet=quiet,
        )
    return train(
        model,
        source,
        settings,
        folder.path / name.lower(),
        label=f"{recipe.data}, {name}",
        quiet=quiet,
    )


def recovered(known: Known, code: Code, data: PictureData) -> Recovery:
    """The blocks of the lattice in the code of simulated pictures."""
    masks = code.caption_masks
    return block_recovery(known.latents, code.image, family=data.family, masks=masks)


def encode_labelled(model: SmartCLIP, part: Labelled, data: PictureData) -> Code:
    """The code of labelled pictures and the masks of their captions."""
    return encode(
        model,
        part.images,
        data.tokenizer.tokenise(part.texts),
        part.caption,
        captions=len(data.family.captions),
    )


def _retrieve(
    models: dict[str, SmartCLIP], recipe: PictureRecipe, gallery: Gallery, tokenizer: Tokenizer
) -> dict[str, Retrieval]:
    """Score a gallery with each model, with and without its masks."""
    tokens = tokenizer.tokenise(gallery.texts)
    found = {}
    for name, settings in (("SmartCLIP", recipe.train), ("CLIP", recipe.clip)):
        model = models[name]
        (image,) = _embed(
            lambda rows, model=model: (model.encode_image(rows),), gallery.images, model
        )
        text, mask = _embed(model.encode_text, tokens, model)
        scale = settings.refine_logit_scale if settings.refine_steps else settings.logit_scale
        readings = {"SmartCLIP, masked": mask, "SmartCLIP, unmasked": None}
        for reading, opened in (readings if name == "SmartCLIP" else {"CLIP": None}).items():
            scores = read(image, text, opened, logit_scale=scale, similarity=settings.similarity)
            found[reading] = retrieval(scores, gallery.relevant, KS)
    return found


@torch.inference_mode()
def _embed(
    encode_rows: Callable[[Tensor], tuple[Tensor, ...]], rows: Tensor, model: SmartCLIP
) -> tuple[Tensor, ...]:
    """All that `encode_rows` gives, on the CPU, a few rows at a time."""
    device = next(model.parameters()).device
    parts = [encode_rows(part.to(device)) for part in rows.split(512)]
    return tuple(torch.cat(column).cpu() for column in zip(*parts, strict=True))


def _draw(result: PictureResult, data: PictureData, recipe: PictureRecipe) -> None:
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
    metrics = read_metrics(folder.path / "smartclip" / METRICS)
    save(training_curves(metrics, steps=recipe.train.steps), folder.figure("training"))

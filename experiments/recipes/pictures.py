"""Train SmartCLIP on pictures with worded captions, from scratch, and plain CLIP beside it."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from experiments.recipes.record import TWIN, Record
from smartclip.model import SmartCLIP
from smartclip.text import Tokenizer
from smartclip.towers.convolution import ConvConfig, ConvImageTower
from smartclip.towers.open_clip import ImageTower, TextConfig, TextTower, ViTConfig
from smartclip.towers.words import WordConfig, WordTower
from smartclip.train.config import TrainConfig

# A caption that knows nothing predicts the mean of every coordinate, which is 0. Starting near it
# keeps the first steps from having to unlearn random predictions.
TEXT_START = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRecipe:
    """Everything a run on pictures depends on.

    Attributes:
        data: which pictures.
        record: machine, minutes and expected number.
        image: size of the image tower.
        text_width: W, width of the text tower.
        text_layers: depth of the text tower; 0 for a `WordTower`.
        dimension: D, coordinates of the code.
        train: training of SmartCLIP.
        clip: training of plain CLIP: the same towers, batches and steps, every coordinate open,
            cosine similarity.
        captions: training of SmartCLIP's caption tower on pairs of captions, before any picture.
    """

    data: Literal["digits", "emoji", "scenes"]
    record: Record
    image: ViTConfig | ConvConfig
    text_width: int
    text_layers: int
    dimension: int
    train: TrainConfig
    clip: TrainConfig
    captions: TrainConfig | None = None

    def model(
        self,
        tokenizer: Tokenizer,
        device: torch.device,
        *,
        clip: bool,
        kind: type[SmartCLIP] = SmartCLIP,
    ) -> SmartCLIP:
        """A fresh model; its weights are drawn from the seed of its training."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.train.seed)
            text_tower = self._text_tower(tokenizer)
            if isinstance(text_tower, TextTower) and not clip:
                with torch.no_grad():
                    text_tower.projection.mul_(TEXT_START)
            model = kind(
                self._image_tower(),
                text_tower,
                width=text_tower.width,
                dimension=self.dimension,
                whiten=not clip,
                # Gates that nothing is charged to would close all the same, by the likelihood.
                budget=not clip and self.train.budget > 0,
                all_open=clip,
            )
        return model.to(device)

    def _image_tower(self) -> ImageTower | ConvImageTower:
        if isinstance(self.image, ConvConfig):
            return ConvImageTower(self.image, self.dimension)
        return ImageTower(self.image, self.dimension)

    def _text_tower(self, tokenizer: Tokenizer) -> TextTower | WordTower:
        vocabulary, context, width = tokenizer.size, tokenizer.context, self.text_width
        if not self.text_layers:
            words = WordConfig(vocabulary=vocabulary, context=context, width=width)
            return WordTower(words, self.dimension)
        config = TextConfig(
            vocabulary=vocabulary, context=context, width=width, layers=self.text_layers
        )
        return TextTower(config, self.dimension)

    def debug(self) -> "PictureRecipe":
        """Its twin of seconds on a CPU: small towers, few and small steps, all else alike."""
        train = replace(
            self.train,
            steps=6,
            refine_steps=min(self.train.refine_steps, 2),
            batch_size=16,
            log_every=2,
            checkpoint_every=4,
        )
        return replace(
            self,
            record=TWIN,
            image=replace(self.image, widths=(8, 8, 8), hidden=16)
            if isinstance(self.image, ConvConfig)
            else replace(self.image, width=32, layers=1, heads=2),
            text_width=32,
            text_layers=min(self.text_layers, 1),
            train=train,
            clip=as_clip(train),
            captions=self.captions and replace(self.captions, steps=4, batch_size=16, log_every=2),
        )

    def to_dict(self) -> dict[str, Any]:
        """All that the result depends on."""
        settings = asdict(self)
        del settings["record"]
        return settings


def from_scratch(*, seed: int, steps: int) -> TrainConfig:
    """SmartCLIP on pictures: first align, then let masks form.

    At s = 1/2 the likelihood ratio is x t - t^2 / 2 on each open coordinate: a coordinate that the
    caption knows nothing about (t = 0) costs nothing, so towers that know little can learn.
    """
    return TrainConfig(
        steps=steps,
        refine_steps=0,
        batch_size=256,
        logit_scale=0.5,
        sparsity=0.01,
        budget=0.05,
        align_until=0.25,
        prune_from=0.25,
        prune_until=0.6,
        seed=seed,
    )


def as_clip(train: TrainConfig) -> TrainConfig:
    """Plain CLIP with the batches, steps and rates of a SmartCLIP training."""
    return replace(
        train, similarity="cosine", logit_scale=1 / 0.07, growth=None, hold_text_until=0.0
    )

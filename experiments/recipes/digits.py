"""Scenes of four real handwritten digits; captions mention two of the four places."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.figures.contact import Row, contact_sheet
from experiments.picture_data import Gallery, Labelled
from experiments.recipes.pictures import PictureRecipe, as_clip, from_scratch
from experiments.recipes.record import Record
from simulators import DigitWorld
from smartclip.text import Tokenizer
from smartclip.towers.open_clip import ViTConfig
from smartclip.train.source import Source

CORPUS = 20_000
HELD_OUT = 1_000
SEEN = 4_000
MEASURE_SEED = 1_000_003


def digits(*, seed: int = 0) -> PictureRecipe:
    """The demo on real handwriting."""
    train = from_scratch(seed=seed, steps=1000)
    return PictureRecipe(
        data="digits",
        record=Record(
            machine="2 CPU cores",
            minutes="3",
            expected="seed 0: R@1 by caption 30.8 % masked, plain CLIP 31.4 %, chance 1.1 %; other "
            "seeds not yet run",
        ),
        image=ViTConfig(image_size=20, patch=10, width=64, layers=2),
        text_width=64,
        text_layers=2,
        dimension=24,
        train=train,
        clip=as_clip(train),
    )


def sentences(text: Tensor | list[str]) -> list[str]:
    """The captions of a world that speaks in words."""
    assert isinstance(text, list)
    return text


class DigitSource:
    """Batches of a digit world, tokenised."""

    def __init__(self, world: DigitWorld, tokenizer: Tokenizer, *, seed: int) -> None:
        self.world, self.tokenizer, self.seed = world, tokenizer, seed

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        batch = self.world.sample(size, seed=self.seed, start=step * size)
        return batch.image.to(device), self.tokenizer.tokenise(sentences(batch.text)).to(device)


class DigitPictures:
    """Training scenes, and held-out scenes in handwriting that never occurs in training."""

    title = "Real handwriting: four digits, captions that mention two of them"

    def __init__(self) -> None:
        self.train, self.test = DigitWorld(), DigitWorld(split="test")
        self.family = self.train.family
        corpus = self.train.sample(CORPUS, seed=MEASURE_SEED)
        self.tokenizer = Tokenizer.fit(sentences(corpus.text))

    def source(self, seed: int) -> Source:
        return DigitSource(self.train, self.tokenizer, seed=seed)

    def galleries(self) -> list[Gallery]:
        batch = self.test.sample(HELD_OUT, seed=MEASURE_SEED)
        mentioned = torch.tensor(self.family.matrix)[batch.caption]
        # A caption is right about every scene that has the digits it names, where it names them.
        agrees = (batch.z[:, None] == batch.z[None]) | ~mentioned[None]
        return [
            Gallery(
                name="handwriting never seen",
                images=batch.image,
                texts=sentences(batch.text),
                relevant=agrees.all(2),
                groups=range(HELD_OUT),
            )
        ]

    def labelled(self, *, held_out: bool) -> Labelled:
        world, count = (self.test, HELD_OUT) if held_out else (self.train, SEEN)
        batch = world.sample(count, seed=MEASURE_SEED + 1)
        return Labelled(
            images=batch.image,
            texts=sentences(batch.text),
            caption=batch.caption,
            values=batch.z.long().numpy(),
        )

    def sheet(self) -> Any:
        batch = self.test.sample(8, seed=0)
        pixels = (255 * (1 - batch.image[:, 0])).to(torch.uint8).numpy()
        rows = [
            Row(
                images=[np.repeat(picture[..., None], 3, axis=2)],
                captions=[(text, sorted(map(str, self.family.captions[kind])))],
            )
            for picture, text, kind in zip(
                pixels, sentences(batch.text), batch.caption.tolist(), strict=True
            )
        ]
        return contact_sheet(
            rows,
            [str(place) for place in self.family.concepts],
            title="Each caption mentions two of the four digits",
        )

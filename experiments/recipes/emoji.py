"""Emoji of two vendors with their real captions, each mentioning some of the emoji's concepts."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from experiments.figures.emoji import emoji_sheet
from experiments.picture_data import Gallery, Labelled
from experiments.recipes.pictures import PictureRecipe, as_clip, from_scratch
from experiments.recipes.record import Record
from smartclip.data.emoji import EmojiData
from smartclip.text import Tokenizer
from smartclip.towers.open_clip import ViTConfig
from smartclip.train.source import Source

LABELLED = 4_000
MEASURE_SEED = 1_000_003


def emoji(*, seed: int = 0) -> PictureRecipe:
    """Real pictures and real captions, from scratch."""
    # No budget: at the prices of the digits 50 of 64 coordinates close, and retrieval with them.
    train = replace(from_scratch(seed=seed, steps=600), sparsity=0.001, budget=0.0)
    return PictureRecipe(
        data="emoji",
        record=Record(
            machine="2 CPU cores",
            minutes="2.4 for SmartCLIP, 2 for plain CLIP",
            expected="seed 0, unseen combinations: R@1 by caption 55.9 % masked, 56.4 % unmasked, "
            "plain CLIP 53.2 %; other seeds not yet run",
        ),
        image=ViTConfig(image_size=64, channels=3, patch=16, width=96, layers=3, heads=4),
        text_width=96,
        text_layers=2,
        dimension=64,
        train=train,
        clip=as_clip(train),
    )


class EmojiSource:
    """Batches of emoji with one of their captions each, tokenised."""

    def __init__(self, data: EmojiData, tokenizer: Tokenizer, *, seed: int) -> None:
        self.data, self.tokenizer, self.seed = data, tokenizer, seed

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        batch = self.data.sample(size, seed=self.seed, start=step * size, device=device)
        return batch.image, self.tokenizer.tokenise(batch.text).to(device)


class TwoCaptionSource:
    """Batches of emoji with two captions each, tokens [B, 2, L]: the label, and any of them."""

    def __init__(self, data: EmojiData, tokenizer: Tokenizer, *, seed: int) -> None:
        self.data, self.tokenizer, self.seed = data, tokenizer, seed

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        batch = self.data.sample(size, seed=self.seed, start=step * size, device=device)
        labels = [self.data.emoji[row].label for row in batch.index.tolist()]
        pair = [self.tokenizer.tokenise(texts) for texts in (labels, batch.text)]
        return batch.image, torch.stack(pair, 1).to(device)


class EmojiPictures:
    """Training emoji, held-out combinations of known concepts, and held-out subjects."""

    title = "Real pictures and captions: emoji of two vendors"

    def __init__(self) -> None:
        self.data = EmojiData.load()
        self.train = self.data.subset(split="train")
        self.family = self.train.family()
        self.tokenizer = Tokenizer.fit(
            caption.text for row in range(len(self.data)) for caption in self.data.captions_of(row)
        )

    def source(self, seed: int) -> Source:
        return EmojiSource(self.train, self.tokenizer, seed=seed)

    def galleries(self) -> list[Gallery]:
        found = []
        for split, name in (("combination", "unseen combinations"), ("emoji", "unseen subjects")):
            asked = self.data.subset(split=split)
            texts, relevant = asked.queries(("label",), gallery=self.data)
            found.append(
                Gallery(
                    name=name,
                    images=self.data.pixels(slice(None)),
                    texts=texts,
                    relevant=relevant,
                    # Skin tones of one subject are not independent queries.
                    groups=[text.partition(":")[0] for text in texts],
                )
            )
        return found

    def labelled(self, *, held_out: bool) -> Labelled:
        data = self.data.subset(split="combination") if held_out else self.train
        batch = data.sample(LABELLED, seed=MEASURE_SEED)
        kinds = {
            tuple(row): kind for kind, row in enumerate(self.family.matrix.astype(bool).tolist())
        }
        columns = [data.concepts.index(str(name)) for name in self.family.concepts]
        mentioned = batch.mentioned.numpy()[:, columns].tolist()
        kind = np.array([kinds.get(tuple(row), -1) for row in mentioned])
        known = np.flatnonzero(kind >= 0)
        return Labelled(
            images=batch.image[known],
            texts=[batch.text[row] for row in known],
            caption=torch.from_numpy(kind[known]),
            values=self._values(data, batch.index.numpy()[known]),
        )

    def _values(self, data: EmojiData, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n K"]:
        values = np.full((len(rows), len(self.family.concepts)), -1)
        for column, concept in enumerate(self.family.concepts):
            names = sorted(
                {emoji.values[str(concept)] for emoji in self.data.emoji if concept in emoji.values}
            )
            number = {name: position for position, name in enumerate(names)}
            values[:, column] = [
                number.get(data.emoji[row].values.get(str(concept), ""), -1) for row in rows
            ]
        return values

    def sheet(self) -> Any:
        return emoji_sheet(self.data)

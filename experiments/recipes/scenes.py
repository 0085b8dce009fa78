"""Rendered scenes of two objects; captions in words mention three neighbouring concepts."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from experiments.figures.scenes import scene_sheet
from experiments.picture_data import Gallery, Labelled
from experiments.recipes.digits import sentences
from experiments.recipes.pictures import PictureRecipe, as_clip, from_scratch
from experiments.recipes.record import Record
from simulators import Batch, SceneWorld
from smartclip.text import Tokenizer
from smartclip.towers.open_clip import ViTConfig
from smartclip.train.source import Source

# All 180 pieces of the grammar are in far fewer captions; the longest of 20,000 captions
# has 163 tokens.
CORPUS, CONTEXT = 2_000, 176
HELD_OUT = 1_000
SEEN = 4_000
MEASURE_SEED = 1_000_003


def scenes(*, seed: int = 0) -> PictureRecipe:
    """Simulated pictures and words whose concepts are known, from scratch."""
    train = from_scratch(seed=seed, steps=1500)
    return PictureRecipe(
        data="scenes",
        record=Record(machine="2 CPU cores"),
        image=ViTConfig(image_size=64, channels=3, patch=16, width=96, layers=3, heads=4),
        text_width=96,
        text_layers=2,
        dimension=48,
        train=train,
        clip=as_clip(train),
    )


class SceneSource:
    """Batches of a scene world, tokenised."""

    def __init__(self, world: SceneWorld, tokenizer: Tokenizer, *, seed: int) -> None:
        self.world, self.tokenizer, self.seed = world, tokenizer, seed

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return self.rows(step, size, slice(0, size), device)

    def rows(
        self, step: int, size: int, wanted: slice, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Some rows of `batch`, without drawing the rest."""
        start, stop, _ = wanted.indices(size)
        batch = self.world.sample(stop - start, seed=self.seed, start=step * size + start)
        return batch.image.to(device), self.tokenizer.tokenise(sentences(batch)).to(device)


class ScenePictures:
    """Training scenes, and held-out scenes of other values."""

    title = "Rendered scenes: two objects, captions that mention three concepts"

    def __init__(self) -> None:
        self.world = SceneWorld()
        self.family = self.world.family
        corpus = self.world.sample(CORPUS, seed=MEASURE_SEED)
        self.tokenizer = Tokenizer.fit(sentences(corpus), context=CONTEXT)

    def source(self, seed: int) -> Source:
        return SceneSource(self.world, self.tokenizer, seed=seed)

    def galleries(self) -> list[Gallery]:
        batch = self.world.sample(HELD_OUT, seed=MEASURE_SEED + 1)
        values = torch.from_numpy(self.values(batch))
        mentioned = torch.tensor(self.family.matrix)[batch.caption]
        # A caption is right about every scene that has the values it names.
        agrees = (values[:, None] == values[None]) | ~mentioned[None]
        return [
            Gallery(
                name="scenes never seen",
                images=batch.image,
                texts=sentences(batch),
                relevant=agrees.all(2),
                groups=range(HELD_OUT),
            )
        ]

    def labelled(self, *, held_out: bool) -> Labelled:
        seed, count = (2, HELD_OUT) if held_out else (3, SEEN)
        batch = self.world.sample(count, seed=MEASURE_SEED + seed)
        return Labelled(
            images=batch.image,
            texts=sentences(batch),
            caption=batch.caption,
            values=self.values(batch),
        )

    def values(self, batch: Batch) -> Int64[np.ndarray, "n K"]:
        """One number for the value of each concept, whatever its dimensions."""
        stops = np.cumsum(self.family.space.sizes)
        columns = np.split(batch.z.numpy(), stops[:-1], axis=1)
        return np.stack([_numbered(column) for column in columns], axis=1)

    def sheet(self) -> Any:
        return scene_sheet(self.world, seed=0)


def _numbered(rows: np.ndarray) -> Int64[np.ndarray, " n"]:
    _, number = np.unique(rows, axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int64)

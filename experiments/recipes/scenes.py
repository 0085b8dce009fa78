"""Rendered scenes of two objects; captions in words mention three neighbouring concepts."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from experiments.figures.scenes import scene_sheet
from experiments.picture_data import Gallery, Known, Labelled
from experiments.recipes.digits import sentences
from experiments.recipes.pictures import PictureRecipe, as_clip
from experiments.recipes.record import Record
from simulators import Batch, SceneWorld
from simulators.grammar import WORDS
from smartclip.text import Tokenizer
from smartclip.towers.convolution import ConvConfig
from smartclip.train.config import TrainConfig
from smartclip.train.growth import Growth
from smartclip.train.source import Source

# All pieces of the grammar are in far fewer captions; the longest of 40,000 has 40 tokens.
CORPUS, CONTEXT = 2_000, 44
GALLERY, HELD_OUT = 1_000, 4_000
SEEN = 4_000
MEASURE_SEED = 1_000_003


def scenes(*, seed: int = 0) -> PictureRecipe:
    """Simulated pictures and words whose concepts are known, from scratch."""
    train = identifying_scenes(seed=seed)
    return PictureRecipe(
        data="scenes",
        record=Record(
            machine="2 CPU cores",
            minutes="31 for SmartCLIP with another seed beside it; CLIP not yet run",
            expected="seeds 5 and 6: 14 of 14 concepts have coordinates of their own, completeness "
            "0.87 to 1.00, purity 0.94 to 1.00 (docs/scenes.md)",
        ),
        image=ConvConfig(),
        text_width=64,
        text_layers=0,
        dimension=48,
        train=train,
        clip=as_clip(train),
        captions=TrainConfig(
            steps=3000,
            refine_steps=0,
            batch_size=256,
            logit_scale=0.5,
            sparsity=0.0,
            budget=0.0,
            seed=seed,
        ),
    )


def identifying_scenes(*, seed: int) -> TrainConfig:
    """Hold the captions until the pictures know them, align, then specialise as residuals fall.

    Refinement is for the tower of pictures, which knows tilts and textures last.
    Gates close by likelihood alone: a price on them is not needed here, and 48 coordinates leave
    room for 16 latent dimensions.
    """
    return TrainConfig(
        steps=7000,
        refine_steps=3000,
        batch_size=256,
        logit_scale=6.0,
        refine_logit_scale=8.0,
        refine_alignment=4.0,
        sparsity=0.0,
        budget=0.0,
        hold_text_until=0.42,
        align_until=0.45,
        prune_from=0.45,
        prune_until=0.85,
        growth=Growth(
            specialise_from=0.45,
            settle_from=0.85,
            matched=True,
            settled_alignment=2.0,
            decorrelation=0.1,
            least_opening=0.05,
        ),
        seed=seed,
    )


class SceneSource:
    """Batches of a scene world, tokenised."""

    def __init__(self, world: SceneWorld, tokenizer: Tokenizer, *, seed: int) -> None:
        self.world, self.tokenizer, self.seed = world, tokenizer, seed

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return self.rows(step, size, slice(0, size), device)

    def pairs(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Two captions of each picture of `batch`."""
        first = step * size
        one, other = (
            self.world.texts(size, seed=self.seed, start=first, draw=draw) for draw in (0, 1)
        )
        return self._tokens(one, device), self._tokens(other, device)

    def rows(
        self, step: int, size: int, wanted: slice, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Some rows of `batch`, without drawing the rest."""
        start, stop, _ = wanted.indices(size)
        batch = self.world.sample(stop - start, seed=self.seed, start=step * size + start)
        return batch.image.to(device), self._tokens(batch.text, device)

    def _tokens(self, text: Tensor | list[str], device: torch.device) -> Tensor:
        return self.tokenizer.tokenise(sentences(text)).to(device)


class ScenePictures:
    """Training scenes, and held-out scenes of other values."""

    title = "Rendered scenes: two objects, captions that mention three concepts"

    def __init__(self) -> None:
        self.world = SceneWorld(paragraphs=False)
        self.family = self.world.family
        corpus = self.world.sample(CORPUS, seed=MEASURE_SEED)
        self.tokenizer = Tokenizer.fit(sentences(corpus.text), context=CONTEXT)

    def source(self, seed: int) -> Source:
        return SceneSource(self.world, self.tokenizer, seed=seed)

    def galleries(self) -> list[Gallery]:
        batch = self.world.sample(GALLERY, seed=MEASURE_SEED + 1)
        values = torch.from_numpy(self.values(batch))
        mentioned = torch.tensor(self.family.matrix)[batch.caption]
        # A caption is right about every scene that has the values it names.
        agrees = (values[:, None] == values[None]) | ~mentioned[None]
        return [
            Gallery(
                name="scenes never seen",
                images=batch.image,
                texts=sentences(batch.text),
                relevant=agrees.all(2),
                groups=range(GALLERY),
            )
        ]

    def labelled(self, *, held_out: bool) -> Labelled:
        seed, count = (2, HELD_OUT) if held_out else (3, SEEN)
        batch = self.world.sample(count, seed=MEASURE_SEED + seed)
        return Labelled(
            images=batch.image,
            texts=sentences(batch.text),
            caption=batch.caption,
            values=self.values(batch),
            known=self.known(batch),
        )

    def known(self, batch: Batch) -> Known:
        """The latents, and which caption says which value of which concept."""
        values, mentioned = self.values(batch), self.family.matrix[batch.caption.numpy()]
        words, said = [], []
        for position, concept in enumerate(map(str, self.family.concepts)):
            side, _, attribute = concept.rpartition(" ")
            for value, synonyms in enumerate(WORDS[attribute]):
                words.append(f"{side} {synonyms[0]}".strip())
                said.append(mentioned[:, position] & (values[:, position] == value))
        return Known(latents=batch.z, words=tuple(words), said=np.stack(said, axis=1))

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

"""Rendered scenes of two objects; captions in words mention three neighbouring concepts.

14 concepts of 16 discrete dimensions, 64 x 64 pixels. Every concept is an intersection of captions,
and none ever stands alone.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.datasets.dataset import Dataset, PictureData, TowerPair
from experiments.record import Record
from smartclip.growth import words_first
from smartclip.train.method import Budget, Method

if TYPE_CHECKING:
    from jaxtyping import Int64
    from matplotlib.figure import Figure

    from experiments.gallery import Gallery, Known, Labelled
    from simulators import Batch
    from smartclip.train.source import Source

# All pieces of the grammar are in far fewer captions; the longest of 40,000 has 40 tokens.
CORPUS, CONTEXT = 2_000, 44
GALLERY, HELD_OUT = 1_000, 4_000
SEEN = 4_000
TWIN = 256
MEASURE_SEED = 1_000_003


@dataclass(frozen=True, kw_only=True)
class Scenes(Dataset):
    """Rendered scenes with captions in words, from scratch, and plain CLIP beside it.

    Every block of the lattice is measured, and which words open which coordinates.
    """

    name: ClassVar[str] = "scenes"
    record: ClassVar[Record] = Record(
        machine="2 CPU cores",
        minutes="31 for ours, on one core with another run beside it",
        expected="see docs/scenes.md",
    )
    steps: ClassVar[int] = 10_000
    batch_size: ClassVar[int] = 256
    beside: ClassVar[tuple[str, ...]] = ("clip",)
    debug_steps: ClassVar[int] = 8

    @property
    def dimension(self) -> int:
        return 48

    def ours(self, budget: Budget) -> Method:
        return words_first(budget, caption_steps=4 if self.debug else 3000)

    def load(self) -> "SceneData":
        return SceneData(self)


class SceneData(PictureData):
    """Training scenes, and held-out scenes of other values."""

    title = "Rendered scenes: two objects, captions that mention three concepts"

    def __init__(self, options: Scenes) -> None:
        from simulators import SceneWorld
        from smartclip.text import Tokenizer

        super().__init__(options)
        self.world = SceneWorld(paragraphs=False)
        self.family = self.world.family
        corpus = self.world.texts(CORPUS, seed=MEASURE_SEED)
        self.tokenizer = Tokenizer.fit(map(str, corpus), context=CONTEXT)

    def towers(self) -> TowerPair:
        from smartclip.towers.convolution import ConvConfig, ConvImageTower
        from smartclip.towers.words import WordConfig, WordTower

        image, width = ConvConfig(), 64
        if self.options.debug:
            image, width = replace(image, widths=(8, 8, 8), hidden=16), 32
        words = WordConfig(
            vocabulary=self.tokenizer.size, context=self.tokenizer.context, width=width
        )
        text_tower = WordTower(words, self.options.dimension)
        return TowerPair(ConvImageTower(image, self.options.dimension), text_tower, width)

    def source(self, *, seed: int, captions: int) -> "AbstractContextManager[Source]":
        from smartclip.train.ahead import AheadSource
        from smartclip.train.source import WorldSource

        tokenise = self.tokenizer.tokenise
        source = WorldSource(self.world, seed=seed, tokenise=tokenise, captions=captions)
        return AheadSource(source)  # a GPU would wait for pictures to be drawn

    def galleries(self) -> "list[Gallery]":
        import torch

        from experiments.gallery import Gallery

        batch = self.world.sample(GALLERY, seed=MEASURE_SEED + 1)
        values = torch.from_numpy(self.values(batch))
        mentioned = torch.tensor(self.family.matrix)[batch.caption]
        # A caption is right about every scene that has the values it names.
        agrees = (values[:, None] == values[None]) | ~mentioned[None]
        return [
            Gallery(
                name="scenes never seen",
                images=batch.image,
                texts=batch.sentences,
                relevant=agrees.all(2),
                groups=range(GALLERY),
            )
        ]

    def labelled(self, *, held_out: bool) -> "Labelled":
        from experiments.gallery import Labelled

        seed, count = (2, HELD_OUT) if held_out else (3, SEEN)
        count = TWIN if self.options.debug else count
        batch = self.world.sample(count, seed=MEASURE_SEED + seed)
        return Labelled(
            images=batch.image,
            texts=batch.sentences,
            caption=batch.caption,
            values=self.values(batch),
            known=self.known(batch),
        )

    def known(self, batch: "Batch") -> "Known":
        """The latents, and which caption says which value of which concept."""
        from experiments.gallery import Known
        from simulators.grammar import WORDS

        values, mentioned = self.values(batch), self.family.matrix[batch.caption.numpy()]
        words, said = [], []
        for position, concept in enumerate(map(str, self.family.concepts)):
            side, _, attribute = concept.rpartition(" ")
            for value, synonyms in enumerate(WORDS[attribute]):
                words.append(f"{side} {synonyms[0]}".strip())
                said.append(mentioned[:, position] & (values[:, position] == value))
        return Known(latents=batch.z, words=tuple(words), said=np.stack(said, axis=1))

    def values(self, batch: "Batch") -> "Int64[np.ndarray, 'n K']":
        """One number for the value of each concept, whatever its dimensions."""
        stops = np.cumsum(self.family.space.sizes)
        columns = np.split(batch.z.numpy(), stops[:-1], axis=1)
        return np.stack([_numbered(column) for column in columns], axis=1)

    def sheet(self) -> "Figure":
        from experiments.figures.scenes import scene_sheet

        return scene_sheet(self.world, seed=0)


def _numbered(rows: np.ndarray) -> "Int64[np.ndarray, ' n']":
    _, number = np.unique(rows, axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int64)

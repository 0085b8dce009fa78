"""Scenes of four real handwritten digits; captions mention two of the four places.

The handwriting comes with scikit-learn. Held-out scenes show handwriting of other writers.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from experiments.datasets.dataset import Dataset, PictureData, TowerPair
from experiments.record import Record
from smartclip.growth import aligned_first
from smartclip.train.method import Budget, Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.gallery import Gallery, Labelled
    from smartclip.train.source import Source

CORPUS = 20_000
HELD_OUT = 1_000
SEEN = 4_000
TWIN = 256
MEASURE_SEED = 1_000_003


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """Scenes of real handwritten digits with worded captions, and plain CLIP beside it.

    About three minutes on two cores.
    """

    name: ClassVar[str] = "digits"
    record: ClassVar[Record] = Record(
        machine="2 CPU cores",
        minutes="3",
        expected="see README.md",
    )
    steps: ClassVar[int] = 1000
    batch_size: ClassVar[int] = 256
    beside: ClassVar[tuple[str, ...]] = ("clip",)

    @property
    def dimension(self) -> int:
        return 24

    def ours(self, budget: Budget) -> Method:
        return aligned_first(budget, sparsity=0.01, budget_price=0.05)

    def load(self) -> "DigitData":
        return DigitData(self)


class DigitData(PictureData):
    """Training scenes, and held-out scenes in handwriting that never occurs in training."""

    title = "Real handwriting: four digits, captions that mention two of them"

    def __init__(self, options: Digits) -> None:
        from simulators import DigitWorld
        from smartclip.text import Tokenizer

        super().__init__(options)
        self.train, self.test = DigitWorld(), DigitWorld(split="test")
        self.family = self.train.family
        self.tokenizer = Tokenizer.fit(map(str, self.train.texts(CORPUS, seed=MEASURE_SEED)))

    def towers(self) -> TowerPair:
        from smartclip.towers.open_clip import ViTConfig

        return self.transformers(ViTConfig(image_size=20, patch=10, width=64, layers=2))

    def source(self, *, seed: int, captions: int) -> "AbstractContextManager[Source]":
        from smartclip.train.source import WorldSource

        tokenise = self.tokenizer.tokenise
        return nullcontext(WorldSource(self.train, seed=seed, tokenise=tokenise, captions=captions))

    def galleries(self) -> "list[Gallery]":
        import torch

        from experiments.gallery import Gallery

        batch = self.test.sample(HELD_OUT, seed=MEASURE_SEED)
        mentioned = torch.tensor(self.family.matrix)[batch.caption]
        # A caption is right about every scene that has the digits it names, where it names them.
        agrees = (batch.z[:, None] == batch.z[None]) | ~mentioned[None]
        return [
            Gallery(
                name="handwriting never seen",
                images=batch.image,
                texts=batch.sentences,
                relevant=agrees.all(2),
                groups=range(HELD_OUT),
            )
        ]

    def labelled(self, *, held_out: bool) -> "Labelled":
        from experiments.gallery import Labelled

        world, count = (self.test, HELD_OUT) if held_out else (self.train, SEEN)
        count = TWIN if self.options.debug else count
        batch = world.sample(count, seed=MEASURE_SEED + 1)
        return Labelled(
            images=batch.image,
            texts=batch.sentences,
            caption=batch.caption,
            values=batch.z.long().numpy(),
        )

    def sheet(self) -> "Figure":
        from experiments.figures.contact import Row, contact_sheet

        batch = self.test.sample(8, seed=0)
        pixels = (255 * (1 - batch.image[:, 0])).byte().numpy()
        rows = [
            Row(
                images=[picture[..., None].repeat(3, axis=2)],
                captions=[(text, sorted(map(str, self.family.captions[kind])))],
            )
            for picture, text, kind in zip(
                pixels, batch.sentences, batch.caption.tolist(), strict=True
            )
        ]
        return contact_sheet(
            rows,
            [str(place) for place in self.family.concepts],
            title="Each caption mentions two of the four digits",
        )

"""Emoji of two vendors with their real captions, each mentioning some of the emoji's concepts.

    train        what is left
    validation   one skin tone of a subject and gender, for half of the training subjects
    style        Twitter's pictures of a tenth of the training subjects; Google's stay in `train`
    combination  unseen combinations of subject, gender and skin tone     (of `EmojiData`)
    emoji        unseen subjects                                          (of `EmojiData`)

No picture is in two of them. The pictures are fetched once, at fixed versions.
"""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from experiments.datasets.dataset import Dataset, PictureData, TowerPair
from experiments.record import Record
from smartclip.growth import aligned_first
from smartclip.train.method import Budget, Method

if TYPE_CHECKING:
    import torch
    from jaxtyping import Int
    from matplotlib.figure import Figure
    from torch import Tensor

    from experiments.gallery import Gallery, Labelled
    from smartclip.data.emoji import Emoji, EmojiData
    from smartclip.text import Tokenizer
    from smartclip.train.source import Source

Part = Literal["train", "validation", "style", "combination", "emoji"]
GALLERIES: dict[Part, str] = {
    "combination": "unseen combinations",
    "style": "unseen style",
    "emoji": "unseen subjects",
}
UNSEEN_STYLE = "twitter"
LABELLED = 4_000
MEASURE_SEED = 1_000_003
_TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


@dataclass(frozen=True, kw_only=True)
class EmojiSet(Dataset):
    """Emoji of two vendors with their real captions, and plain CLIP beside it.

    The data are fetched once (`smartclip data emoji`). Held out are whole subjects, combinations of
    subject, gender and skin tone, and one vendor's style for some subjects.
    """

    name: ClassVar[str] = "emoji"
    record: ClassVar[Record] = Record(
        machine="2 CPU cores",
        minutes="2.5 for ours, 2 for CLIP",
        expected="see docs/emoji.md",
    )
    steps: ClassVar[int] = 600
    batch_size: ClassVar[int] = 256
    checkpoint_every: ClassVar[int] = 100
    beside: ClassVar[tuple[str, ...]] = ("clip",)

    @property
    def dimension(self) -> int:
        return 64

    def ours(self, budget: Budget) -> Method:
        # No price on the code: at that of the digits 50 of 64 coordinates close, and retrieval
        # with them.
        return aligned_first(budget, sparsity=0.001, budget_price=0.0)

    def load(self) -> "EmojiPictures":
        from smartclip.data.emoji import EmojiData

        return EmojiPictures(self, EmojiData.load())


class EmojiPictures(PictureData):
    """Training emoji, and three kinds of held-out ones."""

    title = "Real pictures and captions: emoji of two vendors"

    def __init__(self, options: EmojiSet, data: "EmojiData") -> None:
        from smartclip.text import Tokenizer

        super().__init__(options)
        self.data = data
        self.train = parts(data, "train")
        self.family = self.train.family()
        self.tokenizer = Tokenizer.fit(
            caption.text for row in range(len(data)) for caption in data.captions_of(row)
        )

    def identity(self) -> dict[str, Any]:
        return {"pictures": hashlib.blake2b(self.data.images.tobytes(), digest_size=8).hexdigest()}

    def towers(self) -> TowerPair:
        from smartclip.towers.open_clip import ViTConfig

        return self.transformers(
            ViTConfig(image_size=64, channels=3, patch=16, width=96, layers=3, heads=4)
        )

    def source(self, *, seed: int, captions: int) -> "AbstractContextManager[Source]":
        return nullcontext(EmojiSource(self.train, self.tokenizer, seed=seed, captions=captions))

    def galleries(self) -> "list[Gallery]":
        """Each caption asks for its picture among all pictures, seen or not.

        Among the held-out ones alone, a subject would give its skin tone away. A style is asked for
        among the pictures of that style: Google's picture of the same emoji was trained on, and
        would answer.
        """
        from experiments.gallery import Gallery

        found = []
        for held_out, name in GALLERIES.items():
            among = self.data
            if held_out == "style":
                among = select(self.data, lambda _, vendor: vendor == UNSEEN_STYLE)
            texts, relevant = parts(self.data, held_out).queries(("label",), gallery=among)
            found.append(
                Gallery(
                    name=name,
                    images=among.pixels(slice(None)),
                    texts=texts,
                    relevant=relevant,
                    # Skin tones of one subject are not independent queries.
                    groups=[text.partition(":")[0] for text in texts],
                )
            )
        return found

    def labelled(self, *, held_out: bool) -> "Labelled":
        import torch

        from experiments.gallery import Labelled

        data = parts(self.data, "combination") if held_out else self.train
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

    def _values(self, data: "EmojiData", rows: "Int[np.ndarray, ' n']") -> np.ndarray:
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

    def sheet(self) -> "Figure":
        from experiments.figures.emoji import emoji_sheet

        return emoji_sheet(self.data)


class EmojiSource:
    """Batches of emoji with one of their captions each; with two, the label comes first."""

    def __init__(
        self, data: "EmojiData", tokenizer: "Tokenizer", *, seed: int, captions: int = 1
    ) -> None:
        self.data, self.tokenizer = data, tokenizer
        self.seed, self.captions = seed, captions

    def batch(self, step: int, size: int, device: "torch.device") -> "tuple[Tensor, Tensor]":
        import torch

        batch = self.data.sample(size, seed=self.seed, start=step * size, device=device)
        tokens = self.tokenizer.tokenise(batch.text)
        if self.captions == 2:
            labels = [self.data.emoji[row].label for row in batch.index.tolist()]
            tokens = torch.stack([self.tokenizer.tokenise(labels), tokens], dim=1)
        return batch.image, tokens.to(device)


def part_of(emoji: "Emoji", vendor: str) -> Part:
    """Where the picture of an emoji by a vendor belongs."""
    if emoji.split != "train":
        return emoji.split
    subject = emoji.values.get("subject", "")
    if subject and _bucket(f"style {subject}", 10) == 0:
        return "style" if vendor == UNSEEN_STYLE else "train"
    tone = emoji.values.get("skin tone", "").removesuffix(" skin tone")
    if subject and tone in _TONES and _bucket(f"validation {subject}", 2) == 0:
        gender = emoji.values.get("gender", "")
        if _TONES.index(tone) == _bucket(f"validation {subject} {gender}", 5):
            return "validation"
    return "train"


def parts(data: "EmojiData", *wanted: Part) -> "EmojiData":
    """The pictures of one or several parts."""
    return select(data, lambda emoji, vendor: part_of(emoji, vendor) in wanted)


def select(data: "EmojiData", wanted: "Callable[[Emoji, str], bool]") -> "EmojiData":
    """The pictures for which `wanted(emoji, vendor)` holds."""
    pairs = zip(data.emoji, data.vendors, strict=True)
    rows = np.flatnonzero([wanted(emoji, vendor) for emoji, vendor in pairs])
    return replace(
        data,
        emoji=tuple(data.emoji[row] for row in rows),
        vendors=tuple(data.vendors[row] for row in rows),
        images=data.images[rows],
    )


def _bucket(words: str, count: int) -> int:
    """0 to count - 1, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) % count

"""i = four handwritten digits in a square, t = a sentence about some of them.

The handwriting is real (the 8 x 8 digits that come with scikit-learn, UCI optdigits); which digit
stands where is simulated, so the concepts are known: one per place, with ten values each.
"""

import re
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from simulators.captions import CaptionProcess
from simulators.latents import Independent
from simulators.marginals import Discrete
from simulators.noise import Noise
from simulators.world import Truth, World
from theory.captions import CaptionFamily
from theory.errors import InputError

PLACES = ("top left", "top right", "bottom left", "bottom right")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GLYPH, CELL = 8, 10
JITTER = CELL - GLYPH + 1

SYNONYMS = {"top": ("top", "upper"), "bottom": ("bottom", "lower")}
PHRASES = ("a {digit} {place}", "a {digit} in the {place}", "{place} a {digit}", "{place}: {digit}")
OPENINGS = ("", "digits: ", "a picture with ", "a scan with ")

WORD = "|".join(DIGITS)
AFTER = re.compile(rf"an? ({WORD}|\d) (?:in the )?(top|upper|bottom|lower) (left|right)")
BEFORE = re.compile(rf"(top|upper|bottom|lower) (left|right)(?:: | an? )({WORD}|\d)")


class DigitWorld(World):
    """2 x 2 scenes of real handwritten digits with worded captions.

    z_k in {0, ..., 9} is the digit at place k. e_I picks who wrote each digit and moves it by up to
    two pixels; e_T picks the order, the synonyms and the sentence. By default the captions are the
    six pairs of places: no caption names one place alone, yet each place is identified alone.

    Args:
        captions: a family over `PLACES`, or a process; all pairs by default.
        split: "train" or "test"; the handwriting of "test" never occurs in "train".

    Raises:
        InputError: other concepts than the places, or an unknown split.

    >>> world = DigitWorld()
    >>> batch = world.sample(2, seed=0)
    >>> batch.image.shape, batch.z.shape
    (torch.Size([2, 1, 20, 20]), torch.Size([2, 4]))
    >>> sorted(read_digits(batch.text[0])) == sorted(world.family.captions[batch.caption[0]])
    True
    """

    def __init__(
        self,
        captions: CaptionFamily | CaptionProcess | None = None,
        *,
        split: Literal["train", "test"] = "train",
    ) -> None:
        if captions is None:
            pairs = [(a, b) for i, a in enumerate(PLACES) for b in PLACES[i + 1 :]]
            captions = CaptionFamily.from_captions(pairs, concepts=PLACES)
        super().__init__(
            captions,
            latents=Independent([Discrete.evenly(10)] * 4),
            noise=Noise(image=3 * len(PLACES), text=2 * len(PLACES) + 1, scale=1.0),
        )
        if self.family.concepts != PLACES:
            raise InputError(
                f"the concepts {self.family.concepts}",
                rule="the concepts of a digit scene are its four places, in order",
                fix=f"pass concepts={PLACES}",
            )
        self.split = split
        self._glyphs, self._first, self._count = _handwriting(split)

    @property
    def truth(self) -> Truth:
        return Truth(family=self.family, latents=self.latents)

    def writings(
        self, z: Float[Tensor, "n 4"], image_noise: Float[Tensor, "n 12"]
    ) -> Int64[Tensor, "n 4"]:
        """Which handwritten digit of the split stands at each place."""
        digit = z.long()
        rank = torch.special.ndtr(image_noise[:, :4])
        return self._first[digit] + (rank * self._count[digit]).long()

    def _render(
        self, z: Float[Tensor, "n 4"], image_noise: Float[Tensor, "n 12"]
    ) -> Float[Tensor, "n 1 20 20"]:
        n = len(z)
        glyphs = self._glyphs[self.writings(z, image_noise)]
        shift = (torch.special.ndtr(image_noise[:, 4:]) * JITTER).long().clamp(max=JITTER - 1)
        rows = shift[:, :4, None] + torch.arange(GLYPH)
        columns = shift[:, 4:, None] + torch.arange(GLYPH)
        flat = rows[..., :, None] * CELL + columns[..., None, :]
        cells = torch.zeros(n, 4, CELL * CELL)
        cells.scatter_(2, flat.flatten(2), glyphs.flatten(2))
        square = cells.view(n, 2, 2, CELL, CELL).permute(0, 1, 3, 2, 4)
        return square.reshape(n, 1, 2 * CELL, 2 * CELL)

    def say(
        self,
        z: Float[Tensor, "n 4"],
        caption: Int64[Tensor, " n"],
        text_noise: Float[Tensor, "n 9"],
    ) -> list[str]:
        rank = torch.special.ndtr(text_noise)
        order = rank[:, :4].argsort(dim=1).tolist()
        variants = (rank[:, 4:8] * len(_phrases(0, 0))).long().tolist()
        openings = (rank[:, 8] * len(OPENINGS)).long().tolist()
        mentioned = torch.tensor(self.family.matrix)[caption].tolist()
        sentences: list[str] = []
        for digits, named, places, variant, opening in zip(
            z.long().tolist(), mentioned, order, variants, openings, strict=True
        ):
            phrases = [_phrases(k, digits[k])[variant[k]] for k in places if named[k]]
            sentences.append(OPENINGS[opening] + ", ".join(phrases))
        return sentences


def read_digits(sentence: str) -> dict[str, int]:
    """Which digit a sentence puts where; written apart from the grammar, as a check on it.

    >>> read_digits("a picture with lower right: 8, a seven in the upper left")
    {'bottom right': 8, 'top left': 7}
    """
    found: dict[str, int] = {}
    for part in sentence.split(", "):
        if match := AFTER.search(part):
            digit, height, side = match.groups()
        elif match := BEFORE.search(part):
            height, side, digit = match.groups()
        else:
            continue
        row = "top" if height in ("top", "upper") else "bottom"
        found[f"{row} {side}"] = int(digit) if digit.isdigit() else DIGITS.index(digit)
    return found


@cache
def _phrases(place: int, digit: int) -> tuple[str, ...]:
    """All ways to say that a digit stands at a place."""
    height, side = PLACES[place].split()
    phrases = [
        phrase.format(digit=name, place=f"{word} {side}")
        for phrase in PHRASES
        for word in SYNONYMS[height]
        for name in (DIGITS[digit], str(digit))
    ]
    return tuple(re.sub(r"\ba (eight|8)", r"an \1", phrase) for phrase in phrases)


@cache
def _handwriting(
    split: str,
) -> tuple[Float[Tensor, "n 8 8"], Int64[Tensor, " 10"], Int64[Tensor, " 10"]]:
    """Digits sorted by class, with the first index and the number of each class.

    The file is ordered by writer, so its last quarter is by other hands than the rest.
    """
    if split not in ("train", "test"):
        raise InputError(
            f"split={split!r}",
            rule="handwriting is for training or held out",
            fix="give 'train' or 'test'",
        )
    # Imported here because scikit-learn takes seconds to import and only this world needs it.
    from sklearn.datasets import load_digits

    pixels, target = load_digits(return_X_y=True)
    images, labels = torch.tensor(pixels).float().view(-1, GLYPH, GLYPH) / 16, torch.tensor(target)
    held_out = len(labels) // 4
    kept = slice(-held_out, None) if split == "test" else slice(None, -held_out)
    labels, order = labels[kept].sort(stable=True)
    count = torch.bincount(labels, minlength=10)
    return images[kept][order], count.cumsum(0) - count, count

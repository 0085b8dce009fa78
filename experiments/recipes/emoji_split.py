"""What the emoji comparison trains on, what it chooses settings on, and what it asks at the end.

    train        what is left
    validation   one skin tone of a subject and gender, for half of the training subjects
    style        Twitter's pictures of a tenth of the training subjects; Google's stay in `train`
    combination  unseen combinations of subject, gender and skin tone     (of `EmojiData`)
    emoji        unseen subjects                                          (of `EmojiData`)

Settings are chosen on `validation` alone. No picture is in two of them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from smartclip.data.emoji import Emoji, EmojiData
from theory.errors import InputError

Part = Literal["train", "validation", "style", "combination", "emoji"]
PARTS: tuple[Part, ...] = ("train", "validation", "style", "combination", "emoji")
UNSEEN_STYLE = "twitter"
_TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


def part_of(emoji: Emoji, vendor: str) -> Part:
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


def select(data: EmojiData, wanted: Callable[[Emoji, str], bool]) -> EmojiData:
    """The pictures for which `wanted(emoji, vendor)` holds."""
    pairs = zip(data.emoji, data.vendors, strict=True)
    rows = np.flatnonzero([wanted(emoji, vendor) for emoji, vendor in pairs])
    return replace(
        data,
        emoji=tuple(data.emoji[row] for row in rows),
        vendors=tuple(data.vendors[row] for row in rows),
        images=data.images[rows],
    )


def parts(data: EmojiData, *wanted: Part) -> EmojiData:
    """The pictures of one or several parts.

    Raises:
        InputError: an unknown part.
    """
    if unknown := sorted(set(wanted) - set(PARTS)):
        raise InputError(
            f"the part {unknown[0]!r}",
            rule=f"parts are {', '.join(PARTS)}",
            fix="choose among them",
        )
    return select(data, lambda emoji, vendor: part_of(emoji, vendor) in wanted)


def _bucket(words: str, count: int) -> int:
    """0 to count - 1, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) % count

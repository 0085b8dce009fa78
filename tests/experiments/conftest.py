"""Data made by hand: emoji (roles by gender and skin tone, drawn as squares) and pairs of noise."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smartclip.data.emoji import VENDORS, Emoji, EmojiData

TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


@pytest.fixture(scope="session")
def emoji_twin() -> EmojiData:
    """As `EmojiData.load` gives them; every seventh role is an unseen subject."""
    found = []
    for number in range(30):
        for gender in ("woman", "man", "person"):
            for place, tone in enumerate(TONES):
                split = "combination" if place == (number + len(gender)) % 5 else "train"
                found.append(
                    Emoji(
                        hexcode=f"{number}-{gender}-{tone}",
                        label=f"{gender} role{number}: {tone} skin tone",
                        values={
                            "subject": f"role{number}",
                            "gender": gender,
                            "skin tone": f"{tone} skin tone",
                            "kind": "person role",
                        },
                        tags=(f"tag{number}", "job"),
                        split="emoji" if number % 7 == 3 else split,
                    )
                )
    images = [
        np.full((64, 64, 3), list(hashlib.sha256(f"{vendor}{one.hexcode}".encode()).digest()[:3]))
        for vendor in VENDORS
        for one in found
    ]
    return EmojiData(
        emoji=tuple(found) * len(VENDORS),
        vendors=tuple(vendor for vendor in VENDORS for _ in found),
        images=np.stack(images).astype(np.uint8),
    )


@pytest.fixture(scope="session")
def pair_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 14 pictures of noise with two captions each; of every other, one is too long."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for row in range(14):
        levels = rng.integers(0, 256, (40, 52, 3), dtype=np.uint8)
        Image.fromarray(levels).save(root / f"{row}.png")
        more = "More words come along. " * (90 if row % 2 else 1)
        rows.append(f'{row}.png,"A bear number {row}. {more}"')
        rows.append(f'{row}.png,"Another caption of number {row}."')
    (root / "captions.csv").write_text("\n".join(rows))
    return root / "captions.csv"

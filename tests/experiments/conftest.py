"""Emoji made by hand: roles by gender and skin tone, drawn by both vendors as squares."""

import hashlib

import numpy as np
import pytest

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

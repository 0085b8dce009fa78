"""Pictures that are drawn, not read: emoji, digit scenes and exported worlds as image-text data.

They go the way of real data, so that an audit, shards and a training source can be tried on data
whose concepts are known.
"""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from simulators.digits import DigitWorld
from smartclip.data.emoji import EmojiData
from smartclip.data.examples import Example, ImageText
from smartclip.data.parquet import read_parquet
from smartclip.data.shards import read_shards
from theory.errors import InputError


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture that is in memory, or can be drawn at any time.

    Attributes:
        draw: gives [H, W, 3] or [H, W] levels.
    """

    draw: Callable[[], UInt8[np.ndarray, "h w *c"]]

    def read(self) -> bytes:
        """As a PNG file."""
        stream = io.BytesIO()
        Image.fromarray(self.draw()).save(stream, "PNG")
        return stream.getvalue()


def read_emoji(cache: Path | None = None) -> ImageText:
    """The emoji of both vendors with all their captions; see `EmojiData.load`.

    Args:
        cache: folder for the data; see `cache_folder`.
    """
    data = EmojiData.load(cache)
    return ImageText(
        source="emoji",
        examples=tuple(
            Example(
                name=f"{data.vendors[row]}/{data.emoji[row].hexcode}",
                captions=tuple(dict.fromkeys(each.text for each in data.captions_of(row))),
                image=Drawn(lambda row=row: data.images[row]),
            )
            for row in range(len(data))
        ),
    )


def read_digits(samples: int = 1000, *, seed: int = 0) -> ImageText:
    """Samples 0, 1, ... of `DigitWorld`: four real handwritten digits and a sentence.

    Args:
        samples: how many.
        seed: of the samples.
    """
    batch = DigitWorld().sample(samples, seed=seed)
    levels = (batch.image[:, 0].numpy() * 255).round().astype(np.uint8)
    return ImageText(
        source="digits",
        examples=tuple(
            Example(name=f"{row:09d}", captions=(text,), image=Drawn(lambda row=row: levels[row]))
            for row, text in enumerate(map(str, batch.text))
        ),
    )


def read_world(folder: Path) -> ImageText:
    """What `simulators.export` wrote: shards or Parquet beside `family.json`.

    Raises:
        InputError: it is no such folder, or the world's images are vectors.
    """
    try:
        json.loads((folder / "family.json").read_text(encoding="utf-8"))["concepts"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{folder} could not be read as a world ({error})",
            rule="an exported world has its captions in family.json",
            fix="make one with `smartclip data export`",
        ) from error
    data = (read_shards if any(folder.glob("*.tar")) else read_parquet)(folder)
    if data.problems and not data.examples:
        raise InputError(
            f"{folder} holds images that are vectors",
            rule="image-text data are pictures and words",
            fix="export scenes or digits",
        )
    return data

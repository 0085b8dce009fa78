"""Any picture file to RGB, or one of a few named faults; never a crash, never a bomb."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from theory.errors import InputError

Fault = Literal["missing", "corrupt", "too large", "outside", "no caption", "wrong record", "cut"]
MOST_PIXELS = 50_000_000
"""Larger than photographs of public data sets; a 40,000 x 40,000 bomb has 32 times as many."""

# Formats of photographs and drawings. Pillow also knows formats that start other programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_GROUND = (216, 216, 216, 255)


class PictureError(InputError):
    """A picture that cannot be used.

    Attributes:
        fault: `missing`, `corrupt` or `too large`.
    """

    def __init__(self, given: str, fault: Fault) -> None:
        super().__init__(
            given,
            rule="a picture is a whole file that opens as an image",
            fix="run `smartclip data audit`, and leave the pictures it names out",
        )
        self.fault: Fault = fault


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """Bytes in a file: all of it, or `size` bytes from `offset` on.

    Attributes:
        path: the file.
        offset: in bytes.
        size: in bytes; None up to the end.
    """

    path: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """The bytes.

        Raises:
            PictureError: the file is missing, or shorter than it should be.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read() if self.size is None else file.read(self.size)
        except OSError as error:
            raise PictureError(f"{self.path} ({error.strerror or error})", "missing") from error
        if self.size is not None and len(content) < self.size:
            raise PictureError(f"{self.path} ends inside a picture", "corrupt")
        return content


def decode(
    content: bytes, name: str = "the picture", most_pixels: int = MOST_PIXELS
) -> Image.Image:
    """RGB, upright, transparent parts over light grey, 16-bit greys as 8-bit.

    Args:
        content: of a picture file.
        name: for the error message.
        most_pixels: refuse larger pictures before any pixel is decoded.

    Raises:
        PictureError: the fault is `corrupt` or `too large`.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            if picture.width * picture.height > most_pixels:
                size = f"{picture.width} x {picture.height}"
                raise PictureError(f"{name} has {size} pixels", "too large")
            picture.load()
            upright = ImageOps.exif_transpose(picture)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{name} ({error})", "too large") from error
    # Pillow's decoders report damage in all these ways (TypeError: of the EXIF resolution).
    except (
        OSError,
        SyntaxError,
        EOFError,
        struct.error,
        IndexError,
        TypeError,
        ValueError,
    ) as error:
        raise PictureError(f"{name} ({error})", "corrupt") from error
    return _rgb(upright)


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, _GROUND)
        return Image.alpha_composite(ground, picture).convert("RGB")
    return picture.convert("RGB")

"""Any picture file to RGB, or one of a few named faults; never a crash, never a bomb."""

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from PIL import Image, ImageOps

from smartclip.data.printed import shown
from theory.errors import InputError

Fault = Literal[
    "missing",
    "corrupt",
    "changed",
    "too large",
    "outside",
    "no caption",
    "wrong record",
    "cut",
    "doubled",
    "not read",
]
MOST_PIXELS = 50_000_000
"""Larger than photographs of public data sets; a 40,000 x 40,000 bomb has 32 times as many."""

ENDINGS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".avif", ".heic", ".heif", ".jp2"),
    )
)
"""Endings of picture files. Some are found only to be told that their format is not read."""

# Formats of photographs and drawings. Pillow also knows formats that start other programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_GROUND = (216, 216, 216, 255)
# Pillow's decoders report damage in all these ways (TypeError: of the EXIF resolution).
_DAMAGE = (
    OSError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    OverflowError,
    struct.error,
    zlib.error,
)


# Chunks of a PNG that say something beside the picture.
_BESIDE = (b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME")


class PictureError(InputError):
    """A picture that cannot be used.

    Attributes:
        fault: `missing`, `corrupt`, `changed` or `too large`.
    """

    def __init__(self, given: str, fault: Fault) -> None:
        super().__init__(
            given,
            rule="a picture is a whole file that opens as an image",
            fix="run `smartclip data audit`, and leave the pictures it names out",
        )
        self.fault: Fault = fault


@runtime_checkable
class Stored(Protocol):
    """Bytes of a picture file, wherever they are kept."""

    def read(self) -> bytes:
        """All of them; raises `PictureError` with its fault."""
        ...


def digest(content: bytes) -> bytes:
    """16 bytes that change with any byte of the content (BLAKE2b)."""
    return hashlib.blake2b(content, digest_size=16).digest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """Bytes in a file: all of it, or `size` bytes from `offset` on.

    Attributes:
        path: the file.
        offset: in bytes.
        size: in bytes; None up to the end.
        digest: what `digest` gave when the bytes were written; None where nobody knows.
    """

    path: Path
    offset: int = 0
    size: int | None = None
    digest: bytes | None = None

    def length(self) -> int:
        """How many bytes there are; raises `PictureError` if the file is missing."""
        if self.size is not None:
            return self.size
        try:
            return self.path.stat().st_size - self.offset
        except (OSError, ValueError) as error:
            raise _missing(self.path, error) from error

    def read(self) -> bytes:
        """The bytes.

        Raises:
            PictureError: the file is missing, shorter than it should be, or not what was written.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read() if self.size is None else file.read(self.size)
        except (OSError, ValueError, MemoryError) as error:
            raise _missing(self.path, error) from error
        if self.size is not None and len(content) < self.size:
            raise PictureError(f"{self.path} ends inside a picture", "corrupt")
        if self.digest is not None and digest(content) != self.digest:
            place = f"{self.path}, bytes {self.offset} to {self.offset + len(content)}"
            raise PictureError(f"{place}, differ from what was written", "changed")
        return content


def _missing(path: Path, error: Exception) -> PictureError:
    """A file that cannot be opened; ValueError is of a name that no file can have."""
    return PictureError(f"{shown(path)} ({getattr(error, 'strerror', None) or error})", "missing")


def decode(
    content: bytes,
    name: str = "the picture",
    most_pixels: int = MOST_PIXELS,
    *,
    shorter: int | None = None,
) -> Image.Image:
    """RGB, upright, transparent parts over light grey, 16-bit greys as 8-bit.

    Args:
        content: of a picture file.
        name: for the error message.
        most_pixels: refuse larger pictures before any pixel is decoded.
        shorter: a JPEG may come at 1/2, 1/4 or 1/8 of its size, which is quicker, as long as no
            side falls below this.

    Raises:
        PictureError: the fault is `corrupt` or `too large`.
    """
    with _opened(content, name, most_pixels) as picture:
        if shorter is not None:
            picture.draft(None, (shorter, shorter))
        picture.load()
        try:
            ImageOps.exif_transpose(picture, in_place=True)
        except (*_DAMAGE, UserWarning):
            pass  # what EXIF says is damaged, not the pixels: they stay as they are stored
        return _rgb(picture)


def measure(
    content: bytes, name: str = "the picture", most_pixels: int = MOST_PIXELS
) -> tuple[int, int]:
    """Width and height as stored, from the header alone; raises as `decode` does."""
    with _opened(content, name, most_pixels) as picture:
        return picture.size


@contextmanager
def _opened(content: bytes, name: str, most_pixels: int) -> Iterator[Image.Image]:
    """A picture whose header is read; damage found then or later becomes a `PictureError`."""
    if not content:
        raise PictureError(f"{shown(name)} is empty", "corrupt")
    try:
        with Image.open(io.BytesIO(_sound(content)), formats=_FORMATS) as picture:
            if picture.width * picture.height > most_pixels:
                size = f"{picture.width} x {picture.height}"
                raise PictureError(f"{shown(name)} has {size} pixels", "too large")
            yield picture
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{shown(name)} ({shown(error)})", "too large") from error
    except Image.UnidentifiedImageError as error:
        known = ", ".join(_FORMATS)
        raise PictureError(f"{shown(name)} is no whole picture of {known}", "corrupt") from error
    except _DAMAGE as error:
        why = shown(error) or type(error).__name__
        raise PictureError(f"{shown(name)} ({why})", "corrupt") from error


def _sound(content: bytes) -> bytes:
    """A PNG without those chunks of EXIF, text and time whose checksum is wrong; all else as it is.

    Pillow refuses the whole picture for such a chunk, although no pixel depends on it.
    """
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    start, kept, at = 0, [], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 12 + length
        named = content[at + 4 : at + 8]
        if named in _BESIDE and end <= len(content):
            (told,) = struct.unpack_from(">I", content, end - 4)
            if told != zlib.crc32(content[at + 4 : end - 4]):
                kept.append(content[start:at])
                start = end
        at = end
    return content if start == 0 else b"".join((*kept, content[start:]))


def kind(content: bytes) -> str:
    """The ending of a picture file's name, from its first bytes.

    >>> kind(b"\\xff\\xd8\\xff\\xe0"), kind(b"RIFF....WEBP"), kind(b"\\x89PNG....")
    ('jpg', 'webp', 'png')
    """
    if content.startswith(b"\xff\xd8"):
        return "jpg"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "webp"
    starts = {b"\x89PNG": "png", b"GIF8": "gif", b"BM": "bmp", b"II": "tif", b"MM": "tif"}
    return next((end for start, end in starts.items() if content.startswith(start)), "ppm")


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # greys of 16 bits, some kept in 32
        values = np.asarray(picture).astype(np.int64).clip(0, 65_535)
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, _GROUND)
        return Image.alpha_composite(ground, picture).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")

"""A picture file to the [3, S, S] levels a tower reads, and levels to its input.

Constants and resampling are CLIP's (Radford et al., ICML 2021): bicubic; per channel
x = (level / 255 - mean) / std.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from smartclip.data.pictures import MOST_PIXELS, decode
from theory.errors import refuse_broken_rules

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
Cut = Literal["centre", "random", "squash"]
DRAWS = 5
"""Uniform numbers that a crop takes: area, shape, place across, place down, mirror."""
MIDDLE = np.full(DRAWS, 0.5)
"""The draws of an evaluation, where nothing is random."""

_SHAPES = (3 / 4, 4 / 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """How a picture of any size becomes S x S.

    - `centre`: the shorter side to S, then the middle (CLIP's own, and the published training).
    - `random`: a rectangle of a share `scale` to 1 of the area, from 3:4 to 4:3 (open_clip's).
    - `squash`: all of it, whatever its shape.

    Attributes:
        pixels: S.
        cut: which.
        scale: the least share of the area, for `random`.
        mirror: probability that left and right are exchanged.
        gap: a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves at least
            `gap` x S pixels of what is kept; 1 is quickest, None decodes every pixel.
    """

    pixels: int = 224
    cut: Cut = "centre"
    scale: float = 0.9
    mirror: float = 0.0
    gap: float | None = 2.0

    def __post_init__(self) -> None:
        rules = {
            "pixels": (self.pixels >= 1, "at least 1"),
            "cut": (self.cut in get_args(Cut), "one of " + ", ".join(get_args(Cut))),
            "scale": (0 < self.scale <= 1, "above 0, at most 1"),
            "mirror": (0 <= self.mirror <= 1, "from 0 to 1"),
            "gap": (self.gap is None or self.gap >= 1, "at least 1, or None"),
        }
        refuse_broken_rules(self, rules)

    def __call__(
        self,
        content: bytes,
        name: str,
        draws: Float[np.ndarray, "5"],
        most_pixels: int = MOST_PIXELS,
    ) -> UInt8[Tensor, "3 s s"]:
        """The levels of a picture file.

        Args:
            content: of the file.
            name: for an error.
            draws: uniform on (0, 1), one for each choice.
            most_pixels: larger pictures are refused.

        Raises:
            PictureError: as `decode`.
        """
        side = self.pixels
        shorter = None
        if self.gap is not None:
            # A crop of the least area and the flattest shape keeps this share of the shorter side.
            kept = math.sqrt(self.scale * _SHAPES[0]) if self.cut == "random" else 1.0
            shorter = math.ceil(self.gap * side / kept)
        # A copy: what Pillow shares may not be written to. Then planes, as views of it.
        levels = torch.from_numpy(np.array(decode(content, name, most_pixels, shorter=shorter)))
        return self.fitted(levels.permute(2, 0, 1), draws)

    def fitted(
        self, levels: UInt8[Tensor, "3 h w"], draws: Float[np.ndarray, "5"] = MIDDLE
    ) -> UInt8[Tensor, "3 s s"]:
        """Levels of any size cut and resized.

        Args:
            levels: of a picture, or of a part of one.
            draws: uniform on (0, 1), one for each choice.
        """
        side = self.pixels
        height, width = levels.shape[1:]
        if self.cut == "random":
            left, upper, right, lower = self.box(width, height, draws)
            levels = levels[:, upper:lower, left:right]
        if self.cut == "centre":
            factor = side / min(width, height)
            tall, wide = (max(side, int(length * factor)) for length in (height, width))
            upper, left = round((tall - side) / 2), round((wide - side) / 2)
            levels = _resized(levels, tall, wide)[:, upper : upper + side, left : left + side]
        else:
            levels = _resized(levels, side, side)
        return levels.flip(2) if draws[4] < self.mirror else levels

    def box(
        self, width: int, height: int, draws: Float[np.ndarray, "5"]
    ) -> tuple[int, int, int, int]:
        """Left, upper, right and lower edge of a random cut, in pixels of the picture."""
        area, shape, across, down, _ = draws.tolist()
        size = (self.scale + area * (1 - self.scale)) * width * height
        low, high = map(math.log, _SHAPES)
        ratio = math.exp(low + shape * (high - low))
        # As much of the drawn shape as the picture has.
        w = max(1, min(width, round(math.sqrt(size * ratio))))
        h = max(1, min(height, round(math.sqrt(size / ratio))))
        left, upper = int(across * (width - w + 1)), int(down * (height - h + 1))
        return left, upper, left + w, upper + h


def _resized(
    levels: UInt8[Tensor, "3 h w"], height: int, width: int
) -> UInt8[Tensor, "3 height width"]:
    """Bicubic with antialiasing, as Pillow's within 2 levels of 255, three times as quick."""
    if levels.shape[1:] == (height, width):
        return levels
    size = (height, width)
    return interpolate(levels.unsqueeze(0), size=size, mode="bicubic", antialias=True)[0]


def normalised(
    levels: UInt8[Tensor, "b 3 h w"],
    mean: tuple[float, float, float] = MEAN,
    std: tuple[float, float, float] = STD,
) -> Float32[Tensor, "b 3 h w"]:
    """x = (level / 255 - mean) / std, on the levels' device."""
    images = torch.empty(levels.shape, device=levels.device)
    for plane, level, m, s in zip(images.unbind(1), levels.unbind(1), mean, std, strict=True):
        torch.mul(level, 1 / (255 * s), out=plane).sub_(m / s)
    return images

"""A picture file to the [S, S, 3] levels a tower reads, and levels to its input.

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
from theory.errors import InputError

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
Cut = Literal["centre", "random", "squash"]
DRAWS = 5
"""Uniform numbers that a crop takes: area, shape, place across, place down, mirror."""

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
        for name, (holds, rule) in rules.items():
            if not holds:
                raise InputError(
                    f"{name} = {getattr(self, name)!r}", rule=f"{name} is {rule}", fix="change it"
                )

    def __call__(
        self,
        content: bytes,
        name: str,
        draws: Float[np.ndarray, "5"],
        most_pixels: int = MOST_PIXELS,
    ) -> UInt8[np.ndarray, "s s 3"]:
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
        levels = np.array(decode(content, name, most_pixels, shorter=shorter))
        if self.cut == "random":
            left, upper, right, lower = self.box(levels.shape[1], levels.shape[0], draws)
            levels = levels[upper:lower, left:right]
        if self.cut == "centre":
            height, width, _ = levels.shape
            factor = side / min(width, height)
            levels = _resized(
                levels, max(side, int(height * factor)), max(side, int(width * factor))
            )
            upper, left = (round((length - side) / 2) for length in levels.shape[:2])
            levels = levels[upper : upper + side, left : left + side]
        else:
            levels = _resized(levels, side, side)
        return np.ascontiguousarray(levels[:, ::-1] if draws[4] < self.mirror else levels)

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
    levels: UInt8[np.ndarray, "h w 3"], height: int, width: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Bicubic with antialiasing, as Pillow's within 2 levels of 255, three times as quick."""
    if levels.shape[:2] == (height, width):
        return levels
    planes = torch.from_numpy(np.ascontiguousarray(levels)).permute(2, 0, 1).unsqueeze(0)
    resized = interpolate(planes, size=(height, width), mode="bicubic", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def normalised(
    levels: UInt8[Tensor, "b h w 3"],
    mean: tuple[float, float, float] = MEAN,
    std: tuple[float, float, float] = STD,
) -> Float32[Tensor, "b 3 h w"]:
    """x = (level / 255 - mean) / std, on the levels' device."""
    batch, height, width, _ = levels.shape
    images = torch.empty((batch, 3, height, width), device=levels.device)
    # Plane by plane: steps of three bytes cost little, a product along three channels a lot.
    for plane, level, m, s in zip(images.unbind(1), levels.unbind(3), mean, std, strict=True):
        torch.mul(level, 1 / (255 * s), out=plane).sub_(m / s)
    return images

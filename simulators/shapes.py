"""s(x, y): the signed distance to an outline, negative inside.

A pixel's coverage is 1/2 - s / pixel, clipped to [0, 1]: an edge without steps at any size.
"""

import math
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

CELLS, REACH = 192, 1.5
"""The tables of distances: cells along a side, and the half-width they span in units of radius."""


def signed_distance(
    outline: Float[Tensor, "v 2"], points: Float[Tensor, "n 2"]
) -> Float[Tensor, " n"]:
    """Distance of each point to a closed polygon, negative inside (even-odd rule).

    >>> square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> signed_distance(square, torch.tensor([[0.0, 0.0], [3.0, 0.0]])).tolist()
    [-1.0, 2.0]
    """
    a, b = outline, outline.roll(-1, 0)
    edge, to_point = b - a, points[:, None] - a
    along = (to_point * edge).sum(-1) / edge.square().sum(-1)
    nearest = to_point - along.clamp(0, 1)[..., None] * edge
    distance = nearest.norm(dim=-1).amin(1)
    x, y = points[:, None, 0], points[:, None, 1]
    straddles = (a[:, 1] > y) != (b[:, 1] > y)
    # Horizontal edges never straddle, so their crossing is never looked at.
    run = torch.where(edge[:, 1] == 0, torch.ones(()), edge[:, 1])
    crosses = straddles & (x < a[:, 0] + (y - a[:, 1]) * edge[:, 0] / run)
    inside = crosses.sum(1) % 2 == 1
    return torch.where(inside, -distance, distance)


def outlines() -> dict[str, Float[Tensor, "v 2"]]:
    """The shapes, each within the unit disc; x to the right, y downwards, upright.

    None looks the same after a turn of less than 72 degrees, so a tilt of 25 can be seen.
    """
    half = 1 / math.sqrt(2)
    arm = 0.34
    points = {
        "square": [(-half, -half), (half, -half), (half, half), (-half, half)],
        "triangle": _spokes(3, [1.0]),
        "star": _spokes(10, [1.0, 0.42]),
        "cross": [
            *[(-arm, -0.94), (arm, -0.94), (arm, -arm), (0.94, -arm), (0.94, arm), (arm, arm)],
            *[(arm, 0.94), (-arm, 0.94), (-arm, arm), (-0.94, arm), (-0.94, -arm), (-arm, -arm)],
        ],
        "arrow": [
            *[(0.0, -1.0), (0.78, -0.1), (0.3, -0.1), (0.3, 0.95)],
            *[(-0.3, 0.95), (-0.3, -0.1), (-0.78, -0.1)],
        ],
        "crescent": [
            *_arc(0.0, 1.0, 50, 310),
            *reversed(_arc(0.5, 0.78, 80, 280)),
        ],
    }
    return {name: torch.tensor(outline) for name, outline in points.items()}


@cache
def _table() -> Float32[np.ndarray, " cells"]:
    """The distance at the middle of each cell, shape by shape."""
    middle = (torch.arange(CELLS) + 0.5) * (2 * REACH / CELLS) - REACH
    points = torch.cartesian_prod(middle, middle).flip(1)
    tables = [signed_distance(outline, points) for outline in outlines().values()]
    return torch.cat(tables).numpy()


def distance_of(
    shape: Int64[np.ndarray, "n 1"],
    x: Float32[np.ndarray, "n p"],
    y: Float32[np.ndarray, "n p"],
) -> Float32[np.ndarray, "n p"]:
    """s at (x, y) for one shape a row, in units of its radius, to 1/90 of it; see `outlines`."""
    scale, offset = CELLS / (2 * REACH), CELLS / 2
    column = np.clip(x * scale + offset, 0, CELLS - 1).astype(np.int32)
    row = np.clip(y * scale + offset, 0, CELLS - 1).astype(np.int32)
    row *= CELLS
    row += column
    row += shape.astype(np.int32) * (CELLS * CELLS)
    return _table().take(row)


def _spokes(count: int, radii: list[float]) -> list[tuple[float, float]]:
    """Corners at equal angles, the first one on top."""
    turns = [2 * math.pi * i / count for i in range(count)]
    return [
        (radii[i % len(radii)] * math.sin(turn), -radii[i % len(radii)] * math.cos(turn))
        for i, turn in enumerate(turns)
    ]


def _arc(centre: float, radius: float, start: int, stop: int) -> list[tuple[float, float]]:
    """Points of a circle about (centre, 0), every six degrees or so."""
    steps = max(2, abs(stop - start) // 6)
    turns = [math.radians(start + (stop - start) * i / steps) for i in range(steps + 1)]
    return [(centre + radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]

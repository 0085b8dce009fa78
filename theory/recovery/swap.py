"""Swap: hold z_B, redraw (z outside B, e_I) apart from it; zhat on B^ must not move.

    moved_i = E Var(zhat_i | z_B) / Var(zhat_i)      with z_B independent of the rest

It is 0 iff coordinate i is a function of z_B alone, whatever the dependence between latents, and 1
when it ignores z_B. Under Condition 4.2-ii the redrawn pairs stay in the support, so this is an
exact test of purity (derived here). It needs the generator, so it is for simulators.
"""

# pyright: basic

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from theory.captions import CaptionFamily
from theory.concepts import Block, Concept
from theory.errors import InputError
from theory.recovery.coordinates import Coordinates, as_masks
from theory.recovery.lattice_blocks import Kind, lattice_blocks
from theory.recovery.samples import finite, spread

Encoder = Callable[[Tensor], Tensor]
"""Images [n, ...] -> zhat [n, D]."""

Generator = Callable[[Tensor, Tensor], Tensor]
"""g_I: latents [n, d] and noise [n, a] -> images [n, ...]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockMotion:
    """How far the coordinates of one block move while z_B is held.

    Attributes:
        kind: where the block comes from.
        block: B.
        promised: the family identifies B.
        coordinates: B^.
        moved: share of the variance of each coordinate, 0 (pure) to 1; NaN for a constant one.
    """

    kind: Kind
    block: Block
    promised: bool
    coordinates: tuple[int, ...]
    moved: tuple[float, ...]

    @property
    def worst(self) -> float:
        """The most that a coordinate moves; 0 without coordinates."""
        return max((value for value in self.moved if value == value), default=0.0)


@dataclass(frozen=True, kw_only=True)
class Swap:
    """The swap test of every block.

    Attributes:
        blocks: one entry a block.
        tolerance: the most that a coordinate of a pure block may move.
        samples: pairs of images compared.
    """

    blocks: tuple[BlockMotion, ...]
    tolerance: float
    samples: int

    def table(self) -> pd.DataFrame:
        """One row a block: kind, block, promised, coordinates, moved (the worst), pure."""
        return pd.DataFrame(
            [
                {
                    "kind": row.kind,
                    "block": row.block,
                    "promised": row.promised,
                    "coordinates": len(row.coordinates),
                    "moved": row.worst,
                    "pure": row.worst <= self.tolerance,
                }
                for row in self.blocks
            ],
            columns=["kind", "block", "promised", "coordinates", "moved", "pure"],
        )

    def leaks(self) -> tuple[BlockMotion, ...]:
        """The promised blocks that move, worst first: witnesses against the prediction."""
        found = [row for row in self.blocks if row.promised and row.worst > self.tolerance]
        return tuple(sorted(found, key=lambda row: -row.worst))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "tolerance": self.tolerance,
            "samples": self.samples,
            "blocks": [
                {
                    "kind": row.kind,
                    "block": sorted(map(str, row.block)),
                    "promised": row.promised,
                    "coordinates": list(row.coordinates),
                    "moved": [None if value != value else value for value in row.moved],
                }
                for row in self.blocks
            ],
        }

    def _repr_html_(self) -> str:
        return self.table().to_html(float_format=lambda value: f"{value:.4f}")


def swap_test(
    encode: Encoder,
    generate: Generator,
    z: Float[Tensor, "n d"],
    noise: Float[Tensor, "rows a"],
    *,
    family: CaptionFamily,
    masks: Tensor | np.ndarray,
    blocks: Iterable[Iterable[Concept]] = (),
    tolerance: float = 0.05,
    seed: int = 0,
) -> Swap:
    """How far zhat on each block moves when everything outside the block is redrawn.

    Each image is made twice from the same z_B and, both times, another row's latents outside B and
    another row's noise. Blocks with the same concepts and coordinates are tested once.

    Args:
        encode: images to zhat, in evaluation mode.
        generate: g_I.
        z: latents [n, d].
        noise: e_I [n, a]; a may be 0.
        family: the captions.
        masks: estimated masks [n captions, D].
        blocks: further blocks to test.
        tolerance: the most that a coordinate of a pure block may move, as a share of its variance.
        seed: of the redraws.

    Raises:
        InputError: shapes that do not agree, fewer than 3 samples, NaN or infinity in the code.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> z = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    >>> noise = torch.zeros(200, 0)
    >>> swap = swap_test(
    ...     torch.tanh, lambda z, e: z, z, noise, family=family, masks=family.dimension_masks
    ... )
    >>> float(swap.table().moved.max())
    0.0
    """
    if len(z) < 3 or len(noise) != len(z) or z.shape[1] != family.dimension:
        raise InputError(
            f"z has shape {tuple(z.shape)} and noise {tuple(noise.shape)}",
            rule=f"a swap needs 3 or more rows of both, and z has {family.dimension} columns",
            fix="give the latents and the noise of the same images",
        )
    # Row i takes what lies outside the block from the rows 1 and 2 places further in a random
    # cycle, and noise from a second cycle: never its own, never the same twice.
    generator = torch.Generator().manual_seed(seed)
    cycles = [torch.randperm(len(z), generator=generator).to(z.device) for _ in range(2)]

    def redrawn(held: Tensor, step: int) -> Tensor:
        other, shaken = (_next(cycle, step) for cycle in cycles)
        return finite("zhat", encode(generate(torch.where(held, z, z[other]), noise[shaken])))

    with torch.no_grad():
        width = encode(generate(z[:2], noise[:2])).shape[1]
        coordinates = Coordinates(family=family, masks=as_masks(masks, len(family.captions), width))
        motions: dict[Block, Tensor] = {}
        found: list[BlockMotion] = []
        for entry in lattice_blocks(coordinates, blocks):
            if entry.block not in motions:
                held = torch.zeros(family.dimension, dtype=torch.bool, device=z.device)
                held[family.space.columns(entry.block)] = True
                motions[entry.block] = _moved(redrawn(held, 1), redrawn(held, 2))
            found.append(
                BlockMotion(
                    kind=entry.kind,
                    block=entry.block,
                    promised=entry.promised,
                    coordinates=entry.coordinates,
                    moved=tuple(motions[entry.block][list(entry.coordinates)].tolist()),
                )
            )
    return Swap(blocks=tuple(found), tolerance=tolerance, samples=len(z))


def independent_latents(
    z: Float[Tensor, "n d"], *, family: CaptionFamily, seed: int
) -> Float[Tensor, "n d"]:
    """Latents with the same law for each concept and no dependence between concepts.

    Every concept takes its values from a permutation of the rows. By Condition 4.2-ii they lie in
    the support, so what is identified stays identified on them.

    Args:
        z: latents [n, d].
        family: lays out the concepts.
        seed: of the permutations.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = [
        part[torch.randperm(len(z), generator=generator).to(z.device)]
        for part in z.split(list(family.sizes), dim=1)
    ]
    return torch.cat(parts, 1)


def _next(cycle: Tensor, step: int) -> Tensor:
    """For each row, the row `step` places further in the cycle."""
    following = torch.empty_like(cycle)
    following[cycle] = cycle.roll(-step)
    return following


def _moved(first: Tensor, second: Tensor) -> Float[Tensor, " D"]:
    first, second = first.double(), second.double()
    both = torch.cat([first, second])
    within = (first - second).square().mean(0) / 2
    return torch.where(spread(both) > 0, within / both.var(0, correction=0), torch.nan)

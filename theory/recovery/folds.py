"""Fold: two samples far apart in z_B with the same code. No function of zhat_B^ is z_B then.

    folded = share of rows i with |z_B(i) - z_B(j)| > r,   j the nearest row to i by zhat_B^,
             minus the same share with j the nearest row by z_B itself

with r half of the root mean square distance between rows. Completeness tells that something of z_B
is lost; this tells which samples are taken for one another (derived here). The second share is what
the density of the samples allows: in blocks of many dimensions all rows are far apart, and the test
says little. Coordinates of the code are compared by rank, so that bending one changes nothing.
"""

# pyright: basic

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from theory.captions import CaptionFamily
from theory.concepts import Block, Concept
from theory.errors import InputError
from theory.recovery.coordinates import Coordinates, as_masks
from theory.recovery.lattice_blocks import Kind, lattice_blocks
from theory.recovery.samples import as_samples

FAR = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockFold:
    """The fold test of one block.

    Attributes:
        kind: where the block comes from.
        block: B.
        promised: the family identifies B.
        folded: share of rows, in excess of what the density of the samples allows.
        witness: two rows with nearly the same code, the farthest apart in z_B.
        apart: their distance in z_B, in root mean square distances between rows.
    """

    kind: Kind
    block: Block
    promised: bool
    folded: float
    witness: tuple[int, int]
    apart: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldTest:
    """The fold test of every block that has coordinates."""

    blocks: tuple[BlockFold, ...]

    def table(self) -> pd.DataFrame:
        """One row a block: kind, block, promised, folded, witness, apart."""
        names = ["kind", "block", "promised", "folded", "witness", "apart"]
        return pd.DataFrame(
            [{name: getattr(row, name) for name in names} for row in self.blocks], columns=names
        )

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain JSON types, one entry a block."""
        return [
            row | {"block": sorted(map(str, row["block"])), "witness": list(row["witness"])}
            for row in self.table().to_dict("records")
        ]

    def _repr_html_(self) -> str:
        return self.table().to_html(float_format=lambda value: f"{value:.4f}")


def fold_test(
    z: Tensor | np.ndarray,
    zhat: Tensor | np.ndarray,
    *,
    family: CaptionFamily,
    masks: Tensor | np.ndarray,
    blocks: Iterable[Iterable[Concept]] = (),
) -> FoldTest:
    """Is zhat on each block injective in z_B, as far as the samples can tell?

    Args:
        z: latents [N, d].
        zhat: code [N, D]; it should be pure on the block, or other causes tell samples apart.
        family: the captions.
        masks: estimated masks [n captions, D].
        blocks: further blocks to test.

    Raises:
        InputError: shapes that do not agree, too few rows, NaN.

    >>> family = CaptionFamily.from_captions([["bear"], ["pen"]])
    >>> z = np.random.default_rng(0).normal(size=(500, 2))
    >>> masks = family.dimension_masks
    >>> bool(fold_test(z, z**3, family=family, masks=masks).table().folded.max() < 0.01)
    True
    >>> bool(fold_test(z, abs(z), family=family, masks=masks).table().folded.min() > 0.2)
    True
    """
    latents, code = as_samples("z", z).cpu().numpy(), as_samples("zhat", zhat).cpu().numpy()
    if len(latents) != len(code) or latents.shape[1] != family.dimension:
        raise InputError(
            f"z has shape {latents.shape} and zhat {code.shape}",
            rule=f"both have the same rows, and z has {family.dimension} columns",
            fix="give the latents and the code of the same samples",
        )
    coordinates = Coordinates(
        family=family, masks=as_masks(masks, len(family.captions), code.shape[1])
    )
    latents, code = _scaled(latents), _ranked(code)
    found: list[BlockFold] = []
    for entry in lattice_blocks(coordinates, blocks):
        if not entry.coordinates:
            continue
        inside = latents[:, family.space.columns(entry.block)]
        near = _nearest(code[:, list(entry.coordinates)])
        size = np.sqrt(2 * inside.var(0).sum()) or 1.0
        apart = np.linalg.norm(inside - inside[near], axis=1) / size
        least = np.linalg.norm(inside - inside[_nearest(inside)], axis=1) / size
        worst = int(apart.argmax())
        found.append(
            BlockFold(
                kind=entry.kind,
                block=entry.block,
                promised=entry.promised,
                folded=max(float((apart > FAR).mean() - (least > FAR).mean()), 0.0),
                witness=(worst, int(near[worst])),
                apart=float(apart[worst]),
            )
        )
    return FoldTest(blocks=tuple(found))


def _scaled(values: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, "n columns"]:
    deviation = values.std(0)
    return (values - values.mean(0)) / np.where(deviation > 0, deviation, 1)


def _ranked(values: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, "n columns"]:
    """Normal scores; 0 for a constant column."""
    return np.asarray(stats.norm.ppf(stats.rankdata(values, axis=0) / (len(values) + 1)))


def _nearest(values: Float[np.ndarray, "n columns"]) -> Int[np.ndarray, " n"]:
    """The nearest other row of every row."""
    return NearestNeighbors(n_neighbors=1).fit(values).kneighbors(return_distance=False)[:, 0]

"""J = d zhat / d (z, e_I) through the known generator: what each coordinate reads, at a point.

A block is pure on an open set iff the Jacobian of zhat on B^ against (z outside B, e_I) vanishes
there; it is locally complete iff the Jacobian against z_B has rank d(B) (derived here, from
SmartCLIP, CVPR 2025, Theorem 4.3). Steps have zero derivative: use the swap for them.
"""

# pyright: basic

from collections.abc import Iterable
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
from theory.recovery.swap import Encoder, Generator


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockJacobian:
    """The Jacobian of one block, in units of one standard deviation of input and output.

    Attributes:
        kind: where the block comes from.
        block: B.
        promised: the family identifies B.
        coordinates: B^.
        inside: root mean square norm against z_B, over points and coordinates.
        outside: the same against (z outside B, e_I).
        rank: least numerical rank against z_B over the points.
        dimension: d(B).
        smallest: least over the points of the smallest of the d(B) singular values against z_B.
    """

    kind: Kind
    block: Block
    promised: bool
    coordinates: tuple[int, ...]
    inside: float
    outside: float
    rank: int
    dimension: int
    smallest: float

    @property
    def leak(self) -> float:
        """outside^2 / (inside^2 + outside^2): 0 for a pure block, 1 if z_B is not read at all."""
        total = self.inside**2 + self.outside**2
        return self.outside**2 / total if total > 0 else 0.0

    @property
    def full_rank(self) -> bool:
        return self.rank == self.dimension


@dataclass(frozen=True, kw_only=True)
class JacobianTest:
    """The Jacobian test of every block.

    Attributes:
        family: the captions.
        blocks: one entry a block.
        norms: [D, K + 1], root mean square norm of coordinate i against concept k; the last column
            is the image noise. Draw it beside the predicted dependency.
        points: where the Jacobian was taken.
    """

    family: CaptionFamily
    blocks: tuple[BlockJacobian, ...]
    norms: Float[np.ndarray, "D sources"]
    points: int

    def table(self) -> pd.DataFrame:
        """One row a block: kind, block, promised, inside, outside, leak, rank, dimension."""
        names = ["kind", "block", "promised", "inside", "outside", "leak", "rank", "dimension"]
        return pd.DataFrame(
            [{name: getattr(row, name) for name in names} for row in self.blocks], columns=names
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "points": self.points,
            "norms": self.norms.tolist(),
            "blocks": [
                {
                    "kind": row.kind,
                    "block": sorted(map(str, row.block)),
                    "promised": row.promised,
                    "coordinates": list(row.coordinates),
                    "inside": row.inside,
                    "outside": row.outside,
                    "leak": row.leak,
                    "rank": row.rank,
                    "dimension": row.dimension,
                    "smallest": row.smallest,
                }
                for row in self.blocks
            ],
        }

    def _repr_html_(self) -> str:
        return self.table().to_html(float_format=lambda value: f"{value:.4f}")


def code_jacobian(
    encode: Encoder, generate: Generator, z: Float[Tensor, "n d"], noise: Float[Tensor, "n a"]
) -> Float[Tensor, "n D inputs"]:
    """d zhat / d (z, e_I) at every row, [n, D, d + a].

    One backward pass a coordinate; rows must not influence each other (evaluation mode).

    Raises:
        InputError: zhat has no derivative with respect to z.
    """
    latents = z.detach().clone().requires_grad_()
    shaken = noise.detach().clone().requires_grad_()
    with torch.enable_grad():
        code = encode(generate(latents, shaken))
        if not code.requires_grad:
            raise InputError(
                "zhat has no derivative with respect to z",
                rule="the Jacobian test needs a differentiable generator and encoder",
                fix="run both outside torch.no_grad, or use swap_test",
            )
        rows = []
        for index in range(code.shape[1]):
            parts = torch.autograd.grad(
                code[:, index].sum(),
                (latents, shaken),
                retain_graph=index + 1 < code.shape[1],
                allow_unused=True,
            )
            rows.append(
                torch.cat(
                    [
                        torch.zeros_like(source) if part is None else part
                        for part, source in zip(parts, (latents, shaken), strict=True)
                    ],
                    dim=1,
                )
            )
    return torch.stack(rows, dim=1)


def jacobian_test(
    encode: Encoder,
    generate: Generator,
    z: Float[Tensor, "n d"],
    noise: Float[Tensor, "rows a"],
    *,
    family: CaptionFamily,
    masks: Tensor | np.ndarray,
    blocks: Iterable[Iterable[Concept]] = (),
    points: int = 128,
    rank_tolerance: float = 1e-3,
) -> JacobianTest:
    """Norm inside and outside every block, and the rank of the block.

    Args:
        encode: images to zhat, in evaluation mode.
        generate: g_I.
        z: latents [n, d]; scales come from all rows, derivatives from the first `points`.
        noise: e_I [n, a]; a may be 0.
        family: the captions.
        masks: estimated masks [n captions, D].
        blocks: further blocks to test.
        points: the most rows at which to differentiate.
        rank_tolerance: a singular value below this share of the largest one counts as zero.

    Raises:
        InputError: shapes that do not agree, no derivative, NaN or infinity.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> z = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    >>> noise = torch.zeros(64, 0)
    >>> test = jacobian_test(
    ...     torch.tanh, lambda z, e: z, z, noise, family=family, masks=family.dimension_masks
    ... )
    >>> float(test.table().leak.max()), all(row.full_rank for row in test.blocks)
    (0.0, True)
    """
    if len(noise) != len(z) or len(z) < 2 or z.shape[1] != family.dimension:
        raise InputError(
            f"z has shape {tuple(z.shape)} and noise {tuple(noise.shape)}",
            rule=f"both have the same 2 or more rows, and z has {family.dimension} columns",
            fix="give the latents and the noise of the same images",
        )
    with torch.no_grad():
        code = finite("zhat", encode(generate(z, noise)).double())
    coordinates = Coordinates(
        family=family, masks=as_masks(masks, len(family.captions), code.shape[1])
    )
    inputs = spread(torch.cat([z, noise], 1).double())
    outputs = spread(code)
    outputs = torch.where(outputs > 0, outputs, torch.ones_like(outputs))
    raw = code_jacobian(encode, generate, z[:points], noise[:points]).double()
    finite("the Jacobian", raw.flatten(1))
    jacobian = raw * inputs / outputs[:, None]

    found: list[BlockJacobian] = []
    for entry in lattice_blocks(coordinates, blocks):
        inside = family.space.columns(entry.block)
        outside = [column for column in range(jacobian.shape[2]) if column not in set(inside)]
        rows = jacobian[:, list(entry.coordinates)]
        values = torch.linalg.svdvals(rows[:, :, inside])
        ranks = (values > rank_tolerance * values[:, :1].clamp_min(1e-300)).sum(1)
        found.append(
            BlockJacobian(
                kind=entry.kind,
                block=entry.block,
                promised=entry.promised,
                coordinates=entry.coordinates,
                inside=_norm(rows[:, :, inside]),
                outside=_norm(rows[:, :, outside]),
                rank=int(ranks.min()) if values.numel() else 0,
                dimension=len(inside),
                smallest=float(values[:, len(inside) - 1].min())
                if values.shape[1] == len(inside)
                else 0.0,
            )
        )
    widths = [*family.sizes, noise.shape[1]]
    norms = torch.stack(
        [part.square().sum(2).mean(0).sqrt() for part in jacobian.split(widths, dim=2)], 1
    )
    return JacobianTest(
        family=family, blocks=tuple(found), norms=norms.cpu().numpy(), points=len(jacobian)
    )


def _norm(part: Float[Tensor, "n rows columns"]) -> float:
    """Root of the mean over points and rows of the squared norm of a row."""
    if part.shape[1] == 0:
        return 0.0
    return float(part.square().sum(2).mean().sqrt())

"""A block B is identified by B^ iff zhat on B^ is h(z_B), h invertible: complete and pure.

    completeness  R2(z_B <- zhat_B^)     nothing of z_B is lost
    purity        R2(zhat_B^ <- z_B)     nothing else gets in
    floor         R2(z_B <- z outside B) what dependence alone would give

Paper: SmartCLIP, CVPR 2025, Theorem 4.3; the two directions and the floor are derived here.
"""

# pyright: basic

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from theory.captions import CaptionFamily
from theory.concepts import Block, Concept
from theory.errors import InputError
from theory.recovery.coordinates import Coordinates, as_masks
from theory.recovery.grid import Grid
from theory.recovery.inputs import Regression
from theory.recovery.lattice_blocks import Kind, LatticeBlock, lattice_blocks
from theory.recovery.regressions import Explained, Regressions
from theory.recovery.ridge import Ridge
from theory.recovery.samples import Split, as_samples, spread
from theory.recovery.verdict import Bar, Score, Verdict, judge

SHOWN = 3
COLUMNS = [
    "kind",
    "block",
    "promised",
    "completeness",
    "purity",
    "floor",
    "coordinates",
    "verdict",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockScore:
    """One block, predicted and measured.

    Attributes:
        kind: where the block comes from.
        block: B, a set of concepts.
        promised: the family identifies B.
        dimension: d(B).
        coordinates: B^, columns of zhat.
        completeness: R2(z_B <- zhat_B^).
        purity: R2(zhat_B^ <- z_B).
        verdict: prediction against measurement.
        reason: for the verdict, in words.
    """

    kind: Kind
    block: Block
    promised: bool
    dimension: int
    coordinates: tuple[int, ...]
    completeness: Score
    purity: Score
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What an encoder recovered, block by block, beside what its captions promised.

    Attributes:
        family: the captions.
        blocks: the measured blocks.
        dependency: [K, K]; row k, column j is the share of the variance of the coordinates of k
            that is lost when the regression from z may not see z_j. NaN where concept k has no
            coordinate. The predicted matrix has a zero wherever this one must be near zero.
        unused: the columns of zhat that no mask opens.
        bar: what the scores had to reach.
        samples: N.
        landmark_error: how far the scores may be off because the regression uses landmarks, as
            measured with half of them; None for a regression without landmarks.
    """

    family: CaptionFamily
    blocks: tuple[BlockScore, ...]
    dependency: Float[np.ndarray, "K K"]
    unused: tuple[int, ...]
    bar: Bar
    samples: int
    landmark_error: float | None

    def table(self) -> pd.DataFrame:
        """One row a block; completeness, purity and floor are averages over coordinates."""
        return pd.DataFrame(
            [
                {
                    "kind": row.kind,
                    "block": row.block,
                    "promised": row.promised,
                    "completeness": row.completeness.average,
                    "purity": row.purity.average,
                    "floor": row.completeness.floor,
                    "coordinates": len(row.coordinates),
                    "verdict": str(row.verdict),
                }
                for row in self.blocks
            ],
            columns=COLUMNS,
        )

    def scores(self) -> pd.DataFrame:
        """One row a coordinate: kind, block, direction, coordinate, r2, linear, floor."""
        return pd.DataFrame(
            [
                {
                    "kind": row.kind,
                    "block": row.block,
                    "direction": direction,
                    "coordinate": column,
                    "r2": score,
                    "linear": line,
                    "floor": floor,
                }
                for row in self.blocks
                for direction, columns, measured in (
                    ("completeness", self.family.space.columns(row.block), row.completeness),
                    ("purity", row.coordinates, row.purity),
                )
                for column, score, line, floor in zip(
                    columns, measured.coordinates, measured.lines, measured.floors, strict=True
                )
            ],
            columns=["kind", "block", "direction", "coordinate", "r2", "linear", "floor"],
        )

    @property
    def as_predicted(self) -> bool:
        """Every promised block was recovered and no other one was."""
        return all(row.verdict.as_predicted for row in self.blocks)

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        promised = [row for row in self.blocks if row.promised]
        good = [row for row in promised if row.verdict is Verdict.IDENTIFIED]
        others = [row for row in self.blocks if not row.promised]
        kept = [row for row in others if row.verdict is Verdict.NOT_IDENTIFIED]
        parts = [f"{len(good)} of {len(promised)} promised blocks were recovered"]
        if others:
            parts.append(f"{len(kept)} of {len(others)} other blocks stayed entangled")
        for verdict in (Verdict.MISSED, Verdict.SURPRISE, Verdict.UNDECIDED):
            rows = [row for row in self.blocks if row.verdict is verdict]
            if rows:
                names = list(dict.fromkeys(_name(self.family, row.block) for row in rows))
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                parts.append(f"{verdict}: {', '.join(names[:SHOWN])}{more}")
        return ("As predicted: " if self.as_predicted else "Not as predicted: ") + (
            "; ".join(parts) + "."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; a score that is not defined is None."""
        return {
            "verdict": self.verdict,
            "as_predicted": self.as_predicted,
            "samples": self.samples,
            "landmark_error": self.landmark_error,
            "threshold": self.bar.threshold,
            "certainty": self.bar.certainty,
            "unused_coordinates": list(self.unused),
            "verdicts": dict(Counter(str(row.verdict) for row in self.blocks)),
            "concepts": list(self.family.space.labels),
            "dependency": [[_number(value) for value in row] for row in self.dependency.tolist()],
            "blocks": [
                {
                    "kind": row.kind,
                    "block": [*map(self.family.space.label, self.family.space.ordered(row.block))],
                    "promised": row.promised,
                    "dimension": row.dimension,
                    "coordinates": list(row.coordinates),
                    "completeness": _score(row.completeness),
                    "purity": _score(row.purity),
                    "verdict": str(row.verdict),
                    "reason": row.reason,
                }
                for row in self.blocks
            ],
        }

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{title}</th>" for title in COLUMNS)
        rows = "".join(
            f"<tr><td>{row.kind}</td><td>{escape(_name(self.family, row.block))}</td>"
            f"<td>{'yes' if row.promised else 'no'}</td>"
            f"<td>{_shown(row.completeness)}</td><td>{_shown(row.purity)}</td>"
            f"<td>{row.completeness.floor:.2f}</td>"
            f"<td>{len(row.coordinates)} for {row.dimension}</td>"
            f"<td title='{escape(row.reason)}'>{row.verdict}</td></tr>"
            for row in self.blocks
        )
        return f"<p>{escape(self.verdict)}</p><table><tr>{head}</tr>{rows}</table>"


def block_recovery(
    z: Tensor | np.ndarray,
    zhat: Tensor | np.ndarray,
    *,
    family: CaptionFamily,
    masks: Tensor | np.ndarray,
    blocks: Iterable[Iterable[Concept]] = (),
    threshold: float = 0.95,
    certainty: float = 0.8,
    regression: Regression | None = None,
    reference: Literal["grid"] | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Recovery:
    """Completeness and purity, held out and beside their floors, for every block of the lattice.

    Args:
        z: true latents [N, d], concepts laid out as in `family.space`.
        zhat: the code [N, D], unmasked; D may differ from d.
        family: the captions C.
        masks: estimated masks [n captions, D], row i for `family.captions[i]`.
        blocks: further blocks to measure.
        threshold: the least R2 of every coordinate of a recovered block.
        certainty: the least share of what the floor leaves that R2 must explain.
        regression: the nonlinear regression, `Ridge()` by default.
        reference: "grid" scores by the protocol of the recovery papers, `Grid()`; slow.
        resamples: bootstrap resamples for the intervals.
        seed: draws the split into fit, choose and test rows, and the resamples.

    Returns:
        The measured blocks with `.table()`, `.verdict`, `.dependency`, `.to_dict()`.

    Raises:
        InputError: shapes that do not agree, fewer than 32 samples, NaN, or soft masks.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> z = np.random.default_rng(0).normal(size=(1000, 3))
    >>> recovery = block_recovery(z, z**3, family=family, masks=family.dimension_masks)
    >>> recovery.table().verdict.value_counts().to_dict()
    {'identified as predicted': 7, 'surprise': 2}
    """
    latents, code = as_samples("z", z), as_samples("zhat", zhat)
    code = code.to(latents.device)
    if latents.shape[1] != family.dimension:
        raise InputError(
            f"z has {latents.shape[1]} columns",
            rule=f"the concepts of the family have {family.dimension} dimensions together",
            fix="give the sizes of the concepts to the family, or all latents to the measurement",
        )
    if len(latents) != len(code):
        raise InputError(
            f"z has {len(latents)} rows and zhat {len(code)}",
            rule="row i of zhat is the code of row i of z",
            fix="encode the same samples",
        )
    for name, value in (("threshold", threshold), ("certainty", certainty)):
        if not 0 < value < 1:
            raise InputError(
                f"{name} is {value}", rule="a bar lies between 0 and 1", fix="such as 0.95"
            )
    coordinates = Coordinates(
        family=family, masks=as_masks(masks, len(family.captions), code.shape[1])
    )
    regressions = Regressions(
        latents=latents,
        code=code,
        regression=regression or (Grid() if reference == "grid" else Ridge()),
        split=Split.of(len(latents), seed=seed, device=latents.device),
        resamples=resamples,
        seed=seed,
    )
    bar = Bar(threshold=threshold, certainty=certainty)
    alive = spread(code) > 0
    return Recovery(
        family=family,
        blocks=tuple(
            _measured(block, family, regressions, bar, alive)
            for block in lattice_blocks(coordinates, blocks)
        ),
        dependency=_dependency(coordinates, regressions),
        unused=tuple(int(i) for i in np.flatnonzero(~coordinates.masks.any(0))),
        bar=bar,
        samples=len(latents),
        landmark_error=regressions.landmark_error(),
    )


def _measured(
    block: LatticeBlock,
    family: CaptionFamily,
    regressions: Regressions,
    bar: Bar,
    alive: Tensor,
) -> BlockScore:
    inside = family.space.columns(block.block)
    members = set(inside)
    outside = [column for column in range(family.dimension) if column not in members]
    floor = regressions.from_latents(outside)
    latents = regressions.latent_targets(inside)
    code = regressions.code_targets(block.coordinates)
    completeness = _scored(
        regressions.from_code(block.coordinates).of(latents),
        floor=floor.of(latents),
        hurdle=tuple(_without(regressions, column) for column in inside),
        ceiling=regressions.from_code(range(regressions.code.shape[1])).of(latents),
    )
    purity = _scored(
        regressions.from_latents(inside).of(code),
        floor=floor.of(code),
        hurdle=(),
        ceiling=regressions.from_latents(range(family.dimension)).of(code),
    )
    verdict, reason = judge(
        promised=block.complete,
        dimension=len(inside),
        coordinates=int(alive[list(block.coordinates)].sum()),
        completeness=completeness,
        purity=purity,
        bar=bar,
    )
    return BlockScore(
        kind=block.kind,
        block=block.block,
        promised=block.promised,
        dimension=len(inside),
        coordinates=block.coordinates,
        completeness=completeness,
        purity=purity,
        verdict=verdict,
        reason=reason,
    )


def _without(regressions: Regressions, column: int) -> float:
    """R2 of one latent from all others."""
    others = [other for other in range(regressions.latents.shape[1]) if other != column]
    return float(regressions.from_latents(others).nonlinear[column])


def _scored(
    explained: Explained, *, floor: Explained, hurdle: tuple[float, ...], ceiling: Explained
) -> Score:
    averages = explained.resampled.nanmean(1)
    if averages.numel() == 0 or bool(averages.isnan().any()):
        interval = (math.nan, math.nan)
    else:
        low, high = averages.quantile(averages.new_tensor([0.025, 0.975])).tolist()
        interval = (low, high)
    floors = floor.nonlinear.tolist()
    return Score(
        coordinates=tuple(explained.nonlinear.tolist()),
        lines=tuple(explained.linear.tolist()),
        floors=tuple(floors),
        hurdles=tuple(map(max, floors, hurdle or floors)),
        ceilings=tuple(ceiling.nonlinear.tolist()),
        interval=interval,
    )


def _dependency(coordinates: Coordinates, regressions: Regressions) -> Float[np.ndarray, "K K"]:
    """Row k, column j: R2(coordinates of k <- z) - R2(coordinates of k <- z without z_j)."""
    family = coordinates.family
    every = range(family.dimension)
    matrix = np.full((len(family.concepts), len(family.concepts)), np.nan)
    targets = [regressions.code_targets(coordinates.of(concept)) for concept in family.concepts]
    full = regressions.from_latents(every).nonlinear
    for column, concept in enumerate(family.concepts):
        withheld = set(family.space.columns({concept}))
        rest = regressions.from_latents([i for i in every if i not in withheld]).nonlinear
        for row, mine in enumerate(targets):
            if mine:
                lost = (full[mine] - rest[mine]).nanmean()
                matrix[row, column] = float(lost.clamp(0, 1))
    return matrix


def _name(family: CaptionFamily, block: Block) -> str:
    return "{" + ", ".join(str(concept) for concept in family.space.ordered(block)) + "}"


def _shown(score: Score) -> str:
    low, high = score.interval
    return f"<span title='95 % {low:.3f} to {high:.3f}'>{score.average:.3f}</span>"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _score(score: Score) -> dict[str, Any]:
    return {
        "average": _number(score.average),
        "worst": _number(score.worst),
        "linear": _number(score.linear),
        "floor": _number(score.floor),
        "certainty": _number(score.certainty),
        "interval": [_number(end) for end in score.interval],
        "coordinates": [_number(value) for value in score.coordinates],
        "linear_coordinates": [_number(value) for value in score.lines],
        "floors": [_number(value) for value in score.floors],
    }

"""Rendered scenes and words: are unions preserved and intersections disentangled in pixels?

Every block of the lattice of 14 captions that name three of 14 concepts each, measured in the code
of held-out pictures, for our method and for CLIP.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pandas as pd
import torch

from experiments.datasets.scenes import Scenes
from experiments.figures.concept_scores import concept_scores
from experiments.harness import Page, Row, Size, Study
from experiments.results.retrieval import encode_labelled, recovered
from experiments.run import Run, trained
from smartclip.evaluate.words import word_effects

BAR = 0.9
# Attributes whose values have an order, so that R2 of their number means what it says.
ORDERED = ("hue", "size", "position", "orientation")
KINDS = ("caption", "union", "intersection", "closure")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One method and seed."""

    method: str
    seed: int


class SceneBlocks(Study[Case]):
    """Blocks of rendered scenes."""

    name: ClassVar[str] = "scenes"
    title: ClassVar[str] = "Scenes: what training reaches in pixels and words"
    hypothesis: ClassVar[str] = (
        "From pixels and words alone our method gives each of 14 concepts coordinates of its own; "
        "CLIP, whose masks are all ones, gives none."
    )
    about: ClassVar[str] = (
        "Two objects and a scene, 14 concepts of 16 discrete dimensions, 64 x 64 pixels; a caption "
        "is words about three neighbouring concepts, so none ever stands alone, and every concept "
        "is an intersection. Models are trained from scratch on fresh pictures "
        "(`experiments/datasets/scenes.py`); the setting of our method was chosen on seeds 0 to 4. "
        "A block is measured on 4,000 held-out pictures: completeness and purity are R2 of a "
        "regression from code to concept and back, averaged over coordinates. A block without "
        "coordinates is not pure. Textures and shapes have three values without an order that are "
        "read as numbers; those of hue, size, position and orientation have an order. The "
        "statements are about continuous latents, so what is measured here goes beyond them."
    )
    seeds: ClassVar[dict[Size, tuple[int, ...]]] = {
        "smoke": (0,),
        "laptop": (5, 6),
        "full": (5, 6, 7, 8, 9),
    }

    def cases(self, size: Size, seeds: Sequence[int], only: Sequence[str]) -> list[Case]:
        return [Case(method=name, seed=seed) for name in (only or ("ours",)) for seed in seeds]

    def measure(self, case: Case, runs: Path, device: torch.device) -> list[Row]:
        data = Scenes(debug=self.debug).load()
        run = Run.of(data, case.method, seed=case.seed)
        done = trained(run, data, runs, device=device, quiet=True)
        held_out = data.labelled(held_out=True)
        assert held_out.known is not None
        code = encode_labelled(done.model, held_out, data)
        known = held_out.known
        effects = word_effects(known.words, known.said, code.mask.numpy())
        return [
            {
                "kind": row.kind,
                "block": " + ".join(map(str, data.family.space.ordered(row.block))),
                "completeness": round(row.completeness.average, 4),
                # No coordinates say nothing else, but they are not a pure code of anything.
                "purity": round(row.purity.average, 4) if row.coordinates else math.nan,
                "coordinates": len(row.coordinates),
                "masks explained by words": round(effects.explained, 4),
            }
            for row in recovered(known, code, data).blocks
            if row.promised
        ]

    def page(self, table: pd.DataFrame) -> Page:
        told = []
        for method, part in table.groupby("method", sort=False):
            unions, crossings = part.loc[part.kind == "union"], ordered_intersections(part)
            seeds = ", ".join(map(str, part.seed.unique()))
            told.append(
                f"{method}, seeds {seeds}: {reached(unions.completeness)} unions are complete to "
                f"{BAR}; of the intersections of attributes with an order "
                f"{reached(crossings.completeness)} are complete and {reached(crossings.purity)} "
                f"pure to {BAR}"
            )
        first = table.loc[table.method == table.method.iloc[0]]
        figure = concept_scores(singles(first), bar=BAR), "completeness and purity of each concept"
        return Page(
            conclusion="; ".join(told) + ".",
            tables=[("Kinds of blocks", by_kind(table)), ("Each concept alone", alone(table))],
            figures={"scenes_concepts": figure},
        )


def singles(table: pd.DataFrame) -> pd.DataFrame:
    """The blocks of one concept: each is an intersection of captions, listed once."""
    one = table.loc[~table.block.str.contains(" + ", regex=False)]
    return one.drop_duplicates(["method", "seed", "block"])


def ordered_intersections(table: pd.DataFrame) -> pd.DataFrame:
    """The intersections whose concepts all have values with an order."""

    def all_ordered(block: str) -> bool:
        return all(concept.split(" ")[-1] in ORDERED for concept in block.split(" + "))

    return table.loc[(table.kind == "intersection") & table.block.map(all_ordered)]


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method and kind of block: mean, and least to greatest over blocks and seeds."""
    return pd.DataFrame(
        {
            "method": method,
            "blocks": kind,
            "per seed": round(len(part) / part.seed.nunique()),
            "completeness": _range(part.completeness),
            f"complete to {BAR}": reached(part.completeness),
            "purity": _range(part.purity),
            f"pure to {BAR}": reached(part.purity),
        }
        for method, own in table.groupby("method", sort=False)
        for kind in KINDS
        if len(part := own.loc[own.kind == kind])
    )


def alone(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method and concept."""
    return pd.DataFrame(
        {
            "method": method,
            "concept": block,
            "completeness": _range(part.completeness),
            "purity": _range(part.purity),
            "coordinates": " ".join(map(str, part.coordinates)),
        }
        for names, part in singles(table).groupby(["method", "block"], sort=False)
        for method, block in [cast(tuple[str, str], names)]
    )


def reached(scores: pd.Series) -> str:
    """How many scores are at the bar."""
    return f"{np.count_nonzero(scores.to_numpy() >= BAR)} of {len(scores)}"


def _range(scores: pd.Series) -> str:
    if scores.isna().all():
        return "none"
    return f"{scores.mean():.3f} ({scores.min():.3f} to {scores.max():.3f})"

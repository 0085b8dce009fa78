"""Does training reach what Theorem 4.3 promises on families that nobody chose anything on?

Families are drawn at random (`simulators.families`): 4 to 8 concepts of 1 to 3 dimensions, 3 to 7
captions, nested ones and prefix chains in their natural share. Choices are made on the development
stream; the page comes from the test stream.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast, get_args

import pandas as pd
import torch

from experiments.datasets.vectors import Vectors
from experiments.figures.generalisation import passed_by_correlation
from experiments.harness import Page, Row, Size, Study
from experiments.intervals import bootstrap_share, wilson
from experiments.run import Run
from experiments.studies.identification import BAR, blocks_reached
from simulators.families import FamilyStream, is_chain, random_family
from smartclip.methods import METHODS
from theory.errors import InputError

CORRELATIONS = (0.0, 0.3, 0.6, 0.8)
STREAMS: tuple[FamilyStream, ...] = get_args(FamilyStream)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One method on the family, generators and initial weights of one seed."""

    method: str
    stream: FamilyStream
    correlation: float
    seed: int


class Generalisation(Study[Case]):
    """Random families under four laws."""

    name: ClassVar[str] = "generalisation"
    title: ClassVar[str] = "Generalisation: caption families that no choice has seen"
    hypothesis: ClassVar[str] = (
        "Our method reaches every promised block in 95 % of the runs at correlations up to 0.6, "
        "in 85 % at 0.8, and on 90 % of prefix chains."
    )
    about: ClassVar[str] = (
        "A seed is a caption family of 4 to 8 concepts with 1 to 3 dimensions each and 3 to 7 "
        "captions, drawn at random; one in six is a chain of prefixes, and others hold nested "
        "captions. It is also the seed of the generators and of the initial weights. Latents are "
        "Gaussian, with one correlation between all concepts. A run passes if every promised block "
        f"reaches completeness and purity of {BAR} on average over coordinates, and no entangled "
        "concept came out alone without a twin; `every coordinate` asks the same of each "
        "coordinate. Nothing was chosen on the test stream. `--only development` runs the other "
        "one. Intervals of runs are Wilson's, those of blocks bootstrap over runs, 95 %."
    )
    seeds: ClassVar[dict[Size, tuple[int, ...]]] = {
        "smoke": (0,),
        "laptop": tuple(range(25)),
        "full": tuple(range(100)),
    }

    def cases(self, size: Size, seeds: Sequence[int], only: Sequence[str]) -> list[Case]:
        for name in only:
            if name not in (*METHODS, *STREAMS):
                raise InputError(
                    f"part {name!r}",
                    rule="the parts are " + ", ".join((*METHODS, *STREAMS)),
                    fix="choose among them",
                )
        methods = [name for name in only if name in METHODS] or ["ours"]
        streams: list[FamilyStream] = [name for name in STREAMS if name in only] or ["test"]
        correlations = CORRELATIONS[2:3] if size == "smoke" else CORRELATIONS
        return [
            Case(method=method, stream=stream, correlation=correlation, seed=seed)
            for method in methods
            for stream in streams
            for seed in seeds
            for correlation in correlations
        ]

    def measure(self, case: Case, runs: Path, device: torch.device) -> list[Row]:
        family = random_family(case.seed, stream=case.stream)
        data = Vectors(
            captions=";".join(",".join(sorted(map(str, one))) for one in family.captions),
            sizes=",".join(
                f"{name}={size}" for name, size in zip(family.concepts, family.sizes, strict=True)
            ),
            dependence=case.correlation,
            mixing=case.seed,
            debug=self.debug,
        ).load()
        about = {"concepts": len(family.concepts), "captions": len(family.captions)}
        found = blocks_reached(Run.of(data, case.method, seed=case.seed), data, device)
        return [about | {"chain": is_chain(family)} | found]

    def page(self, table: pd.DataFrame) -> Page:
        told = []
        for (method, stream), part in _groups(table, ["method", "stream"]):
            chains = part.loc[part.chain]
            told.append(
                f"{method} on the {stream} stream: {part.passed.sum()} of {len(part)} runs passed "
                f"({chains.passed.sum()} of {len(chains)} on chains), {part.reached.sum()} of "
                f"{part.promised.sum()} promised blocks reached, in a median of "
                f"{part.seconds.median():.0f} s a run"
            )
        figure = passed_by_correlation(table)
        return Page(
            conclusion="; ".join(told) + ".",
            tables=[
                ("By correlation", summary(table, ["method", "stream", "correlation"])),
                ("Chains and others", summary(table, ["method", "stream", "chain"])),
                ("Runs that did not pass", missed(table)),
            ],
            figures={"generalisation": (figure, "share of runs that passed, by correlation")},
        )


def summary(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One row a group of runs, with intervals."""
    return pd.DataFrame(
        dict(zip(names, values, strict=True))
        | {
            "runs passed": f"{part.passed.sum()} of {len(part)}",
            "share (95 %)": wilson(int(part.passed.sum()), len(part)),
            "blocks reached (95 %)": bootstrap_share(part.reached, part.promised),
            "every coordinate": bootstrap_share(part.every, part.promised),
            "used / needed": f"{part.used.sum() / part.needed.sum():.2f}",
            "without twin": part["without twin"].sum(),
            "median s": round(part.seconds.median()),
        }
        for values, part in _groups(table, names)
    )


def missed(table: pd.DataFrame) -> pd.DataFrame:
    """Which runs failed, and by how much."""
    rows = table.loc[~table.passed.astype(bool)]
    columns = ["method", "stream", "correlation", "seed", "chain", "reached", "promised"]
    columns += ["least completeness", "least purity", "used", "needed"]
    if rows.empty:
        return pd.DataFrame([{"method": "none"}])
    return rows.loc[:, columns].round(3)


def _groups(
    table: pd.DataFrame, names: list[str]
) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    for values, part in table.groupby(names, sort=False):
        yield cast(tuple[object, ...], values), part

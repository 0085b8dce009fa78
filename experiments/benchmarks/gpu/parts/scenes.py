"""Rendered scenes from pixels and words, trained to the end."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pandas as pd

from experiments.benchmarks.gpu.part import Part, Row
from experiments.harness import in_order
from experiments.studies.scenes import BAR, Case, SceneBlocks, ordered_intersections, reached

SEED = 5


class ScenesToTheEnd(Part):
    """Unions and intersections reached, and seconds."""

    name: ClassVar[str] = "scenes"
    title: ClassVar[str] = "Rendered scenes to the end"
    order: ClassVar[int] = 6
    limit: ClassVar[int] = 200

    def rows(self) -> Iterator[Row]:
        study, case = SceneBlocks(debug=self.pretend), Case(method="ours", seed=SEED)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            rows = study.measure(case, Path(folder), self.device)
        seconds = time.perf_counter() - started
        table = in_order(pd.DataFrame([{"method": "ours", "seed": SEED} | row for row in rows]))
        unions, crossings = table.loc[table.kind == "union"], ordered_intersections(table)
        yield {
            "work": f"scenes, ours, seed {SEED}",
            "seconds": round(seconds),
            f"unions complete to {BAR}": reached(unions.completeness),
            f"ordered intersections complete to {BAR}": reached(crossings.completeness),
            f"ordered intersections pure to {BAR}": reached(crossings.purity),
        }

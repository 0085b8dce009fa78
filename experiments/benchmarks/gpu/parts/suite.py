"""The identification suite, one seed of all families, and whether it says what a CPU says."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import as_completed
from pathlib import Path
from typing import ClassVar

import pandas as pd

from experiments.benchmarks.gpu.clock import rounded
from experiments.benchmarks.gpu.part import Part, Row
from experiments.harness import measured, processes
from experiments.studies.identification import Identification

SEED = 2
WORKERS = 8
ON_CPU = Path(__file__).parents[4] / "docs" / "identification.csv"


class Suite(Part):
    """Blocks reached, and seconds, beside those of a CPU under the same seed."""

    name: ClassVar[str] = "suite"
    title: ClassVar[str] = "The identification suite"
    order: ClassVar[int] = 5
    limit: ClassVar[int] = 150

    def rows(self) -> Iterator[Row]:
        study, workers = Identification(debug=self.pretend), 1 if self.pretend else WORKERS
        cases = study.cases("smoke" if self.pretend else "laptop", [SEED], ())
        on_cpu = _on_cpu()
        with tempfile.TemporaryDirectory() as folder, processes(workers, self.device.type) as pool:
            futures = {
                pool.submit(measured, study, case, Path(folder), self.device.type): case
                for case in cases
            }
            for future in as_completed(futures):
                case, (row,) = futures[future], future.result()
                yield {
                    "family": case.family,
                    "latents": case.latents,
                    "blocks": f"{row['reached']} of {row['promised']}",
                    "on a CPU": on_cpu.get((case.latents, case.family), ""),
                    "seconds to identified": rounded(row["seconds"], 3),
                    "runs at once": workers,
                }


def _on_cpu() -> dict[tuple[str, str], str]:
    """(law, family) -> blocks reached, of the study's own table where it is at hand."""
    if not ON_CPU.exists():
        return {}
    table = pd.read_csv(ON_CPU)
    table = table.loc[(table.method == "ours") & (table.seed == SEED)]
    return {
        (row["latents"], row["family"]): f"{row['reached']} of {row['promised']}"
        for row in table.to_dict("records")
    }

"""A step of many seeds of the vector suite in one program, beside a step of one."""

from collections.abc import Iterator
from typing import ClassVar

from experiments.benchmarks.ensemble import ensemble_step, single_step
from experiments.benchmarks.gpu.clock import peak_gib, rounded, seconds_in_turns
from experiments.benchmarks.gpu.part import Part, Row

FIRST_STEP = 1500


class Together(Part):
    """Ratio at most 4 for 32 seeds."""

    name: ClassVar[str] = "together"
    title: ClassVar[str] = "Seeds of the vector suite trained together"
    order: ClassVar[int] = 4
    limit: ClassVar[int] = 45

    def rows(self) -> Iterator[Row]:
        for count in (2,) if self.pretend else (32, 128):
            many, one = ensemble_step(count, self.device), single_step(self.device)
            rounds = 1 if self.pretend else 15
            seconds = seconds_in_turns(
                [lambda: many(FIRST_STEP), lambda: one(FIRST_STEP)],  # noqa: B023 -- called here
                self.device,
                rounds=rounds,
            )
            yield {
                "work": f"a step of {count} seeds together, B=512",
                "ms": rounded(1e3 * seconds[0]),
                "reference": "a step of one seed",
                "reference ms": rounded(1e3 * seconds[1]),
                "ratio": rounded(seconds[0] / seconds[1], 3),
                "target": "at most 4" if count == 32 else "",
                "GiB": rounded(peak_gib(lambda: many(FIRST_STEP), self.device), 3),  # noqa: B023
            }

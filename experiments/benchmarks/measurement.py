"""One line of a benchmark: our time beside a reference's, in the same process."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """`ratio = seconds / reference_seconds`: below 1 is faster than the reference.

    Attributes:
        work: what was done, with its size.
        seconds: median wall time of one call.
        reference: what it is compared with; empty if there is nothing to compare with.
        reference_seconds: median wall time of the reference; NaN without one.
        target: the figure aimed at, in words.
        note: memory, agreement of the two answers, throughput.
    """

    work: str
    seconds: float
    reference: str = ""
    reference_seconds: float = math.nan
    target: str = ""
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.seconds / self.reference_seconds

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio}


def median_seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time of `call` in seconds, after one call that warms caches."""
    call()
    times: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)

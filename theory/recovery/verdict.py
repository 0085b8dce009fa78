"""Prediction against measurement, for one block: as predicted, missed, surprise or undecided.

A block is recovered when every coordinate of its completeness and purity reaches the threshold.
With dependent latents a wrong code reaches it too: for z_j ~ N(0, 1), z_k = z_j + 0.1 e and
zhat = z_j both scores of block {k} are 0.99. So each R2 is compared with its floor, the R2 of the
same target from the latents outside the block: what the floor leaves unexplained is all that the
block alone can tell, and a score certifies recovery only if it explains most of that rest (derived
here):

    certainty = 1 - (1 - R2) / (1 - hurdle).

With a floor of 0.99 a score of 0.99 explains nothing of the rest, certainty 0; one of 0.999
explains nine tenths of it.

The hurdle is the floor; for completeness it is the R2 of z_i from all other latents where that is
higher, or else a code of one direction would hold a whole block of nearly equal latents.

For zhat = z_k + b z_j the share of purity that is missing is b^2 of what the floor leaves, however
strongly z_k and z_j depend on each other. A score that lacks certainty refutes recovery if other
inputs do better (its ceiling is higher); if nothing does better it leaves the question open.

What is promised has three values, those of `theory.prediction.Promise.complete`. Where the inverse
is promised "locally" only, distant values of z_B may share a code, so that no low completeness
refutes the promise: it is undecided. A leak, or too few coordinates, still does.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from theory.prediction import Complete


class Verdict(StrEnum):
    """What the measurement says about a prediction."""

    IDENTIFIED = "identified as predicted"
    MISSED = "missed"
    NOT_IDENTIFIED = "not identified as predicted"
    SURPRISE = "surprise"
    UNDECIDED = "undecided"

    @property
    def as_predicted(self) -> bool:
        return self in (Verdict.IDENTIFIED, Verdict.NOT_IDENTIFIED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """What a score must reach.

    Attributes:
        threshold: the least R2 of any coordinate, in (0, 1).
        certainty: the least share of what the floor leaves that R2 must explain, in (0, 1).
    """

    threshold: float = 0.95
    certainty: float = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One direction of one block, held out: completeness R2(z_B <- zhat_B) or purity, its converse.

    Higher is better, 1 is perfect, 0 is no better than the mean; a held-out R2 may be negative.

    Attributes:
        coordinates: nonlinear R2 of each target coordinate; NaN where the target is constant.
        lines: linear R2 of the same coordinates.
        floors: R2 of the same coordinates from the latents outside the block.
        hurdles: what the certainty is measured against, at least the floors.
        ceilings: R2 of the same coordinates from the whole code (completeness) or from all latents
            (purity).
        interval: 95 % bootstrap interval of `average` over the test rows, the fit held fixed.
    """

    coordinates: tuple[float, ...]
    lines: tuple[float, ...]
    floors: tuple[float, ...]
    hurdles: tuple[float, ...]
    ceilings: tuple[float, ...]
    interval: tuple[float, float]

    @property
    def vacuous(self) -> bool:
        """There is no target coordinate, so the score is 1 by definition."""
        return not self.coordinates

    @property
    def average(self) -> float:
        return _mean(self.coordinates, empty=1.0)

    @property
    def linear(self) -> float:
        return _mean(self.lines, empty=1.0)

    @property
    def floor(self) -> float:
        return _mean(self.floors, empty=0.0)

    @property
    def worst(self) -> float:
        """The least of the coordinates; 1 without any, NaN if all are constant."""
        known = [value for value in self.coordinates if not math.isnan(value)]
        return min(known, default=1.0 if self.vacuous else math.nan)

    @property
    def certainties(self) -> tuple[float, ...]:
        """1 - (1 - R2) / (1 - hurdle) of each coordinate."""
        return tuple(
            1 - (1 - score) / max(1 - max(hurdle, 0.0), 1e-9)
            for score, hurdle in zip(self.coordinates, self.hurdles, strict=True)
        )

    @property
    def certainty(self) -> float:
        """The least of the certainties; 1 without any, NaN if all are constant."""
        known = [value for value in self.certainties if not math.isnan(value)]
        return min(known, default=1.0 if self.vacuous else math.nan)

    def failure(self, bar: Bar) -> str:
        """Why the score refutes recovery, in words; empty if it does not."""
        rows = zip(self.coordinates, self.hurdles, self.ceilings, self.certainties, strict=True)
        for index, (score, hurdle, ceiling, certainty) in enumerate(rows):
            where = f"{score:.3f} in coordinate {index + 1}"
            span = f"{hurdle:.3f} from other latents and {ceiling:.3f} from all inputs"
            if score < bar.threshold:
                return f"{where} is below {bar.threshold:g}"
            # Half of the shortfall is explained by other inputs, so the regression is not to blame.
            if certainty < bar.certainty and ceiling - score > (1 - score) / 2:
                return f"{where} stands against {span}"
        return ""

    def doubt(self, bar: Bar) -> str:
        """Why a score that reaches the bar decides nothing, in words; empty if it decides."""
        if self.coordinates and math.isnan(self.worst):
            return "has nothing to measure, every target is constant"
        if self.certainty < bar.certainty:
            return f"{self.average:.3f} says little beyond what other latents tell"
        return ""


def _mean(values: tuple[float, ...], *, empty: float) -> float:
    known = [value for value in values if not math.isnan(value)]
    if not values:
        return empty
    return math.fsum(known) / len(known) if known else math.nan


def judge(
    *,
    promised: Complete,
    dimension: int,
    coordinates: int,
    completeness: Score,
    purity: Score,
    bar: Bar,
) -> tuple[Verdict, str]:
    """The verdict on a block and the reason for it in plain words.

    Args:
        promised: whether the family identifies the block ("no"), and how far it promises an inverse
            ("locally" or "globally").
        dimension: d(B).
        coordinates: columns of zhat on the block that are not constant.
        completeness: of the block.
        purity: of the block.
        bar: what the scores must reach.

    >>> def score(floor, ceiling):
    ...     known = {"coordinates": (0.99,), "lines": (0.9,), "interval": (0.98, 1.0)}
    ...     return Score(floors=(floor,), hurdles=(floor,), ceilings=(ceiling,), **known)
    >>> def verdict(score):
    ...     one = {"promised": "globally", "dimension": 1, "coordinates": 1, "bar": Bar()}
    ...     return str(judge(completeness=score, purity=score, **one)[0])
    >>> verdict(score(0.0, 0.99)), verdict(score(0.99, 0.99)), verdict(score(0.99, 1.0))
    ('identified as predicted', 'undecided', 'missed')
    """
    failures: list[str] = []
    if coordinates < dimension:
        failures.append(f"{coordinates} coordinates cannot hold {dimension} dimensions")
    if words := purity.failure(bar):
        failures.append(f"purity {words}")
    lacking = completeness.failure(bar)
    if lacking and not failures and promised == "locally":
        return Verdict.UNDECIDED, (
            f"pure, but completeness {lacking}: the promise is local, and distant values of the "
            "block may share a code"
        )
    if lacking:
        failures.append(f"completeness {lacking}")
    if failures:
        missed = Verdict.NOT_IDENTIFIED if promised == "no" else Verdict.MISSED
        return missed, "; ".join(failures)
    doubts = [
        f"{name} {words}"
        for name, score in (("completeness", completeness), ("purity", purity))
        if (words := score.doubt(bar))
    ]
    if doubts:
        return Verdict.UNDECIDED, "; ".join(doubts)
    found = Verdict.SURPRISE if promised == "no" else Verdict.IDENTIFIED
    return found, "complete and pure"

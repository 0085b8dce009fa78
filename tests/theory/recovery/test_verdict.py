"""The verdict as a table of cases."""

import math

import pytest

from theory.prediction import Complete
from theory.recovery.verdict import Bar, Score, Verdict, judge


def score(*coordinates: float, floor: float = 0.0, ceiling: float | None = None) -> Score:
    return Score(
        coordinates=coordinates,
        lines=coordinates,
        floors=tuple(floor for _ in coordinates),
        hurdles=tuple(floor for _ in coordinates),
        ceilings=tuple(value if ceiling is None else ceiling for value in coordinates),
        interval=(0.0, 1.0),
    )


GOOD, POOR, EMPTY = score(0.99), score(0.6), score()


@pytest.mark.parametrize(
    ("promised", "completeness", "purity", "expected"),
    [
        ("globally", GOOD, GOOD, Verdict.IDENTIFIED),
        ("globally", POOR, GOOD, Verdict.MISSED),
        ("globally", GOOD, POOR, Verdict.MISSED),
        ("no", GOOD, GOOD, Verdict.SURPRISE),
        ("no", GOOD, POOR, Verdict.NOT_IDENTIFIED),
        ("globally", score(0.99, 0.9), GOOD, Verdict.MISSED),
        ("globally", score(0.99, floor=0.98), GOOD, Verdict.UNDECIDED),
        ("no", score(0.99, floor=0.98), GOOD, Verdict.UNDECIDED),
        ("globally", GOOD, score(0.99, floor=0.98, ceiling=0.999), Verdict.MISSED),
        ("globally", score(0.999, floor=0.98), GOOD, Verdict.IDENTIFIED),
        ("globally", score(math.nan), GOOD, Verdict.UNDECIDED),
        ("globally", score(math.nan), POOR, Verdict.MISSED),
        ("globally", score(0.99, math.nan), GOOD, Verdict.IDENTIFIED),
        ("locally", GOOD, GOOD, Verdict.IDENTIFIED),
        ("locally", POOR, GOOD, Verdict.UNDECIDED),
        ("locally", GOOD, POOR, Verdict.MISSED),
        ("locally", POOR, POOR, Verdict.MISSED),
        ("globally", EMPTY, EMPTY, Verdict.IDENTIFIED),
    ],
)
def test_cases(promised: Complete, completeness: Score, purity: Score, expected: Verdict) -> None:
    verdict, reason = judge(
        promised=promised,
        dimension=1,
        coordinates=1,
        completeness=completeness,
        purity=purity,
        bar=Bar(),
    )
    assert verdict is expected
    assert reason


def test_too_few_coordinates_cannot_hold_a_block() -> None:
    verdict, reason = judge(
        promised="locally", dimension=2, coordinates=1, completeness=GOOD, purity=GOOD, bar=Bar()
    )
    assert verdict is Verdict.MISSED
    assert reason == "1 coordinates cannot hold 2 dimensions"


def test_a_leak_of_b_lacks_b_squared_of_certainty_under_any_dependence() -> None:
    """zhat = z_k + b z_j, correlation rho: closed form of purity and its floor."""
    for rho in (0.0, 0.5, 0.9, 0.99):
        for b in (0.1, 0.5, 1.0):
            variance = 1 + b**2 + 2 * b * rho
            purity = 1 - b**2 * (1 - rho**2) / variance
            floor = 1 - (1 - rho**2) / variance
            assert score(purity, floor=floor).certainty == pytest.approx(1 - b**2)

"""The harness of studies: it resumes, keeps what is done, and writes what the numbers say."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from experiments.harness import Page, Row, Size, Study, run_study
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One number."""

    seed: int
    kind: str


class Squares(Study[Case]):
    """Is a square positive?"""

    name: ClassVar[str] = "squares"
    title: ClassVar[str] = "Squares"
    hypothesis: ClassVar[str] = "Every square is positive."
    about: ClassVar[str] = "Numbers are squared."
    seeds: ClassVar[dict[Size, tuple[int, ...]]] = {
        "smoke": (1,),
        "laptop": (1, 2),
        "full": (1, 2, 3),
    }
    measured: ClassVar[list[Case]] = []

    def cases(self, size: Size, seeds: Sequence[int], only: Sequence[str]) -> list[Case]:
        return [Case(seed=seed, kind=kind) for kind in (only or ("a",)) for seed in seeds]

    def measure(self, case: Case, runs: Path, device: torch.device) -> list[Row]:
        self.measured.append(case)
        if case.seed < 0:
            raise InputError("a negative seed", rule="seeds count", fix="give another")
        return [{"power": power, "value": case.seed**power} for power in (1, 2)]

    def page(self, table: pd.DataFrame) -> Page:
        figure, axis = plt.subplots()
        axis.plot(table.value)
        return Page(
            conclusion=f"{(table.value > 0).sum()} of {len(table)} are positive.",
            tables=[("Values", table)],
            figures={"squares": (figure, "values")},
        )


@pytest.fixture(autouse=True)
def forget():
    Squares.measured.clear()


def study(out: Path, **options) -> tuple[pd.DataFrame, Page]:
    return run_study(Squares(), out=out, workers=1, pool=ThreadPoolExecutor, **options)


def test_what_is_done_is_not_run_again(tmp_path: Path):
    out = tmp_path / "squares.md"
    study(out, size="smoke")
    assert [case.seed for case in Squares.measured] == [1]
    table, page = study(out, size="full")
    assert sorted(case.seed for case in Squares.measured) == [1, 2, 3]
    assert table.value.tolist() == [1, 1, 2, 4, 3, 9]
    assert page.conclusion == "6 of 6 are positive."
    assert len(pd.read_csv(tmp_path / "squares.csv")) == 6


def test_the_page_says_what_was_expected_and_what_came_out(tmp_path: Path):
    out = tmp_path / "squares.md"
    study(out, seeds=[2], only=["b"])
    text = out.read_text()
    assert "**Hypothesis.** Every square is positive." in text
    assert "**What came out.** 2 of 2 are positive." in text
    assert "| 2 | b | 2 | 4 |" in text
    assert "](pictures/squares.png)" in text
    assert (tmp_path / "pictures" / "squares.png").read_bytes().startswith(b"\x89PNG")


def test_a_case_that_fails_loses_nothing(tmp_path: Path):
    out = tmp_path / "squares.md"
    with pytest.raises(InputError, match="negative seed"):
        study(out, seeds=[5, -1])
    assert pd.read_csv(tmp_path / "squares.csv").seed.tolist() == [5, 5]
    Squares.measured.clear()
    study(out, seeds=[5])
    assert Squares.measured == []


@pytest.mark.parametrize("options", [{"size": "huge"}, {"seeds": []}])
def test_a_grid_that_makes_no_sense_is_refused(tmp_path: Path, options):
    with pytest.raises(InputError, match=r"size 'huge'|without cases"):
        study(tmp_path / "squares.md", **options)

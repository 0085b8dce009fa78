"""The study over random families: its grid, one case at toy size, and what its page counts."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from experiments.harness import run_study
from experiments.studies.generalisation import CORRELATIONS, Case, Generalisation, summary
from theory.errors import InputError

ROW = {
    "method": "ours",
    "stream": "test",
    "correlation": 0.6,
    "seed": 0,
    "concepts": 5,
    "captions": 4,
    "chain": False,
    "promised": 10,
    "reached": 10,
    "every": 8,
    "entangled but alone": 0,
    "without twin": 0,
    "passed": True,
    "least completeness": 0.97,
    "least purity": 0.98,
    "used": 12,
    "needed": 10,
    "seconds": 30.0,
}


def test_the_grid_is_the_test_stream_unless_the_other_is_asked_for():
    study = Generalisation()
    cases = study.cases("laptop", study.seeds["laptop"], ())
    assert len(cases) == 100
    assert {(case.method, case.stream) for case in cases} == {("ours", "test")}
    assert {case.correlation for case in cases} == set(CORRELATIONS)
    asked = study.cases("laptop", (0,), ("clip", "published", "development"))
    assert {(case.method, case.stream) for case in asked} == {
        ("clip", "development"), ("published", "development"),
    }  # fmt: skip
    with pytest.raises(InputError, match="part 'validation'"):
        study.cases("laptop", (0,), ("validation",))


def test_a_case_is_trained_and_measured(tmp_path: Path):
    case = Case(method="ours", stream="development", correlation=0.3, seed=4)
    (row,) = Generalisation(debug=True).measure(case, tmp_path, torch.device("cpu"))
    assert row.keys() | {"method", "stream", "correlation", "seed"} == ROW.keys()
    assert row["concepts"] == 6
    assert row["reached"] <= row["promised"]


def test_the_page_counts_runs_chains_and_blocks(tmp_path: Path):
    failed = ROW | {"seed": 1, "chain": True, "reached": 7, "passed": False}
    other = ROW | {"method": "clip", "reached": 0, "passed": False, "correlation": 0.0}
    table = pd.DataFrame([ROW, failed, other])
    page = Generalisation().page(table)
    assert page.conclusion == (
        "ours on the test stream: 1 of 2 runs passed (0 of 1 on chains), 17 of 20 promised blocks "
        "reached, in a median of 30 s a run; clip on the test stream: 0 of 1 runs passed (0 of 0 "
        "on chains), 0 of 10 promised blocks reached, in a median of 30 s a run."
    )
    by_law = summary(table, ["method", "correlation"])
    assert by_law["runs passed"].tolist() == ["1 of 2", "0 of 1"]
    assert by_law["share (95 %)"][0] == "50% (9% to 91%)"
    missed = dict(page.tables)["Runs that did not pass"]
    assert missed.method.tolist() == ["ours", "clip"]
    assert page.figures["generalisation"][0].axes


def test_a_table_that_is_full_is_read(tmp_path: Path):
    out = tmp_path / "generalisation.md"
    pd.DataFrame([ROW | {"correlation": law} for law in CORRELATIONS]).to_csv(
        out.with_suffix(".csv"), index=False
    )
    _, page = run_study(Generalisation(), seeds=[0], out=out, workers=1)
    assert "4 of 4 runs passed" in page.conclusion
    assert "none" in out.read_text()

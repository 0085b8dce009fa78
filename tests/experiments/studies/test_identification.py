"""The identification study: families, methods and parts taken away, and what its page counts."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from experiments.datasets.vectors import Vectors
from experiments.studies.identification import (
    WITHOUT,
    Case,
    Identification,
    by_method,
    families,
)
from smartclip.methods import METHODS
from theory import CaptionFamily
from theory.errors import InputError

ROW = {
    "method": "ours",
    "seed": 0,
    "latents": "independent",
    "family": "a: four overlapping",
    "promised": 5,
    "reached": 5,
    "every": 5,
    "entangled but alone": 1,
    "without twin": 0,
    "passed": True,
    "least completeness": 0.97,
    "least purity": 0.98,
    "used": 8,
    "needed": 8,
    "seconds": 3.0,
}


def test_twelve_families_with_the_sizes_that_their_names_say():
    found = families()
    assert len(found) == 12
    for name, (captions, sizes) in found.items():
        family = CaptionFamily.from_captions(captions, sizes=sizes)
        assert set(family.sizes) == ({1, 2, 3} if name.startswith("l") else {2})
    assert len(found["k: every subset of 5"][0]) == 31
    assert len(found["j: smallest for 6"][0]) == 4


def test_the_grid_of_a_size():
    study = Identification()
    assert len(study.cases("laptop", (2,), ())) == 24
    assert len(study.cases("laptop", (2, 3), ("clip", "no sparsity"))) == 96
    assert len(study.cases("smoke", (0,), ())) == 1
    with pytest.raises(InputError, match="no masks"):
        study.cases("laptop", (2,), ("no masks",))


def test_each_part_that_is_taken_away_is_away():
    ours = Vectors().method("ours")
    found = {name: change(ours) for name, change in WITHOUT.items()}
    assert found["own negatives"].objective.similarity == "own_likelihood_ratio"
    for phase in found["no sparsity"].phases:
        assert phase.sparsity == phase.budget == 0
    assert all(phase.isolate_every is None for phase in found["no isolation"].phases)
    assert all(phase.decorrelation == 0 for phase in found["no decorrelation"].phases)
    for changed in found.values():
        assert [phase.steps for phase in changed.phases] == [phase.steps for phase in ours.phases]


@pytest.mark.parametrize("method", ["clip", "no isolation"])
def test_a_case_is_trained_and_measured(method: str, tmp_path: Path):
    case = Case(method=method, seed=3, latents="independent", family="i: disjoint")
    (row,) = Identification(debug=True).measure(case, tmp_path, torch.device("cpu"))
    assert row.keys() | {"method", "seed", "latents", "family"} == ROW.keys()
    assert (row["promised"], row["needed"]) == (5, 8)
    if method == "clip":
        assert (row["used"], row["passed"]) == (16, False)


def test_shares_come_with_intervals():
    failed = ROW | {"seed": 1, "reached": 4, "passed": False}
    clip = ROW | {"method": "clip", "reached": 0, "passed": False}
    table = pd.DataFrame([ROW, failed, clip])
    page = Identification().page(table)
    assert page.conclusion == (
        "ours: 1 of 2 runs passed, 9 of 10 promised blocks reached; "
        "clip: 0 of 1 runs passed, 0 of 5 promised blocks reached."
    )
    rows = by_method(table).set_index("method")
    # Wilson's interval of 1 of 2, and of 0 of 1.
    assert rows.loc["ours", "share (95 %)"] == "50% (9% to 91%)"
    assert rows.loc["ours", "promised blocks reached (95 %)"] == "90.0% (80.0% to 100.0%)"
    assert rows.loc["clip", "share (95 %)"] == "0% (0% to 79%)"


def test_every_method_may_be_asked_for():
    cases = Identification().cases("smoke", (0,), (*METHODS, *WITHOUT))
    assert [case.method for case in cases] == [*METHODS, *WITHOUT]

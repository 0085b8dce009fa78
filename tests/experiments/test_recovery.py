"""Training to convergence: what is promised comes out, and CLIP's code separates nothing.

A minute on two cores, so marked `recovery`: run it with `pytest -m recovery`.
"""

from pathlib import Path

import pytest
import torch

from experiments.studies.identification import Case, Identification

FAMILIES = ("f: two triples", "i: disjoint")


def measured(method: str, family: str, folder: Path) -> dict[str, object]:
    case = Case(method=method, seed=2, latents="independent", family=family)
    (row,) = Identification().measure(case, folder, torch.device("cpu"))
    return row


@pytest.mark.recovery
@pytest.mark.parametrize("family", FAMILIES)
def test_every_promised_block_is_recovered(family: str, tmp_path: Path):
    row = measured("ours", family, tmp_path)
    assert row["reached"] == row["promised"] >= 5
    assert row["passed"] is True
    assert row["least completeness"] >= 0.95
    assert row["least purity"] >= 0.95


@pytest.mark.recovery
@pytest.mark.parametrize("family", FAMILIES)
def test_clip_recovers_no_block_but_that_of_all_concepts(family: str, tmp_path: Path):
    row = measured("clip", family, tmp_path)
    assert row["reached"] <= 1
    assert row["passed"] is False
    assert row["least purity"] < 0.8

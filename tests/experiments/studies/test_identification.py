"""The identification suite: its families and its page; training them is a study, not a test."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from experiments.recipes.vectors import identifying
from experiments.studies import identification
from experiments.studies.identification import Run, families, measure, suite
from experiments.studies.identification_page import page
from smartclip.towers.mlp import MLPConfig
from theory import CaptionFamily, predict
from theory.errors import InputError


def short(*, seed):
    """The setting of the suite, in seconds."""
    return replace(identifying(seed=seed), steps=8, refine_steps=2, batch_size=32)


def test_twelve_families_predict_what_the_theory_says_of_them():
    alone = {
        name: len(predict(CaptionFamily.from_captions(captions, sizes=sizes)).alone)
        for name, (captions, sizes) in families().items()
    }
    assert len(alone) == 12
    assert alone["a: four overlapping"] == 5
    assert alone["d: prefix chain of 5"] == 1
    assert alone["h: star"] == 1
    assert alone["i: disjoint"] == 0
    assert alone["j: smallest for 6"] == 6


ROW = {
    "method": "whole",
    "seed": 0,
    "latents": "independent",
    "family": "i: disjoint",
    "promised": 5,
    "reached": 5,
    "entangled but alone": 0,
    "without twin": 0,
    "passed": True,
    "least completeness": 0.99,
    "least purity": 0.98,
    "used": 8,
    "needed": 8,
    "seconds": 20.4,
}


def test_the_page_counts_what_passed():
    failed = ROW | {"seed": 1, "reached": 4, "passed": False}
    clip = ROW | {"method": "clip", "reached": 0, "passed": False}
    text = page(pd.DataFrame([ROW, failed, clip]), picture=Path("a.png"), store="a.csv")
    assert (
        "**1 of 2 runs of the whole recipe passed; 9 of 10 promised blocks were reached.**" in text
    )
    # Wilson's interval of 1 of 2, and of 0 of 1.
    assert "| whole | independent | 2 | 1 of 2 | 50% (9% to 91%) | 90.0% (80.0% to 100.0%)" in text
    assert "| clip | independent | 1 | 0 of 1 | 0% (0% to 79%) | 0.0% (0.0% to 0.0%)" in text


def test_a_suite_that_was_stopped_trains_only_what_is_missing(tmp_path, monkeypatch):
    asked = []

    def found(run):
        asked.append(run)
        return ROW | {"seed": run.seed, "latents": run.latents, "family": run.family}

    monkeypatch.setattr(identification, "measure", found)
    out = tmp_path / "page.md"
    pd.DataFrame([ROW | {"used": 7}]).to_csv(tmp_path / "page.csv", index=False)
    table = suite(seeds=[0], out=out, pool=ThreadPoolExecutor)
    assert len(asked) == 23
    assert len(table) == len(pd.read_csv(tmp_path / "page.csv")) == 24
    assert table.used.tolist() == [7] + 23 * [8]
    assert "24 of 24 runs" in out.read_text()
    assert (tmp_path / "pictures" / "page.png").read_bytes().startswith(b"\x89PNG")
    suite(seeds=[0], out=out, pool=ThreadPoolExecutor)
    assert len(asked) == 23


def test_a_run_is_measured_with_its_own_recipe(monkeypatch):
    monkeypatch.setattr(identification, "identifying", short)
    run = Run(method="clip", seed=3, latents="independent", family="i: disjoint")
    recipe = run.recipe()
    assert (recipe.all_open, recipe.seed, recipe.train.seed) == (True, 3, 3)
    small = replace(recipe, samples=256, tower=MLPConfig(width=8, depth=1))
    monkeypatch.setattr(Run, "recipe", lambda self: small)
    row = measure(run)
    assert row.keys() == ROW.keys()
    assert (row["promised"], row["needed"], row["used"]) == (5, 8, 16)
    assert row["passed"] is False


def test_an_unknown_ablation_is_named(tmp_path):
    with pytest.raises(InputError, match="no masks"):
        suite(seeds=[0], without=["no masks"], out=tmp_path / "page.md")

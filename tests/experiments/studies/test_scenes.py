"""The study of scenes: what it counts; a run that is done is read and not trained again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from experiments.harness import run_study
from experiments.studies.scenes import SceneBlocks, by_kind, ordered_intersections, singles


def row(kind, block, completeness, purity=1.0, seed=0):
    return {
        "method": "ours",
        "seed": seed,
        "kind": kind,
        "block": block,
        "completeness": completeness,
        "purity": purity,
        "coordinates": 2,
    }


TABLE = pd.DataFrame(
    [
        row("union", "left shape + left hue + left size + light", 0.95),
        row("union", "left hue + left size", 0.5),
        row("intersection", "left hue + left size", 0.92, 0.8),
        row("intersection", "left shape + left hue", 0.0, float("nan")),
        row("intersection", "right orientation", 0.97, 0.96),
        row("closure", "right orientation", 0.97, 0.96),
        row("intersection", "right orientation", 0.87, 0.96, seed=1),
    ]
)


def test_attributes_without_an_order_are_left_out_of_that_count():
    assert ordered_intersections(TABLE).block.tolist() == [
        "left hue + left size",
        "right orientation",
        "right orientation",
    ]


def test_a_concept_alone_is_listed_once_a_seed():
    assert singles(TABLE)[["block", "seed"]].to_numpy().tolist() == [
        ["right orientation", 0],
        ["right orientation", 1],
    ]


def test_kinds_are_counted_against_the_bar():
    table = by_kind(TABLE).set_index("blocks")
    assert table.loc["union", "complete to 0.9"] == "1 of 2"
    assert table.loc["intersection", "complete to 0.9"] == "2 of 4"
    assert table.loc["intersection", "pure to 0.9"] == "2 of 4"
    assert table.loc["intersection", "purity"] == "0.907 (0.800 to 0.960)"
    assert table.loc["union", "completeness"] == "0.725 (0.500 to 0.950)"


def test_the_study_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out, runs = tmp_path / "docs" / "scenes.md", tmp_path / "runs"
    table, page = run_study(
        SceneBlocks(debug=True), seeds=[4], only=["clip"], out=out, runs=runs, workers=1,
        pool=ThreadPoolExecutor,
    )  # fmt: skip
    assert set(table.kind) >= {"caption", "union", "intersection"}
    assert page.conclusion.startswith("clip, seeds 4: ")
    assert (out.parent / "pictures" / "scenes_concepts.png").exists()
    (metrics,) = runs.glob("scenes-clip-*/metrics.jsonl")
    trained = metrics.stat().st_mtime_ns
    out.with_suffix(".csv").unlink()
    again, _ = run_study(
        SceneBlocks(debug=True), seeds=[4], only=["clip"], out=out, runs=runs, workers=1,
        pool=ThreadPoolExecutor,
    )  # fmt: skip
    assert metrics.stat().st_mtime_ns == trained
    pd.testing.assert_frame_equal(table, again)

"""The study of scenes: what it counts; a run that is done is read and not trained again."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from experiments.recipes import scenes as recipe_of_scenes
from experiments.recipes.scenes import scenes
from experiments.studies import scenes as study_of_scenes
from experiments.studies.scenes import by_kind, ordered_intersections, singles, study
from smartclip.train.loop import METRICS


def row(kind, block, completeness, purity=1.0, seed=0):
    return {
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


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(study_of_scenes, "scenes", lambda *, seed: scenes(seed=seed).debug())
    monkeypatch.setattr(recipe_of_scenes, "HELD_OUT", 500)


def test_a_study_in_small(small, tmp_path):
    out, root = tmp_path / "docs" / "page.md", tmp_path / "runs"
    table = study(seeds=[4], out=out, root=root, workers=1, pool=ThreadPoolExecutor)
    assert set(table.kind) >= {"caption", "union", "intersection"}
    kept = pd.read_csv(out.with_suffix(".csv"))
    np.testing.assert_allclose(kept.completeness, table.completeness, atol=1e-4)
    text = out.read_text()
    for name in ("page_concepts.png", "page_words.png"):
        assert f"pictures/{name}" in text
        assert (out.parent / "pictures" / name).read_bytes().startswith(b"\x89PNG")
    (metrics,) = root.glob(f"scenes-*/smartclip/{METRICS}")
    trained = metrics.stat().st_mtime_ns
    again = study(seeds=[4], out=out, root=root, workers=1, pool=ThreadPoolExecutor)
    assert metrics.stat().st_mtime_ns == trained
    pd.testing.assert_frame_equal(table, again)
    settings = json.loads((metrics.parent.parent / "config.json").read_text())
    assert settings == json.loads(json.dumps(scenes(seed=4).debug().to_dict()))

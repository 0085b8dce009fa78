"""The emoji study at toy size: every method, three kinds of held-out pictures, and what is told."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.datasets.emoji import GALLERIES
from experiments.harness import run_study
from experiments.studies.emoji import EmojiComparison, by_group, difference, scores
from smartclip.data.emoji import EmojiData
from smartclip.evaluate.retrieval import Recall


def test_groups_are_counted_together():
    hits = np.array([[1.0, 1, 1], [0, 0, 1], [0.5, 1, 1]])
    recall = Recall(
        ks=(1, 5, 10), hits=hits, chance=np.array([0.1, 0.5, 1.0]),
        ranks=np.array([1.0, 6, 1.5]), queries=np.array([0, 1, 3]), unanswerable=1,
    )  # fmt: skip
    rows = by_group(recall, ["bear", "bear", "cat", "dog"])
    assert [(r["group"], r["queries"], r["answered@1"], r["answered@10"]) for r in rows] == [
        ("bear", 2, 1.0, 2.0),
        ("dog", 1, 0.5, 1.0),
    ]


def test_a_difference_is_paired_by_group_and_seed():
    rows = [
        {"seed": seed, "reading": reading, "group": group, "queries": 4, "answered@1": hits}
        for seed in (0, 1)
        for group in range(30)
        for reading, hits in (("one", 3.0), ("other", 1.0))
    ]
    gain = difference(pd.DataFrame(rows), "one", "other")
    assert (gain.mean, gain.low, gain.high) == pytest.approx((0.5, 0.5, 0.5))
    assert gain.decided


@pytest.fixture
def small(emoji_twin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(EmojiData, "load", classmethod(lambda *_: emoji_twin))


def test_the_study_in_small(small, tmp_path: Path):
    out = tmp_path / "emoji.md"
    table, page = run_study(
        EmojiComparison(debug=True), seeds=[0, 1], only=["ours", "clip"], out=out,
        runs=tmp_path / "runs", workers=1, pool=ThreadPoolExecutor,
    )  # fmt: skip
    assert set(table["held out"]) == set(GALLERIES.values())
    shown = scores(table)
    assert len(shown) == 3 * 2 * 3 * 2  # galleries, directions, readings, seeds
    assert shown["R@1"].between(0, 100).all()
    assert set(shown.reading) == {"SmartCLIP, masked", "SmartCLIP, unmasked", "CLIP"}
    follows = page.tables[2][1]
    assert follows.method.unique().tolist() == ["ours"]
    assert "Mask overlap correlates" in page.conclusion
    text = out.read_text()
    assert "SmartCLIP, masked - CLIP" in text
    assert (tmp_path / "pictures" / "emoji_comparison.png").read_bytes().startswith(b"\x89PNG")

"""Digits from end to end at toy size: what is written, and what is said of methods side by side."""

import json

import pytest
import torch

from experiments.datasets.digits import Digits
from experiments.results.retrieval import Comparison
from experiments.run import train_and_measure

METHODS = ("ours", "clip", "long-clip")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    root = tmp_path_factory.mktemp("runs")
    done = train_and_measure(
        Digits(debug=True), METHODS, root, seed=3, device=torch.device("cpu"), quiet=True
    )
    assert isinstance(done, Comparison)
    return done


def test_retrieval_of_all_methods_beside_chance(result: Comparison):
    table = result.table()
    readings = ["SmartCLIP, masked", "SmartCLIP, unmasked", "CLIP", "Long-CLIP"]
    assert list(dict.fromkeys(table["model"])) == readings
    assert {"R@1", "R@5", "R@10", "chance@1", "chance@10"} <= set(table.columns)
    # 1,000 queries, each right for about 1 % of the scenes by chance.
    assert table["chance@1"].between(0.5, 2).all()


def test_what_is_kept(result: Comparison):
    path = result.folder.path
    kept = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert {
        "config.json", "versions.json", "result.json", "tokenizer.json",
        "metrics.jsonl", "checkpoint.safetensors",
        "figures/sheet.png", "figures/retrieval.png", "figures/readout.png",
        "figures/masks.png", "figures/training.png",
    } <= kept  # fmt: skip
    found = json.loads((path / "result.json").read_text())
    assert found["readout"].keys() == {"SmartCLIP", "CLIP", "Long-CLIP"}
    assert found["gain_at_1"]["handwriting never seen"].keys() == {"CLIP", "Long-CLIP"}


def test_every_method_beside_is_named_in_the_verdict(result: Comparison):
    told = result.section().verdict
    assert "SmartCLIP beside CLIP: " in told
    assert "SmartCLIP beside Long-CLIP: " in told


def test_masks_are_hard_after_training(result: Comparison):
    assert set(result.code.mask.unique().tolist()) <= {0.0, 1.0}
    assert result.readouts["CLIP"].coordinates == (0, 0, 0, 0)

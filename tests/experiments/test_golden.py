"""The numbers of our method stay what they were: losses of a few steps, written down once.

The figures were made by the code before methods had phases. A change that moves them changes what
is trained; then it says so in the changelog, and new figures are written.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.datasets.dataset import Dataset
from experiments.datasets.digits import Digits
from experiments.datasets.scenes import Scenes
from experiments.datasets.vectors import Vectors
from experiments.run import Run, trained
from smartclip.train.config import TrainConfig
from smartclip.train.log import read_metrics
from smartclip.train.method import Method
from smartclip.train.phases import Phase

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


def logged(run: Run, folder: Path) -> Path:
    data = run.data.load()
    return trained(run, data, folder, device=torch.device("cpu"), quiet=True).folder.path


def assert_golden(name: str, folder: Path) -> None:
    rows = read_metrics(folder / "metrics.jsonl")
    found = [[row[column] for column in GOLDEN["columns"]] for row in rows]
    assert len(found) == len(GOLDEN[name])
    for row, golden in zip(found, GOLDEN[name], strict=True):
        assert row == pytest.approx(golden, rel=5e-5, abs=1e-6)


def warmed(method: Method, steps: int) -> Method:
    """The method with another warm-up of its first phase."""
    first, *others = method.phases
    return replace(method, phases=(replace(first, warm_up=steps), *others))


def run_of(data: Dataset, method: Method, **changes: int) -> Run:
    return Run(data=data, method=method, config=replace(data.config(0), log_every=1, **changes))


def test_vectors(tmp_path: Path):
    data = Vectors(dependence=0.6)
    run = Run(
        data=data,
        method=warmed(data.method("ours", 48), 10),
        config=TrainConfig(batch_size=64, log_every=1),
    )
    assert_golden("vectors", logged(run, tmp_path))


def test_digits(tmp_path: Path):
    data = Digits(debug=True)
    run = run_of(data, warmed(data.method("ours", 20), 5))
    assert_golden("digits", logged(run, tmp_path))


def test_scenes(tmp_path: Path):
    data = Scenes(debug=True)
    method = data.method("ours", 10_000)
    held, _, specialise, settle, refine = method.phases
    steps: list[tuple[Phase, int]] = [(held, 9), (specialise, 8), (settle, 3), (refine, 6)]
    assert method.captions_first is not None
    method = replace(
        method,
        phases=tuple(replace(phase, steps=count) for phase, count in steps),
        captions_first=warmed(method.captions_first, 2),
    )
    folder = logged(run_of(data, warmed(method, 2)), tmp_path)
    assert_golden("scenes", folder)
    assert_golden("scenes captions", folder / "captions")

"""A run: its folder, and a process that is killed and started again."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.datasets.vectors import Vectors
from experiments.results.blocks import Blocks
from experiments.run import Run, train_and_measure, trained
from smartclip.train.checkpoint import read_checkpoint

CPU = torch.device("cpu")
OPTIONS = Vectors(debug=True, captions="a,b;b,c", sizes="b=2", samples=128)

# Trains the twin of a small world, and stands still at a step until it is killed.
DYING = """
import sys, time, torch
from pathlib import Path
from experiments.datasets.vectors import Vectors
from experiments.run import train_and_measure
from smartclip.train import source

batch = source.WorldSource.batch
def standing(self, step, size, device):
    if step == 17:
        print("standing", flush=True)
        time.sleep(600)
    return batch(self, step, size, device)
source.WorldSource.batch = standing
options = Vectors(debug=True, captions="a,b;b,c", sizes="b=2", samples=128)
train_and_measure(
    options, ["ours"], Path(sys.argv[1]), seed=2, device=torch.device("cpu"), quiet=True
)
"""


def run(root: Path, options: Vectors = OPTIONS, seed: int = 2) -> Blocks:
    done = train_and_measure(options, ["ours"], root, seed=seed, device=CPU, quiet=True)
    assert isinstance(done, Blocks)
    return done


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    return run(tmp_path_factory.mktemp("whole"))


def test_a_killed_process_goes_on_to_the_same_weights(whole: Blocks, tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "standing\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode != 0
    (folder,) = tmp_path.iterdir()
    assert read_checkpoint(folder / "checkpoint.safetensors")[0]["step"] == "16"
    assert not (folder / "result.json").exists()

    again = run(tmp_path)
    assert again.folder.path == folder
    weights = [
        read_checkpoint(done.folder.path / "checkpoint.safetensors")[1] for done in (whole, again)
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    results = [(done.folder.path / "result.json").read_bytes() for done in (whole, again)]
    assert results[0] == results[1]


def test_another_seed_is_another_run(whole: Blocks, tmp_path: Path):
    other = run(tmp_path, seed=3)
    assert other.folder.path.name != whole.folder.path.name
    assert not torch.equal(other.code.image, whole.code.image)


def test_training_does_not_move_the_random_numbers_of_others(tmp_path: Path):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    run(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_is_done_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = OPTIONS.load()
    asked = Run.of(data, "clip", seed=1)
    first = trained(asked, data, tmp_path, device=CPU, quiet=True)
    monkeypatch.setattr("smartclip.train.loop._step", None)
    again = trained(asked, data, tmp_path, device=CPU, quiet=True)
    assert first.folder == again.folder
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_a_folder_holds_all_that_the_numbers_depend_on(whole: Blocks, tmp_path: Path):
    config = json.loads((whole.folder.path / "config.json").read_text())
    assert config["data"] == "vectors"
    assert config["options"]["captions"] == "a,b;b,c"
    assert config["method"]["phases"][0]["scale"] == 0.5
    assert config["training"]["seed"] == 2
    data = OPTIONS.load()
    asked = Run.of(data, "ours", seed=2)
    names = {asked.folder(tmp_path, data).path.name}
    longer = replace(asked, method=asked.method.lasting(30))
    warmer = replace(asked, config=replace(asked.config, learning_rate=1e-3))
    names |= {other.folder(tmp_path, data).path.name for other in (longer, warmer)}
    assert len(names) == 3
    assert whole.folder.path.name in names

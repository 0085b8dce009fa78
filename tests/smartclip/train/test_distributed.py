"""Several gloo processes against one: loss, gradients, curves, resuming, preemption; in float64."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from smartclip.train.checkpoint import read_checkpoint
from smartclip.train.cost import SPEEDS
from smartclip.train.log import read_metrics
from smartclip.train.loop import CHECKPOINT, METRICS, VALIDATION
from theory.errors import InputError

WORKER = Path(__file__).with_name("worker.py")
MODES = ("plain", "accumulated", "chunked", "all")


def work(folder, processes, *jobs, device="cpu", warnings="error"):
    """Run jobs in as many processes; what they print is shown where they fail."""
    command = [sys.executable, "-W", warnings, str(WORKER), str(folder), str(processes), *jobs]
    environment = os.environ | {"SMARTCLIP_TEST_DEVICE": device}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stderr


def result(folder):
    return json.loads((folder / "result.json").read_text())


def assert_same_curve(folder, reference, *, tolerance=1e-5):
    for name in (METRICS, VALIDATION):
        lines, expected = read_metrics(folder / name), read_metrics(reference / name)
        assert len(lines) == len(expected) > 0
        for line, wanted in zip(lines, expected, strict=True):
            for key in line.keys() - set(SPEEDS):
                assert line[key] == pytest.approx(wanted[key], abs=tolerance), (key, line["step"])
    assert result(folder) == pytest.approx(result(reference), abs=tolerance)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The reference: one process, the whole batch at once."""
    folder = tmp_path_factory.mktemp("one")
    work(folder, 1, "curve@curve:ddp:plain")
    return folder / "curve"


def test_two_processes_compute_what_one_does(one, tmp_path):
    work(tmp_path, 2, "loss", "curve@ddp:ddp:accumulated", "curve@fsdp:fsdp:all")
    assert result(tmp_path / "loss") < 1e-6
    for parallel in ("ddp", "fsdp"):
        assert_same_curve(tmp_path / parallel, one)


@pytest.mark.distributed
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_loss_curve_does_not_depend_on_how_the_work_is_spread(one, tmp_path, processes):
    jobs = [f"curve@{p}-{mode}:{p}:{mode}" for p in ("ddp", "fsdp") for mode in MODES]
    work(tmp_path, processes, "loss", *jobs)
    assert result(tmp_path / "loss") < 1e-6
    for parallel in ("ddp", "fsdp"):
        for mode in MODES:
            assert_same_curve(tmp_path / f"{parallel}-{mode}", one)


@pytest.mark.distributed
def test_what_the_loss_carries_does_not_depend_on_it_either(tmp_path):
    work(tmp_path, 1, "carrying@one:ddp:plain")
    work(tmp_path, 2, "carrying@ddp:ddp:all", "carrying@fsdp:fsdp:plain")
    for parallel in ("ddp", "fsdp"):
        assert_same_curve(tmp_path / parallel, tmp_path / "one")
    assert read_metrics(tmp_path / "one" / METRICS)[-1]["keep_price"] > 0


@pytest.mark.slow
def test_compiled_towers_compute_the_same(one, tmp_path):
    # The compiler warns of itself.
    work(tmp_path, 1, "curve@compiled:ddp:compiled", warnings="ignore")
    assert_same_curve(tmp_path / "compiled", one)


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((2, "ddp"), (4, "ddp")),
        ((2, "fsdp"), (4, "fsdp")),
        ((4, "fsdp"), (2, "fsdp")),
        ((2, "fsdp"), (1, "ddp")),
        ((1, "ddp"), (2, "fsdp")),
        ((2, "fsdp"), (2, "ddp")),
    ],
    ids=str,
)
def test_a_run_continues_on_other_processes(one, tmp_path, before, after):
    work(tmp_path, before[0], f"dying@run:{before[1]}")
    assert len(read_metrics(tmp_path / "run" / METRICS)) == 12
    work(tmp_path, after[0], f"continuing@run:{after[1]}")
    lines, expected = read_metrics(tmp_path / "run" / METRICS), read_metrics(one / METRICS)
    assert [line["loss"] for line in lines] == pytest.approx(
        [line["loss"] for line in expected], abs=1e-5
    )
    kept = [path.name for path in (tmp_path / "run").iterdir() if "checkpoint" in path.name]
    sharded = after[0] > 1 and after[1] == "fsdp"
    assert kept == ["checkpoint-00000020.sharded" if sharded else CHECKPOINT]


@pytest.mark.distributed
def test_a_sharded_checkpoint_that_is_not_whole_is_named(tmp_path):
    work(tmp_path, 2, "dying@run:fsdp")
    whole = tmp_path / "run" / "checkpoint-00000010.sharded"
    header, tensors = read_checkpoint(whole)
    assert header["step"] == "10"
    assert "model/image_tower.layers.1.1.weight" in tensors
    cut, lacking = tmp_path / "cut.sharded", tmp_path / "lacking.sharded"
    for copy in (cut, lacking):
        shutil.copytree(whole, copy)
    shard = next(cut.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-100])
    next(lacking.glob("*.safetensors")).unlink()
    for copy in (cut, lacking):
        with pytest.raises(InputError, match=f"{copy.name} cannot be read as a checkpoint"):
            read_checkpoint(copy)


@pytest.mark.distributed
def test_a_notice_to_one_process_stops_all(tmp_path):
    said = work(tmp_path, 2, "preempted")
    assert "stopped by SIGTERM after step 10" in said
    assert "give the same command again" in said
    assert result(tmp_path / "preempted") == 128 + 15
    assert read_checkpoint(tmp_path / "preempted" / CHECKPOINT)[0]["step"] == "10"


@pytest.mark.distributed
def test_torchrun_passes_a_notice_on(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(WORKER), str(tmp_path), "torchrun", "endless"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while len(read_metrics(tmp_path / "endless" / METRICS)) < 5:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    step = int(read_checkpoint(tmp_path / "endless" / CHECKPOINT)[0]["step"])
    assert f"stopped by SIGTERM after step {step}" in said
    assert step % 10 == 0, "two processes agree every ten steps"


@pytest.mark.gpu
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_gpus_compute_what_one_does(tmp_path, parallel):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    work(tmp_path, 1, "curve@one:ddp:plain", device="cuda")
    jobs = [f"curve@{mode}:{parallel}:{mode}" for mode in MODES]
    work(tmp_path, 2, "loss", *jobs, device="cuda")
    assert result(tmp_path / "loss") < 1e-6
    for mode in MODES:
        assert_same_curve(tmp_path / mode, tmp_path / "one")


@pytest.mark.gpu
def test_one_gpu_in_parts_computes_what_it_does_at_once(tmp_path):
    work(tmp_path, 1, "curve@one:ddp:plain", "curve@all:ddp:all", device="cuda")
    assert_same_curve(tmp_path / "all", tmp_path / "one")


@pytest.mark.parametrize(
    "kills", [2, pytest.param(20, marks=pytest.mark.slow)], ids=lambda kills: f"{kills} kills"
)
def test_kill_9_at_any_moment_changes_nothing(tmp_path, kills):
    command = [sys.executable, "-W", "error", str(WORKER), str(tmp_path), str(kills), "kill", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "kills.json").read_text())
    assert told["starts"] == kills + 1
    assert len(set(told["saved"])) > kills // 3, "the deaths came at different steps"
    whole, killed = (
        read_checkpoint(tmp_path / name / CHECKPOINT)[1] for name in ("whole", "killed")
    )
    assert whole.keys() == killed.keys()
    for name, tensor in whole.items():
        assert tensor.equal(killed[name]), name
    lines = [read_metrics(tmp_path / name / METRICS) for name in ("whole", "killed")]
    for line in lines[0] + lines[1]:
        for name in SPEEDS:
            del line[name]
    assert lines[0] == lines[1]
    left = sorted(path.name for path in (tmp_path / "killed").iterdir() if path.is_file())
    assert left == [".lock", CHECKPOINT, "cost.json", METRICS]

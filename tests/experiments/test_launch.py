"""The launch scripts: one machine for real, Slurm with stand-ins for its commands."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from smartclip.train.cost import SPEEDS
from smartclip.train.log import read_metrics

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "experiments" / "launch"
TINY = ("vectors", "--captions", "a,b;b", "--steps", "20", "--device", "cpu", "--seed", "3")
STAND_INS = {
    # Says what it was asked, and starts it once for each of $STARTED nodes.
    "srun": 'printf "%s\\n" "$@" > "$TOLD/srun"\n'
    'pids=; for _ in $(seq "$STARTED"); do "$@" & pids="$pids $!"; done\n'
    'code=0; for pid in $pids; do wait "$pid" || code=$?; done; exit "$code"',
    "scontrol": 'if [ "$1" = show ]; then printf "%s\\n" $3\n'
    'else printf "%s\\n" "$@" > "$TOLD/scontrol"; fi',
}


@pytest.fixture
def cluster(tmp_path):
    """An environment in which Slurm's commands are stand-ins."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, body in STAND_INS.items():
        (place / name).write_text(f"#!/bin/bash\n{body}\n")
        (place / name).chmod(0o755)
    return environment() | {
        "PATH": f"{place}:{environment()['PATH']}",
        "TOLD": str(tmp_path),
        "STARTED": "0",
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NODELIST": "first second",
        "SLURM_NNODES": "2",
    }


def environment():
    """With this environment's torchrun first."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }


def lines(folder):
    """The log of the only run in a folder, without its speeds."""
    (path,) = folder.glob("vectors-*/metrics.jsonl")
    return [
        {name: value for name, value in line.items() if name not in SPEEDS}
        for line in read_metrics(path)
    ]


def start(script, *arguments, env):
    command = [str(LAUNCH / script), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280, check=False
    )


def assert_same_as_alone(folder, told):
    """What several processes logged is what one does; only the first of them answers."""
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("Report: ") == 1
    command = [sys.executable, "-m", "experiments.cli", "train", *TINY]
    alone = subprocess.run(
        [*command, "--out", str(folder / "alone")],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    found, expected = lines(folder / "together"), lines(folder / "alone")
    assert len(found) == len(expected) > 0
    for line, wanted in zip(found, expected, strict=True):
        assert line == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("script", sorted(LAUNCH.iterdir()), ids=lambda path: path.name)
def test_scripts_can_be_started_and_are_read_to_their_end(script):
    assert os.access(script, os.X_OK)
    read = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


def test_slurm_starts_one_torchrun_on_each_node_and_they_meet_on_the_first(cluster, tmp_path):
    done = start("slurm.sbatch", "emoji", "--seed", "1 2", env=cluster | {"PORT": "29777"})
    assert done.returncode == 0, done.stderr
    program, *arguments = (tmp_path / "srun").read_text().splitlines()
    assert program == "torchrun"
    told = get_args_parser().parse_args(arguments)
    assert (told.nnodes, told.nproc_per_node) == ("2", "gpu")
    assert (told.rdzv_backend, told.rdzv_id, told.rdzv_endpoint) == ("c10d", "4711", "first:29777")
    assert told.module
    assert told.training_script == "experiments.cli"
    assert told.training_script_args == ["train", "emoji", "--seed", "1 2"]
    asked = [
        line for line in (LAUNCH / "slurm.sbatch").read_text().splitlines() if "#SBATCH" in line
    ]
    assert "#SBATCH --ntasks-per-node=1" in asked


def test_slurm_says_how_the_training_ended(cluster):
    (Path(cluster["TOLD"]) / "bin" / "torchrun").write_text("#!/bin/sh\nexit 7\n")
    (Path(cluster["TOLD"]) / "bin" / "torchrun").chmod(0o755)
    assert start("slurm.sbatch", "emoji", env=cluster | {"STARTED": "1"}).returncode == 7


def test_slurm_passes_sigterm_on_waits_and_goes_back_into_the_queue(cluster, tmp_path):
    torchrun = tmp_path / "bin" / "srun"
    torchrun.write_text(
        "#!/bin/bash\ntrap 'sleep 0.5; touch \"$TOLD/saved\"; exit 143' TERM\n"
        'touch "$TOLD/started"\nwhile true; do sleep 0.05; done\n'
    )
    with subprocess.Popen([LAUNCH / "slurm.sbatch", "emoji"], cwd=ROOT, env=cluster) as job:
        deadline = time.monotonic() + 30
        while not (tmp_path / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        job.send_signal(signal.SIGTERM)
        job.wait(30)
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "scontrol").read_text().split() == ["requeue", "4711"]


@pytest.mark.distributed
def test_one_machine_with_two_processes_trains_as_one_does(tmp_path):
    told = start(
        "single_node.sh", *TINY, "--out", str(tmp_path / "together"),
        env=environment() | {"PROCESSES": "2"},
    )  # fmt: skip
    assert_same_as_alone(tmp_path, told)


@pytest.mark.distributed
def test_two_nodes_of_slurm_meet_and_train_as_one_process_does(cluster, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    here = {
        "STARTED": "2", "PROCESSES": "1", "PORT": str(port), "SLURM_JOB_NODELIST": "localhost",
    }  # fmt: skip
    told = start("slurm.sbatch", *TINY, "--out", str(tmp_path / "together"), env=cluster | here)
    assert_same_as_alone(tmp_path, told)

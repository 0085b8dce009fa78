"""The GPU benchmark at toy size: every part gives rows, keeps them, and says what failed."""

import json
from pathlib import Path

import pytest
import torch

from experiments.benchmarks.gpu import run
from experiments.benchmarks.gpu.clock import seconds_in_turns
from experiments.benchmarks.gpu.page import page
from experiments.benchmarks.gpu.part import Part
from experiments.benchmarks.gpu.parts.machine import Machine, arithmetic
from experiments.cli import main
from theory.errors import InputError

NAMES = [kind.name for kind in run.parts()]


def test_the_order_in_which_a_cut_loses_least():
    assert NAMES == [
        "machine", "tests", "losses", "steps", "together", "suite", "scenes", "ranks",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", run.parts(), ids=NAMES)
def test_a_part_runs_at_toy_size(kind: type[Part], tmp_path: Path):
    rows = json.loads(json.dumps(list(kind(pretend=True).rows())))
    assert rows
    part = {"title": kind.title, "commit": "abc", "rows": rows, "failed": "", "seconds": 1}
    found = {"machine": {"device": "toy"}, "pretend": True, "parts": {kind.name: part}}
    text = page([found], tmp_path / "gpu.md", NAMES)
    assert f"### {kind.title}" in text
    assert (tmp_path / "pictures" / "gpu_losses_1.png").exists() == (kind.name == "losses")
    if kind.name == "losses":
        assert all(row["ms"] > 0 for row in rows)
        (published,) = [row for row in rows if "published" in row.get("reference", "")]
        assert published["ratio"] == pytest.approx(published["ms"] / published["reference ms"], 0.1)


def test_a_part_that_ran_again_replaces_its_rows_and_leaves_the_others(tmp_path: Path):
    out = tmp_path / "gpu.md"
    kept = {"title": "Kept", "commit": "", "rows": [{"a": 1}], "failed": "", "seconds": 1}
    run._write(out, {"machine": {"device": "x"}, "pretend": True, "parts": {"suite": kept}})
    for rows in ([{"b": 1}], [{"b": 2}]):
        part = kept | {"title": "Replaced", "rows": rows}
        run._write(out, {"machine": {"device": "x"}, "pretend": True, "parts": {"machine": part}})
    (one,) = json.loads(out.with_suffix(".json").read_text())
    assert one["parts"]["suite"]["rows"] == [{"a": 1}]
    assert one["parts"]["machine"]["rows"] == [{"b": 2}]
    assert out.read_text().index("Replaced") < out.read_text().index("Kept")


class Crash(Part):
    """One row, then an error."""

    name, title, order, limit = "crash", "Crash", 0, 60

    def rows(self):
        yield {"value": 1}
        raise InputError("a part", rule="it ends", fix="this test wants it so")


def test_a_part_that_fails_keeps_its_rows_and_its_log(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(run, "parts", lambda: [Crash])
    monkeypatch.setattr(Crash, "__module__", "tests_gpu_crash")
    (tmp_path / "tests_gpu_crash.py").write_text(
        "from experiments.benchmarks.gpu.part import Part\n"
        "class Crash(Part):\n"
        "    def rows(self):\n"
        "        yield {'value': 1}\n"
        "        raise ValueError('wanted')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = run.run_parts(tmp_path / "gpu.md", pretend=True)
    assert found["parts"]["crash"]["rows"] == [{"value": 1}]
    assert found["parts"]["crash"]["failed"] == "exit code 1: ValueError: wanted"
    assert "Traceback" in (tmp_path / "gpu-crash.log").read_text()
    monkeypatch.setattr(Crash, "limit", 0)
    found = run.run_parts(tmp_path / "gpu.md", pretend=True)
    assert found["parts"]["crash"]["failed"] == "stopped after 0 s"


def test_bad_requests_are_refused(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for line, told in (
        (["bench", "gpu"], "without a GPU"),
        (["bench", "gpu", "--pretend", "--parts", "nothing"], "part 'nothing'"),
        (["bench", "theory", "--pretend"], "only the benchmark gpu pretends"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(line)
        assert told in capsys.readouterr().err


def test_calls_take_turns_and_are_repeated_if_short():
    made: list[str] = []
    times = seconds_in_turns(
        [lambda: made.append("a"), lambda: made.append("b")],
        torch.device("cpu"), rounds=2, least=0.0,
    )  # fmt: skip
    assert "".join(made) == "aabb" + "abab"
    assert all(seconds > 0 for seconds in times)


def test_the_arithmetic_of_the_caller_comes_back():
    before = torch.get_float32_matmul_precision()
    with arithmetic("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    with arithmetic("float32"):
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before
    assert [row["unit"] for row in Machine(pretend=True).rows()][-1] == "GB/s"

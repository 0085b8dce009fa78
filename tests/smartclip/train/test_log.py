import sys
from types import ModuleType

import pytest

from smartclip.train import log
from smartclip.train.log import MetricsLog, read_metrics


def test_lines_go_to_tensorboard_where_it_is_installed(tmp_path, monkeypatch):
    seen = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            seen.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            seen.append((name, value, step))

        def flush(self):
            seen.append("flushed")

    stand_in = ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    monkeypatch.setattr(log.importlib.util, "find_spec", lambda name: name == "tensorboard" or None)
    MetricsLog(tmp_path / "metrics.jsonl", resume_step=4).append({"step": 5, "loss": 0.5})
    folder = str(tmp_path / "tensorboard" / "metrics")
    assert seen == [(folder, 5), ("loss", 0.5, 5), "flushed"]


# TensorBoard and what it brings along warn of themselves.
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_itself_reads_what_was_logged_and_not_what_a_kill_took_back(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = tmp_path / "metrics.jsonl"
    first = MetricsLog(path, resume_step=0)
    for step in (5, 10, 15):
        first.append({"step": step, "loss": 1 / step})
    MetricsLog(path, resume_step=10).append({"step": 12, "loss": 0.5})
    found = EventAccumulator(str(tmp_path / "tensorboard" / "metrics")).Reload()
    lines = [(event.step, pytest.approx(event.value)) for event in found.Scalars("loss")]
    assert [(line["step"], line["loss"]) for line in read_metrics(path)] == lines
    assert [step for step, _ in lines] == [5, 10, 12]


def test_lines_past_the_step_resumed_from_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = MetricsLog(path, resume_step=0)
    for step in (5, 10, 15):
        first.append({"step": step})
    MetricsLog(path, resume_step=10).append({"step": 12})
    assert [line["step"] for line in read_metrics(path)] == [5, 10, 12]

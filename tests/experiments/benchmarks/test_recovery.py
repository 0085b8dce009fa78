import pytest
import torch

from experiments.benchmarks import recovery


@pytest.mark.parametrize("flushed", [False, True])
def test_every_line_is_measured_and_the_settings_come_back(
    monkeypatch: pytest.MonkeyPatch, flushed: bool
) -> None:
    monkeypatch.setattr(recovery, "ROWS", 90)
    monkeypatch.setattr(recovery, "NEW", 60)
    monkeypatch.setattr(recovery, "BLOCKS", ((64, "none"),))
    monkeypatch.setattr(recovery, "REPEATS", 1)
    threads = torch.get_num_threads()
    tiny = torch.tensor([1e-40])
    try:
        torch.set_flush_denormal(flushed)
        rows = recovery.measurements()
        assert (float(tiny * 1) == 0) is flushed
    finally:
        torch.set_flush_denormal(False)
    assert torch.get_num_threads() == threads
    assert len(rows) == 3
    assert all(row.seconds > 0 for row in rows)
    assert float(rows[0].note.split()[-1]) < 1e-6

import json

import torch

from experiments.benchmarks import objective


def test_every_kind_of_line_is_measured(monkeypatch):
    monkeypatch.setattr(objective, "SIZES", (16,))
    monkeypatch.setattr(objective, "DIMENSIONS", (8,))
    small = {"size": 16, "dimension": 8, "chunk_size": 4}
    memory = objective._memory
    monkeypatch.setattr(objective, "_memory", lambda *_: memory(*small.values()))
    threads = torch.get_num_threads()
    rows = objective.measurements()
    assert torch.get_num_threads() == threads
    assert all(row.seconds > 0 for row in rows)
    assert sum(row.reference == "plain CLIP loss" for row in rows) >= 4
    published = next(row for row in rows if "published" in row.reference)
    assert float(published.note.split()[-1]) < 1e-5
    assert "GiB" in rows[-1].note


def test_the_peak_counts_what_the_loss_needs(capsys):
    """B^2 floats would be 64 MiB; in chunks of 64 the loss takes much less."""
    objective.print_streamed_peak(4096, 4, 64)
    told = json.loads(capsys.readouterr().out)
    assert 0 <= told["peak"] - told["before"] < 40 * 2**20

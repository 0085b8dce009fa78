import torch

from experiments.benchmarks import ensemble


def test_seeds_together_are_timed_beside_one(monkeypatch):
    monkeypatch.setattr(ensemble, "WARM_ROUNDS", 1)
    row = ensemble.compared(2, torch.device("cpu"), rounds=1)
    assert row.seconds > 0
    assert row.reference_seconds > 0
    assert row.target == "at most 1"

import pytest

from experiments.benchmarks import simulators


@pytest.mark.slow
def test_every_world_is_measured():
    rows = simulators.measurements()
    assert len(rows) == 4
    assert all(row.seconds > 0 for row in rows)

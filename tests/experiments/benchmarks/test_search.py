import math

import pytest

from experiments.benchmarks import search


def test_ours_and_faiss_find_the_same():
    pytest.importorskip("faiss")
    row = search.measured(3000, 20)
    assert row.seconds > 0
    assert row.reference_seconds > 0
    assert math.isfinite(row.ratio)
    assert "rows agree: 100.0000%" in row.note or "rows agree: 99." in row.note

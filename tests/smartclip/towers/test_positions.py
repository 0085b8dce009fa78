import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smartclip.towers.positions import stretch_positions
from theory.errors import InputError


def test_77_to_248_is_the_published_stretch():
    """Four for each of the last 57, the end extrapolated; written out as published, row by row."""
    old = torch.randn(77, 8, dtype=torch.float64)
    new = torch.zeros(248, 8, dtype=torch.float64)
    new[:20] = old[:20]
    for row in range(20, 77):
        after = old[row + 1] if row < 76 else 2 * old[76] - old[75]
        for quarter in range(4):
            place = 20 + 4 * (row - 20) + quarter
            new[place] = (4 - quarter) / 4 * old[row] + quarter / 4 * after
    torch.testing.assert_close(stretch_positions(old, 248), new)


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 30), st.integers(1, 90), st.integers(0, 28))
def test_straight_lines_stay_straight(n: int, length: int, kept: int):
    """On positions that lie on a line, so do the new ones, equally spaced after the kept."""
    kept = min(kept, n - 2)
    line = torch.arange(n, dtype=torch.float64).unsqueeze(1)
    new = stretch_positions(line, length, kept=kept).squeeze(1)
    assert len(new) == length
    same = min(kept, length) if length > n else length
    torch.testing.assert_close(new[:same], line[:same, 0])
    if length > n:
        step = (n - kept) / (length - kept)
        spaced = kept + step * torch.arange(length - kept, dtype=torch.float64)
        torch.testing.assert_close(new[kept:], spaced)


@pytest.mark.parametrize(("length", "kept"), [(0, 1), (-1, 1), (9, -1), (9, 4)])
def test_nothing_to_stretch_is_refused(length: int, kept: int):
    with pytest.raises(InputError, match="5 positions"):
        stretch_positions(torch.randn(5, 2), length, kept=kept)


def test_precision_and_gradient_are_kept():
    old = torch.randn(6, 2, dtype=torch.float16)
    assert stretch_positions(old, 10, kept=2).dtype == torch.float16
    old = torch.randn(6, 2, requires_grad=True)
    stretch_positions(old, 10, kept=2).sum().backward()
    assert old.grad is not None
    assert (old.grad != 0).all()

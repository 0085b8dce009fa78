import pytest
import torch

from simulators.breaks import Folded, Quantised, RankLoss, Saturated
from simulators.mixings import Smooth
from theory.errors import InputError

BREAKS = [Folded, Quantised, RankLoss, Saturated]


def points(n=4000):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("kind", BREAKS)
def test_degree_zero_is_the_base(kind):
    base, x = Smooth(3), points()
    whole = kind(base, degree=0.0)
    assert torch.equal(whole(x), base(x))
    assert torch.equal(whole.twin(x), x)
    torch.testing.assert_close(whole.inverse(whole(x)), x)
    assert whole.slopes == base.slopes


@pytest.mark.parametrize("kind", BREAKS)
@pytest.mark.parametrize("degree", [0.1, 0.5, 1.0])
def test_the_witness_is_another_latent_with_the_same_image(kind, degree):
    broken, x = kind(Smooth(3), degree=degree, coordinate=1), points()
    twin = broken.twin(x)
    torch.testing.assert_close(broken(twin), broken(x), atol=1e-12, rtol=0)
    moved = (twin != x).any(1).double().mean().item()
    assert moved > 0.8 * degree
    assert torch.equal(twin[:, [0, 2]], x[:, [0, 2]])
    assert broken.condition == float("inf")
    with pytest.raises(InputError, match="inverse"):
        broken.inverse(broken(x))


@pytest.mark.parametrize("kind", [Quantised, RankLoss, Saturated])
def test_more_is_lost_at_a_higher_degree(kind):
    x = points()
    shares = []
    for degree in (0.0, 0.2, 0.6, 1.0):
        values = torch.linalg.svdvals(kind(Smooth(3), degree=degree).jacobian(x))
        shares.append((values[:, -1] < 1e-9).double().mean().item())
    assert shares == pytest.approx([0.0, 0.2, 0.6, 1.0], abs=0.03)


@pytest.mark.parametrize("kind", [Folded, RankLoss, Saturated])
def test_continuous_breaks_have_no_jump(kind):
    broken = kind(Smooth(3), degree=0.5)
    line = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    for column in range(3):
        x = torch.full((len(line), 3), 0.4, dtype=torch.float64)
        x[:, column] = line
        y = broken(x)
        assert (y[1:] - y[:-1]).norm(dim=1).max() < 1e-3
        slope = (y[1:] - y[:-1]) / 1e-4
        assert (slope[1:] - slope[:-1]).norm(dim=1).max() < 5e-3


@pytest.mark.parametrize("kind", BREAKS)
def test_bad_breaks_are_refused(kind):
    with pytest.raises(InputError, match="degree"):
        kind(Smooth(3), degree=1.5)
    with pytest.raises(InputError, match="coordinate"):
        kind(Smooth(3), degree=0.5, coordinate=3)

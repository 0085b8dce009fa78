import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from simulators.shapes import distance_of, outlines, signed_distance

NAMES = list(outlines())


def test_the_distance_to_a_square_is_known():
    square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    points = torch.tensor([[0.0, 0.5], [2.0, 2.0], [1.0, 0.0], [-3.0, 0.2]])
    expected = torch.tensor([-0.5, math.sqrt(2), 0.0, 2.0])
    torch.testing.assert_close(signed_distance(square, points), expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_distance_agrees_with_the_nearest_of_many_points_of_the_outline(name):
    outline = outlines()[name].double()
    t = torch.linspace(0, 1, 400).double()[:, None]
    dense = torch.cat([a + t * (b - a) for a, b in zip(outline, outline.roll(-1, 0), strict=True)])
    points = 1.3 * (2 * torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) - 1).double()
    nearest, _ = cKDTree(dense.numpy()).query(points.numpy())
    found = signed_distance(outline, points)
    torch.testing.assert_close(found.abs(), torch.tensor(nearest), atol=5e-3, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_outlines_lie_in_the_unit_disc_and_have_their_area(name):
    outline = outlines()[name].double()
    assert outline.norm(dim=1).max() <= 1 + 1e-6
    x, y = outline.T
    area = 0.5 * (x * y.roll(-1) - x.roll(-1) * y).sum().abs()
    grid = torch.cartesian_prod(*[torch.linspace(-1, 1, 200).double()] * 2)
    inside = (signed_distance(outline, grid) < 0).double().mean() * 4
    assert inside.item() == pytest.approx(area.item(), rel=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_the_distance(name):
    points = 1.2 * (2 * torch.rand(1000, 2, generator=torch.Generator().manual_seed(1)) - 1)
    shape = np.array([[NAMES.index(name)]])
    x, y = points.T.numpy()
    found = distance_of(shape, x[None], y[None])[0]
    assert np.abs(found - signed_distance(outlines()[name], points).numpy()).max() < 1 / 90


@pytest.mark.parametrize("name", NAMES)
def test_a_tilt_changes_the_shape(name):
    outline = outlines()[name].double()
    points = torch.cartesian_prod(*[torch.linspace(-1, 1, 60).double()] * 2)
    for degrees in (25, -25, 50):
        turn = math.radians(degrees)
        rotation = torch.tensor(
            [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
        ).double()
        before, after = (
            signed_distance(outline, points),
            signed_distance(outline @ rotation, points),
        )
        assert ((before < 0) != (after < 0)).double().mean() > 0.02

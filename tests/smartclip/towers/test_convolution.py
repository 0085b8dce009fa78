"""The convolutional tower: shapes, independence of rows, what it refuses."""

import pytest
import torch

from smartclip.towers.convolution import ConvConfig, ConvImageTower
from theory.errors import InputError

SMALL = ConvConfig(image_size=16, stem=4, widths=(8, 16), hidden=12)


def test_every_weight_is_reached():
    tower = ConvImageTower(SMALL, 5)
    code = tower(torch.rand(3, 3, 16, 16))
    assert code.shape == (3, 5)
    code.square().sum().backward()
    for name, parameter in tower.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_no_row_depends_on_another_even_while_training():
    tower = ConvImageTower(SMALL, 5).train()
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = tower(images)
    parts = torch.cat([tower(part) for part in images.split(2)])
    torch.testing.assert_close(whole, parts, atol=1e-6, rtol=1e-5)


def test_grey_pictures_and_other_layouts_give_the_same_code():
    tower = ConvImageTower(ConvConfig(image_size=8, channels=1, stem=2, widths=(8,), hidden=4), 3)
    images = torch.rand(2, 1, 8, 8)
    turned = images.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(tower(images), tower(turned))


def test_images_of_another_size_are_refused():
    with pytest.raises(InputError, match=r"\(2, 3, 8, 8\).*\[B, 3, 16, 16\]"):
        ConvImageTower(SMALL, 5)(torch.rand(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"image_size": 24}, "image_size"),
        ({"stem": 0}, "stem"),
        ({"widths": (8, 12)}, "widths"),
        ({"widths": ()}, "widths"),
        ({"channels": 0}, "channels"),
        ({"hidden": 0}, "hidden"),
    ],
)
def test_impossible_sizes_are_refused(given, named):
    with pytest.raises(InputError, match=named):
        ConvConfig(**given)


def test_the_code_stays_on_the_device_of_the_weights():
    # Convolutions cannot pretend CUDA on a build without it; the meta device mixes as little.
    with torch.device("meta"):
        made = ConvImageTower(SMALL, 5)
    assert made(torch.empty(2, 3, 16, 16, device="meta")).device.type == "meta"


@pytest.mark.gpu
def test_a_gpu_gives_the_code_of_the_cpu():
    torch.manual_seed(0)
    tower, images = ConvImageTower(SMALL, 5), torch.rand(4, 3, 16, 16)
    expected = tower(images)
    found = tower.to("cuda")(images.to("cuda")).cpu()
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)

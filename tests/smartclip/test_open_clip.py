import subprocess
import sys

import pytest
import torch

from smartclip.towers.open_clip import ImageTower, TextConfig, TextTower, ViTConfig
from theory.errors import InputError


@pytest.mark.parametrize("dimension", [1, 10, 33])
@pytest.mark.parametrize(
    "config",
    [
        ViTConfig(layers=1),
        ViTConfig(image_size=32, channels=3, patch=8, width=32, layers=1),
        ViTConfig(image_size=8, channels=4, patch=8, width=16, layers=1, heads=1),
    ],
)
def test_image_tower_maps_images_to_codes(config: ViTConfig, dimension: int) -> None:
    tower = ImageTower(config, dimension)
    images = torch.rand(3, config.channels, config.image_size, config.image_size)
    code = tower(images)
    assert code.shape == (3, dimension)
    code.square().sum().backward()
    for name, parameter in tower.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_image_tower_sees_every_patch() -> None:
    torch.manual_seed(0)
    tower = ImageTower(ViTConfig(layers=1), 4).eval()
    images = torch.rand(1, 1, 16, 16, requires_grad=True)
    tower(images).square().sum().backward()
    assert images.grad is not None
    patches = images.grad.abs().unfold(2, 4, 4).unfold(3, 4, 4).sum((-1, -2))
    assert (patches > 0).all()


def test_text_tower_gives_code_and_states() -> None:
    tower = TextTower(TextConfig(vocabulary=20, context=8, layers=1), 5)
    tokens = torch.tensor([[1, 4, 5, 19, 0, 0, 0, 0], [1, 19, 0, 0, 0, 0, 0, 0]])
    code, states = tower(tokens)
    assert code.shape == (2, 5)
    assert states.shape == (2, 8, tower.width)


def test_text_code_is_the_projected_state_of_the_end() -> None:
    tower = TextTower(TextConfig(vocabulary=20, context=6, layers=2), 5).eval()
    tokens = torch.tensor([[1, 4, 19, 0, 0, 0], [1, 7, 8, 9, 19, 0]])
    code, states = tower(tokens)
    at_end = states[torch.arange(2), torch.tensor([2, 4])]
    # The states come after the final norm, so each has mean 0 and variance 1 while it is new.
    torch.testing.assert_close(at_end.mean(1), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(at_end.var(1, unbiased=False), torch.ones(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(code, at_end @ tower.transformer.text_projection)


def test_what_comes_after_the_end_changes_nothing_before_it() -> None:
    tower = TextTower(TextConfig(vocabulary=20, context=8, layers=2), 5).eval()
    one = torch.tensor([[1, 4, 5, 19, 0, 0, 0, 0]])
    other = torch.tensor([[1, 4, 5, 19, 3, 7, 0, 2]])
    code, states = tower(one)
    other_code, other_states = tower(other)
    torch.testing.assert_close(code, other_code)
    torch.testing.assert_close(states[:, :4], other_states[:, :4])
    assert not torch.allclose(states[:, 4:], other_states[:, 4:])


def test_towers_follow_the_device_and_precision_of_their_weights() -> None:
    tower = ImageTower(ViTConfig(layers=1, width=16, heads=1), 3).double()
    assert tower(torch.rand(2, 1, 16, 16, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.gpu
def test_towers_on_the_gpu_agree_with_the_cpu() -> None:
    image = ImageTower(ViTConfig(), 6).eval()
    text = TextTower(TextConfig(vocabulary=20, context=8), 6).eval()
    images, tokens = torch.rand(4, 1, 16, 16), torch.randint(1, 20, (4, 8))
    on_cpu = image(images), *text(tokens)
    on_gpu = image.cuda()(images.cuda()), *text.cuda()(tokens.cuda())
    for one, other in zip(on_cpu, on_gpu, strict=True):
        torch.testing.assert_close(one, other.cpu(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ViTConfig(patch=5), "patch 5"),
        (lambda: ViTConfig(width=66), "width 66"),
        (lambda: ViTConfig(layers=0), "layers = 0"),
        (lambda: TextConfig(vocabulary=9, context=4, heads=3), "3 heads"),
    ],
)
def test_impossible_sizes_are_refused(make, told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()


def test_wrong_inputs_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(2, 3, 16, 16\)"):
        ImageTower(ViTConfig(layers=1), 4)(torch.rand(2, 3, 16, 16))
    text = TextTower(TextConfig(vocabulary=9, context=4, layers=1), 4)
    with pytest.raises(InputError, match="5 tokens"):
        text(torch.zeros(2, 5, dtype=torch.int64))


def test_importing_the_package_does_not_import_open_clip() -> None:
    code = (
        "import smartclip.towers.open_clip, smartclip.text, sys; print('open_clip' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_open_clip_loads_after_a_failed_import_of_torchvision() -> None:
    code = """
import importlib, sys
try:
    importlib.import_module("torchvision")
except RuntimeError:
    pass
from smartclip.towers.open_clip import load_open_clip
first = load_open_clip()
assert load_open_clip() is first
import torchvision.transforms
# A submodule left over from the failed import would not be an attribute of the new package.
children = [name.split(".") for name in sys.modules if name.startswith("torchvision.")]
assert all(hasattr(torchvision, parts[1]) for parts in children), children
from open_clip.transformer import TextTransformer
print(first.__name__, TextTransformer.__name__)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["open_clip", "TextTransformer"], done.stderr

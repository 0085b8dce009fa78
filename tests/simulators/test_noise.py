import pytest
import torch
from scipy import stats

from simulators.noise import Noise
from simulators.randomness import Stream, uniforms
from theory.errors import InputError


def draw(noise, n=40_000):
    u_image = uniforms(n, noise.image, seed=0, stream=Stream.IMAGE_NOISE)
    u_text = uniforms(n, noise.text, seed=0, stream=Stream.TEXT_NOISE)
    return noise.of_image(u_image), noise.of_text(u_text, u_image)


@pytest.mark.parametrize("shared", [0.0, 0.4, 1.0])
def test_noise_is_shared_below_its_quantile_and_normal_at_every_degree(shared):
    noise = Noise(image=2, text=3, scale=0.7, shared=shared)
    image, text = draw(noise)
    assert image.shape[1] == 2
    assert text.shape[1] == 3
    for column in (*image.T, *text.T):
        assert stats.kstest(column.numpy() / 0.7, "norm").pvalue > 1e-4
    same = (image == text[:, :2]).double().mean().item()
    assert same == pytest.approx(shared, abs=0.01)
    assert torch.isfinite(text).all()
    if shared == 0:
        assert abs(torch.corrcoef(torch.stack([image[:, 0], text[:, 0]]))[0, 1]) < 0.025


@pytest.mark.parametrize("bad", [{"image": -1}, {"scale": 0.0}, {"shared": 1.1}])
def test_bad_noise_is_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad)) if "shared" in bad else "noise"):
        Noise(**bad)

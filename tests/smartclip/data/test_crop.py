import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode

from smartclip.data.crop import MEAN, STD, Crop, normalised
from smartclip.data.pictures import PictureError
from theory.errors import InputError

HALVES = np.full(5, 0.5)


def waves(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    channels = [np.sin(x / 9 + y / 7), np.cos(x / 5), np.sin(y / 6)]
    return Image.fromarray((127.5 + 127 * np.stack(channels, axis=-1)).astype(np.uint8))


def cut(crop: Crop, content: bytes, draws: np.ndarray = HALVES) -> np.ndarray:
    """The crop as rows and columns of integers."""
    return crop(content, "waves", draws).permute(1, 2, 0).int().numpy()


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("size", [(100, 80), (80, 100), (64, 64), (33, 47), (300, 65)])
def test_centre_is_clip_s_resize_and_centre_crop(size: tuple[int, int]) -> None:
    side = 64
    picture = waves(*size)
    factor = side / min(size)
    wide, tall = (max(side, int(length * factor)) for length in size)
    left, upper = round((wide - side) / 2), round((tall - side) / 2)
    resized = picture.resize((wide, tall), Image.Resampling.BICUBIC)
    expected = np.asarray(resized.crop((left, upper, left + side, upper + side)))
    found = cut(Crop(pixels=side), saved(picture))
    assert found.shape == (side, side, 3)
    assert np.abs(found - expected.astype(int)).max() <= 2


def test_squash_keeps_all_of_it() -> None:
    picture = waves(90, 40)
    found = cut(Crop(pixels=32, cut="squash"), saved(picture))
    expected = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(found - expected.astype(int)).max() <= 2


def test_random_cuts_stay_inside_and_cover_their_share() -> None:
    crop = Crop(pixels=32, cut="random", scale=0.5)
    rng = np.random.default_rng(0)
    shares, shapes = [], []
    for draws in rng.random((300, 5)):
        left, upper, right, lower = crop.box(120, 90, draws)
        assert 0 <= left < right <= 120
        assert 0 <= upper < lower <= 90
        shares.append((right - left) * (lower - upper) / (120 * 90))
        shapes.append((right - left) / (lower - upper))
    assert min(shares) > 0.45
    assert max(shares) <= 1
    assert np.ptp(shares) > 0.4
    assert 0.74 < min(shapes) < 0.9 < 1.2 < max(shapes) < 1.35


def test_a_random_cut_is_resized_on_its_own() -> None:
    crop = Crop(pixels=24, cut="random", scale=0.3)
    draws = np.array([0.2, 0.9, 0.1, 0.8, 0.5])
    picture = waves(100, 70)
    expected = picture.crop(crop.box(100, 70, draws)).resize((24, 24), Image.Resampling.BICUBIC)
    found = cut(crop, saved(picture), draws)
    assert np.abs(found - np.asarray(expected).astype(int)).max() <= 2


def test_mirrors_as_often_as_asked() -> None:
    content = saved(waves(40, 40))
    plain = cut(Crop(pixels=32), content)
    turned = cut(Crop(pixels=32, mirror=0.6), content)
    assert (turned == plain[:, ::-1]).all()
    assert (cut(Crop(pixels=32, mirror=0.4), content) == plain).all()


def test_large_jpegs_are_decoded_smaller_with_little_loss() -> None:
    content = saved(waves(900, 700), "JPEG", quality=95)
    exact = cut(Crop(pixels=64, gap=None), content)
    quick = cut(Crop(pixels=64), content)
    assert (quick != exact).any()
    assert np.abs(quick - exact).mean() < 2


def test_normalising_is_clip_s() -> None:
    levels = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    expected = (levels.double() / 255 - mean) / std
    found = normalised(levels)
    assert found.shape == (2, 3, 5, 7)
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-5)


def test_normalising_stays_on_the_device_of_its_levels() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        levels = torch.empty((2, 3, 5, 7), dtype=torch.uint8, device="cuda")
        assert normalised(levels).device.type == "cuda"


@pytest.mark.gpu
def test_normalising_on_a_gpu_is_that_on_the_cpu() -> None:
    levels = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    torch.testing.assert_close(normalised(levels.cuda()).cpu(), normalised(levels))


@pytest.mark.parametrize("wrong", [{"pixels": 0}, {"scale": 0.0}, {"mirror": 1.5}, {"gap": 0.5}])
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))} is"):
        Crop(**wrong)


def test_pictures_that_cannot_be_used_say_so() -> None:
    with pytest.raises(PictureError, match=r"cat\.jpg"):
        Crop()(b"no picture", "cat.jpg", HALVES)
    with pytest.raises(PictureError, match="pixels"):
        Crop()(saved(waves(40, 40)), "cat.jpg", HALVES, most_pixels=100)

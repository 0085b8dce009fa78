from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks import pipeline
from smartclip.data.crop import Crop, normalised


def test_ours_and_the_reference_make_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PICTURES", 4)
    data = pipeline._photographs(tmp_path / "pictures")
    plain = pipeline._Plain(data)
    assert len(plain) == len(data) == 4
    for row, example in enumerate(data):
        levels = Crop(pixels=pipeline.SIDE)(example.image.read(), example.name, np.full(5, 0.5))
        image, caption = plain[row]
        assert caption == example.captions[0]
        assert (normalised(levels[None])[0] - image).abs().max() < 0.06

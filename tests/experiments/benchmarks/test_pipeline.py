import time
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


def test_the_pipeline_is_set_beside_the_step_that_eats_its_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PICTURES", 4)
    monkeypatch.setattr(pipeline, "BATCH", 2)
    asked = []

    def step_of(name, images, tokens, context):
        asked.append((name, len(images), tuple(tokens.shape), context))
        return lambda: time.sleep(0.05)

    monkeypatch.setattr(pipeline, "smartclip_step", step_of)
    data = pipeline._photographs(tmp_path / "pictures")
    row = pipeline.beside_step(data, "ViT-B-32", batch_size=2, context=80)
    assert asked == [("ViT-B-32", 2, (2, 80), 80)]
    # Two steps of 0.05 s eat four pictures.
    assert 0.1 <= row.reference_seconds < 0.2
    assert row.ratio == row.seconds / row.reference_seconds
    assert "pictures a second beside" in row.note

"""ONNX beside torch: batches of 1, 3 and 5, whole captions and shorter ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from smartclip.export.onnx import write_onnx

pytest.importorskip("onnxscript")
runtime = pytest.importorskip("onnxruntime")

LONG = 248


@pytest.fixture(scope="module")
def sessions(small, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("onnx")
    written = write_onnx(small(), folder)
    assert sorted(folder.iterdir()) == sorted(written)  # the weights are inside
    return {path.stem: runtime.InferenceSession(str(path)) for path in written}


def ran(session, **given: np.ndarray) -> list[np.ndarray]:
    return session.run(None, given)


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 3, 5])
@pytest.mark.parametrize("length", [LONG, 20])
def test_batches_and_lengths_equal_torch(small, sessions, batch: int, length: int):
    ready = small()
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, 3, 32, 32, generator=generator)
    (image,) = ran(sessions["image"], images=images.numpy())
    np.testing.assert_allclose(image, ready.model.encode_image(images), atol=1e-4)
    captions = [f"a bear number {number} with a pen" for number in range(batch)]
    whole = ready.tokenizer.tokenise(captions)
    tokens = whole[:, :length]
    text, states = ran(sessions["text"], tokens=tokens.numpy())
    expected, expected_states = ready.model.text_tower(whole)
    np.testing.assert_allclose(text, expected, atol=1e-4)
    np.testing.assert_allclose(states, expected_states[:, :length], atol=1e-4)
    (mask,) = ran(sessions["mask"], states=states)
    logits = ready.model.mask_network(expected_states[:, :length])
    bits = (logits > 0).float() * ready.model.used_coordinates()
    assert (logits.abs() > 1e-4).all()  # no bit hangs on the last digit
    assert np.array_equal(mask, bits.numpy())
    assert 0 < mask.mean() < 1
    if length == LONG:
        assert np.array_equal(mask, ready.model.encode_text(whole)[1].numpy())


def test_a_model_without_masks_has_no_file_of_them(small, tmp_path: Path):
    assert [path.name for path in write_onnx(small(masks=False), tmp_path)] == [
        "image.onnx",
        "text.onnx",
    ]

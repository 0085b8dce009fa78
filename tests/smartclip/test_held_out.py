"""Pictures that are held out, opened and read."""

import numpy as np
import pytest
import torch
from PIL import Image

from smartclip.data.crop import MEAN, STD, Crop
from smartclip.data.formats import read
from smartclip.evaluate.held_out import hold_out
from smartclip.text import CaptionReader, CLIPTokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pair_table(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for row in range(14):
        Image.fromarray(rng.integers(0, 256, (40, 52, 3), dtype=np.uint8)).save(root / f"{row}.png")
        rows += [f"{row}.png,a bear {row}", f"{row}.png,another caption {row}"]
    (root / "captions.csv").write_text("\n".join(rows))
    return root / "captions.csv"


def test_pictures_held_out_are_a_source_too(pair_table):
    reader = CaptionReader(CLIPTokenizer(context=248))
    held = hold_out(read(pair_table), reader, Crop(pixels=32), mean=MEAN, std=STD)
    images, tokens = held.batch(3, 5, CPU)
    some_images, some_tokens = held.rows(0, 5, slice(2, 4), CPU)
    assert torch.equal(images[2:4], some_images)
    assert torch.equal(tokens[2:4], some_tokens)
    # The first caption of each picture, its second being the next row.
    assert torch.equal(tokens, held.tokens[:10:2])
    assert held.relevant().sum() == len(held.tokens) == 28
    assert reader.captions == 28

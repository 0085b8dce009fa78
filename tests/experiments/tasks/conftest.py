"""A model whose scores can be computed by hand: it sees the mean colour and reads three words."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from smartclip.evaluate.embedder import Embedder
from smartclip.model import SmartCLIP
from smartclip.ready import ReadyModel
from smartclip.text import CLIPTokenizer
from smartclip.towers.architecture import Architecture
from smartclip.towers.open_clip import TextConfig, ViTConfig

WORDS = ("red", "green", "blue")
LEVELS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class MeanColour(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


class ColourWords(nn.Module):
    """Each colour that is said counts 1; the first token after the start, if it is one, 2."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        self.register_buffer("ids", torch.tensor(ids))
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        said = (tokens[..., None] == self.ids).float()
        said[:, 1] *= 2
        return self.one * said.sum(1), said


@pytest.fixture
def embedder() -> Callable[..., Embedder]:
    """Makes it, with the options of an `Embedder`."""
    tokenizer = CLIPTokenizer(context=32)
    ids = [int(tokenizer.tokenise([word])[0, 1]) for word in WORDS]
    model = SmartCLIP(
        MeanColour(),
        ColourWords(ids),
        width=3,
        dimension=3,
        whiten=False,
        budget=False,
        masks=False,
    )
    ready = ReadyModel(
        model=model.eval(),
        architecture=Architecture(
            image=ViTConfig(image_size=8, channels=3, patch=8),
            text=TextConfig(vocabulary=49_408, context=32),
            dimension=3,
        ),
        tokenizer=tokenizer,
        source="colours",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        logit_scale=1.0,
    )
    return lambda **options: Embedder(ready, **options)


@pytest.fixture
def paint() -> Callable[..., Path]:
    """Paints a picture in one colour, or in stripes of equal width from left to right."""

    def painted(path: Path, *colours: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        stripes = [np.full((12, 12, 3), LEVELS[colour], np.uint8) for colour in colours]
        Image.fromarray(np.concatenate(stripes, 1)).save(path)
        return path

    return painted

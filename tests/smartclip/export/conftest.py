"""A small SmartCLIP with CLIP's vocabulary, whose weights tell every tensor from every other."""

from collections.abc import Callable

import pytest
import torch

from smartclip.model import SmartCLIP
from smartclip.ready import ReadyModel
from smartclip.text import CLIPTokenizer
from smartclip.towers.architecture import Architecture
from smartclip.towers.open_clip import TextConfig, ViTConfig

WIDTH, DIMENSION = 16, 12


@pytest.fixture(scope="session")
def small() -> Callable[..., ReadyModel]:
    """Makes it: always the same for the same options."""
    return made


def made(*, context: int = 248, masks: bool = True, quick_gelu: bool = True) -> ReadyModel:
    """Two layers of two heads."""
    size = {"width": WIDTH, "layers": 2, "heads": 2, "quick_gelu": quick_gelu}
    architecture = Architecture(
        image=ViTConfig(image_size=32, channels=3, patch=16, **size),
        text=TextConfig(vocabulary=49_408, context=context, **size),
        dimension=DIMENSION,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        image, text = architecture.towers()
        model = SmartCLIP(
            image,
            text,
            width=WIDTH,
            dimension=DIMENSION,
            whiten=False,
            budget=masks,
            masks=masks,
            heads=2,
            gate="straight_through",
        )
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            if model.shared_logits is not None:
                model.shared_logits[0] = -3.0  # one coordinate that no caption opens
    return ReadyModel(
        model=model.eval(),
        architecture=architecture,
        tokenizer=CLIPTokenizer(context=context),
        source="a small model",
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.4),
        logit_scale=50.0,
    )

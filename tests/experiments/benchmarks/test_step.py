"""Both steps of the benchmark at toy size: the same towers, the same work, one number."""

import math

import pytest
import torch

from experiments.benchmarks import step
from smartclip.towers.open_clip import load_open_clip


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """A small model under a name of open_clip's."""
    module = load_open_clip()
    size = module.get_model_config("ViT-B-32")
    size["vision_cfg"] |= {"width": 64, "layers": 1, "image_size": 32}
    size["text_cfg"] |= {"width": 64, "layers": 1, "heads": 2, "vocab_size": 50}

    def config(name: str) -> dict:
        assert name == "tiny"
        return {
            "embed_dim": 16,
            "vision_cfg": dict(size["vision_cfg"]),
            "text_cfg": dict(size["text_cfg"]),
        }

    monkeypatch.setattr(module, "get_model_config", config)
    return "tiny"


def test_one_line_for_both(tiny: str):
    row = step.compared(tiny, 4, 9, device=torch.device("cpu"), target="", rounds=2)
    assert math.isfinite(row.ratio)
    assert row.ratio > 0
    assert "2 rounds in turns" in row.note


def test_both_steps_move_the_same_towers(tiny: str, monkeypatch: pytest.MonkeyPatch):
    made = []
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self, closure=None: made.append(
            sum(
                p.numel()
                for group in self.param_groups
                for p in group["params"]
                if p.grad is not None
            )
        ),
    )
    images, tokens = step.noise_batch(tiny, 4, 9)
    assert tokens.shape == (4, 9)
    step.smartclip_step(tiny, images, tokens, 9)()
    step.clip_step(tiny, images, tokens, 9)()
    width = 64
    block = 12 * width**2 + 13 * width
    mask_network = block + width + 1 + 16 * width + 16
    assert made[0] - mask_network == made[1] - 1  # open_clip's temperature is learned

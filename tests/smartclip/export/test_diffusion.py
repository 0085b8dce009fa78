"""Our text encoder inside a StableDiffusionXLPipeline: long prompts are read to their end."""

from pathlib import Path

import numpy as np
import pytest
import torch

from smartclip.export.diffusion import write_sdxl
from smartclip.towers.open_clip import load_open_clip
from theory.errors import InputError

load_open_clip()  # before what imports torchvision
transformers = pytest.importorskip("transformers")
diffusers = pytest.importorskip("diffusers")
# Of its schedulers, with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WIDTH = 16  # of the small model

# "a", "red" and "bear" are one token each: 75 words and two marks fill 77 places.
FIRST = " ".join(["a", "red", "bear"] * 25)
PROMPTS = [f"{FIRST} {' '.join([word] * 125)}" for word in ("chair", "pen")]


def pipeline(small, folder: Path, context: int):
    """A tiny SDXL with our first encoder, read to `context` tokens, and one of 77 beside it."""
    torch.manual_seed(0)
    source = folder / "sdxl"
    config = transformers.CLIPTextConfig(
        hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=WIDTH, hidden_act="gelu",
    )  # fmt: skip
    transformers.CLIPTextModelWithProjection(config).save_pretrained(source / "text_encoder_2")
    short = write_tokenizer_of(source)
    assert short.model_max_length == 77
    write_sdxl(small(context=context, quick_gelu=True), folder / "ours", source)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, in_channels=4,
        out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 4),
        use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=6 * 8 + WIDTH, cross_attention_dim=2 * WIDTH,
        norm_num_groups=4,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 16), in_channels=3, out_channels=3, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4, sample_size=16,
    )  # fmt: skip
    kinds = {
        "text_encoder": transformers.CLIPTextModel,
        "text_encoder_2": transformers.CLIPTextModelWithProjection,
        "tokenizer": transformers.CLIPTokenizer,
        "tokenizer_2": transformers.CLIPTokenizer,
    }
    found = diffusers.StableDiffusionXLPipeline(
        unet=unet.eval(),
        vae=vae.eval(),
        scheduler=diffusers.EulerDiscreteScheduler(),
        add_watermarker=False,
        **{name: kind.from_pretrained(folder / "ours" / name) for name, kind in kinds.items()},
    )
    found.set_progress_bar_config(disable=True)
    return found


def write_tokenizer_of(source: Path):
    from smartclip.export.hugging_face import write_tokenizer
    from smartclip.text import CLIPTokenizer

    write_tokenizer(CLIPTokenizer(context=77), source / "tokenizer_2")
    return transformers.CLIPTokenizer.from_pretrained(source / "tokenizer_2")


def images(found) -> list[np.ndarray]:
    return [
        found(
            prompt,
            num_inference_steps=2,
            height=16,
            width=16,
            generator=torch.Generator().manual_seed(0),
            output_type="np",
        ).images[0]
        for prompt in PROMPTS
    ]


@pytest.mark.parametrize(("context", "reads_on"), [(248, True), (77, False)])
def test_tokens_after_the_77th_matter_only_where_they_are_read(
    small, tmp_path: Path, context: int, reads_on: bool
):
    found = pipeline(small, tmp_path, context)
    lengths = [len(found.tokenizer(prompt).input_ids) for prompt in PROMPTS]
    assert lengths == [202, 202]
    with torch.no_grad():
        states = [found.encode_prompt(prompt, device="cpu")[0] for prompt in PROMPTS]
    assert states[0].shape == (1, context, 2 * WIDTH)
    first, second = images(found)
    assert first.shape == (16, 16, 3)
    assert np.isfinite(first).all()
    assert first.std() > 0
    # What the second encoder says is left out: our own states change, or not at all.
    ours = [each[..., :WIDTH] for each in states]
    changed = float(np.abs(first - second).max())
    if reads_on:
        assert torch.equal(ours[0][:, :76], ours[1][:, :76])
        assert not torch.equal(ours[0], ours[1])
        assert changed > 0
    else:
        assert torch.equal(states[0], states[1])
        assert changed == 0


def test_without_a_second_encoder_it_is_refused(small, tmp_path: Path):
    with pytest.raises(InputError, match="--sdxl"):
        write_sdxl(small(), tmp_path / "ours", tmp_path)

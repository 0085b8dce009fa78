"""Exports as transformers reads them: the same states, poolings and tokens as ours."""

from pathlib import Path

import pytest
import torch

from smartclip.export.diffusion import stretch_second, write_stable_diffusion
from smartclip.export.hugging_face import loaded, write_hugging_face
from smartclip.ready import read_clip
from smartclip.towers.open_clip import load_open_clip
from smartclip.towers.positions import stretch_positions
from theory.errors import InputError

load_open_clip()  # before what imports torchvision
transformers = pytest.importorskip("transformers")

LONG = 248
CAPTIONS = ["a bear", "a bear with a pen, and " + "then another pen " * 40, "na\xefve caf\xe9!"]


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hugging_face(small(), tmp_path_factory.mktemp("hf"))


def test_tokens_and_context(small, folder: Path):
    ready = small()
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == LONG
    theirs = tokenizer(CAPTIONS, padding="max_length", truncation=True, return_tensors="pt")
    ours = ready.tokenizer.tokenise(CAPTIONS, truncate=True)
    for row, length in enumerate(ready.tokenizer.lengths(CAPTIONS)):
        assert theirs.input_ids[row, :length].tolist() == ours[row, :length].tolist()
    config = transformers.CLIPConfig.from_pretrained(folder)
    assert config.text_config.max_position_embeddings == LONG
    assert config.text_config.eos_token_id == 49_407


@torch.no_grad()
def test_states_and_embeddings_equal_ours(small, folder: Path):
    ready = small()
    tokens = ready.tokenizer.tokenise(CAPTIONS)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    text, states = ready.model.text_tower(tokens)
    whole = transformers.CLIPModel.from_pretrained(folder).eval()
    alone = loaded(
        transformers.CLIPTextModelWithProjection, folder, leftover=("vision_model.", "visual_")
    )
    told = alone(input_ids=tokens)
    torch.testing.assert_close(told.last_hidden_state, states, atol=1e-5, rtol=0)
    torch.testing.assert_close(told.text_embeds, text, atol=1e-5, rtol=0)
    both = whole(input_ids=tokens, pixel_values=images)
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(both.text_embeds, unit(text), atol=1e-5, rtol=0)
    found = unit(ready.model.encode_image(images))
    torch.testing.assert_close(both.image_embeds, found, atol=1e-5, rtol=0)
    torch.testing.assert_close(both.logits_per_image, 50 * found @ unit(text).T, atol=1e-3, rtol=0)


def test_the_preprocessor_has_our_colours(small, folder: Path):
    processor = transformers.CLIPImageProcessor.from_pretrained(folder)
    assert tuple(processor.image_mean) == (0.5, 0.4, 0.3)
    assert tuple(processor.image_std) == (0.2, 0.3, 0.4)
    assert dict(processor.crop_size) == {"height": 32, "width": 32}


@torch.no_grad()
def test_the_export_comes_back(small, folder: Path):
    again, ready = read_clip(str(folder)), small()
    assert again.architecture == ready.architecture
    assert again.logit_scale == pytest.approx(50)
    assert (again.mean, again.std) == (ready.mean, ready.std)
    tokens = ready.tokenizer.tokenise(CAPTIONS)
    torch.testing.assert_close(
        again.model.encode_text(tokens)[0], ready.model.encode_text(tokens)[0]
    )


@torch.no_grad()
def test_a_text_encoder_of_stable_diffusion(small, tmp_path: Path):
    ready = small()
    write_stable_diffusion(ready, tmp_path)
    encoder = transformers.CLIPTextModel.from_pretrained(tmp_path / "text_encoder").eval()
    tokens = ready.tokenizer.tokenise(CAPTIONS)
    states = ready.model.text_tower(tokens)[1]
    torch.testing.assert_close(encoder(tokens).last_hidden_state, states, atol=1e-5, rtol=0)


def test_a_tensor_without_a_place_is_told(small, folder: Path):
    with pytest.raises(InputError, match="tensors without a place: vision_model"):
        loaded(transformers.CLIPTextModelWithProjection, folder)


def test_whitened_images_are_no_clip(small, tmp_path: Path):
    ready = small()
    ready.model.image_norm = torch.nn.BatchNorm1d(12, affine=False)
    with pytest.raises(InputError, match="whitened"):
        write_hugging_face(ready, tmp_path)


@torch.no_grad()
def test_a_second_encoder_is_stretched(small, tmp_path: Path):
    source = tmp_path / "pipeline"
    config = transformers.CLIPTextConfig(
        hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        projection_dim=8, eos_token_id=2,
    )  # fmt: skip
    before = transformers.CLIPTextModelWithProjection(config)
    before.save_pretrained(source / "text_encoder_2")
    write_stable_diffusion(small(context=77), tmp_path / "made")
    (tmp_path / "made" / "tokenizer").rename(source / "tokenizer_2")
    stretch_second(source, tmp_path / "long", LONG)
    after = transformers.CLIPTextModelWithProjection.from_pretrained(
        tmp_path / "long" / "text_encoder_2"
    )
    name = "position_embedding.weight"
    old, new = (
        next(tensor for key, tensor in model.state_dict().items() if key.endswith(name))
        for model in (before, after)
    )
    assert torch.equal(new, stretch_positions(old, LONG))
    tokenizer = transformers.CLIPTokenizer.from_pretrained(tmp_path / "long" / "tokenizer_2")
    assert tokenizer.model_max_length == LONG
    with pytest.raises(InputError, match="the second is stretched as well"):
        stretch_second(tmp_path / "made", tmp_path / "none", LONG)

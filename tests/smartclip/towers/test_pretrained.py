"""Tiny CLIPs made by open_clip, written in every layout, read back, and giving equal outputs."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from smartclip.model import SmartCLIP
from smartclip.towers.architecture import Architecture
from smartclip.towers.open_clip import load_open_clip
from smartclip.towers.pretrained import backbone
from theory.errors import InputError

# Heads of 64 coordinates, as OpenAI's layout takes for granted.
SIZES = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 16, "layers": 2, "width": 128, "patch_size": 8},
    "text_cfg": {"context_length": 9, "vocab_size": 40, "width": 64, "heads": 1, "layers": 2},
}
TOKENS = torch.tensor([[38, 3, 39, 0, 0, 0, 0, 0, 0], [38, 1, 2, 3, 4, 5, 6, 7, 39]])


def architecture(quick_gelu: bool = False) -> Architecture:
    return Architecture.from_open_clip(SIZES | {"quick_gelu": quick_gelu})


def original(quick_gelu: bool = False):
    """A CLIP of open_clip's own, with weights that tell every tensor from every other."""
    torch.manual_seed(0)
    model = load_open_clip().CLIP(**SIZES, quick_gelu=quick_gelu)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def images() -> Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def agrees(found, model, tolerance: float = 1e-5) -> None:
    image_tower, text_tower = found.image_tower.eval(), found.text_tower.eval()
    text, states = text_tower(TOKENS)
    image = image_tower(images())
    torch.testing.assert_close(image, model.encode_image(images()), atol=tolerance, rtol=0)
    torch.testing.assert_close(text, model.encode_text(TOKENS), atol=tolerance, rtol=0)
    assert states.shape == (2, 9, 64)
    assert found.logit_scale == pytest.approx(model.logit_scale.exp().item(), rel=1e-3)


def contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def hugging_face(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under the names of transformers' CLIPModel."""
    fixed = {
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "logit_scale": "logit_scale",
    }
    parts = {
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
        "ln_final": "text_model.final_layer_norm",
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
    }
    renamed = {
        "visual_projection.weight": tensors["visual.proj"].T,
        "text_projection.weight": tensors["text_projection"].T,
    }
    for name, tensor in tensors.items():
        if name in ("visual.proj", "text_projection"):
            continue
        if name in fixed:
            renamed[fixed[name]] = tensor
            continue
        tower = "vision" if name.startswith("visual.") else "text"
        prefix = ""
        if "resblocks" in name:
            number, name = name.partition("resblocks.")[2].split(".", 1)
            prefix = f"{tower}_model.encoder.layers.{number}."
        if "in_proj" in name:
            kind = name.rpartition("_")[2]
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                renamed[f"{prefix}self_attn.{letter}_proj.{kind}"] = part
            continue
        part, _, kind = name.rpartition(".")
        renamed[f"{prefix}{parts[part]}.{kind}"] = tensor
    return contiguous(renamed)


HF_CONFIG = {
    "vision_config": {"hidden_act": "gelu", "num_attention_heads": 2},
    "text_config": {"hidden_act": "gelu", "num_attention_heads": 1},
}


def write_hugging_face(folder: Path, tensors: dict[str, Tensor], config=HF_CONFIG) -> Path:
    save_file(hugging_face(tensors), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_open_clip(folder: Path, tensors: dict[str, Tensor], config=None) -> Path:
    save_file(contiguous(tensors), folder / "open_clip_model.safetensors")
    told = {"model_cfg": config or SIZES, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    return folder


def write_openai(path: Path, tensors: dict[str, Tensor]) -> Path:
    sizes = {"input_resolution": 16, "context_length": 9, "vocab_size": 40}
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    torch.save(halves | {name: torch.tensor(size) for name, size in sizes.items()}, path)
    return path


def test_open_clips_layout(tmp_path: Path):
    model = original()
    found = backbone(architecture(), write_open_clip(tmp_path, model.state_dict()))
    agrees(found, model)
    assert (found.mean, found.std) == ((0.5,) * 3, (0.25,) * 3)


def test_a_training_checkpoint_of_open_clip(tmp_path: Path):
    model = original(quick_gelu=True)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": state}, tmp_path / "epoch_3.pt")
    agrees(backbone(architecture(True), tmp_path / "epoch_3.pt", quick_gelu=True), model)


def test_open_clips_layout_with_the_text_tower_apart(tmp_path: Path):
    torch.manual_seed(0)
    model = load_open_clip().CustomTextCLIP(**SIZES).eval()
    save_file(contiguous(model.state_dict()), tmp_path / "weights.safetensors")
    agrees(backbone(architecture(), tmp_path / "weights.safetensors", quick_gelu=False), model)


def test_openais_layout(tmp_path: Path):
    """Half precision and quick-GELU; open_clip's own reader of that layout is the reference."""
    load_open_clip()
    from open_clip.model import build_model_from_openai_state_dict

    path = write_openai(tmp_path / "weights.pt", original().state_dict())
    state = torch.load(path, weights_only=True)
    reference = build_model_from_openai_state_dict(state, cast_dtype=torch.float32).float().eval()
    agrees(backbone(architecture(quick_gelu=True), path), reference)


def test_hugging_faces_layout(tmp_path: Path):
    model = original()
    agrees(backbone(architecture(), write_hugging_face(tmp_path, model.state_dict())), model)


@pytest.mark.slow
def test_hugging_faces_own_model(tmp_path: Path):
    load_open_clip()
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    shared = {"hidden_act": "gelu", "num_hidden_layers": 2}
    model = transformers.CLIPModel(
        transformers.CLIPConfig(
            vision_config=shared
            | {"hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 2}
            | {"image_size": 16, "patch_size": 8},
            text_config=shared
            | {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 1}
            | {"vocab_size": 40, "max_position_embeddings": 9, "eos_token_id": 39},
            projection_dim=24,
        )
    ).eval()
    model.save_pretrained(tmp_path)
    found = backbone(architecture(), tmp_path)
    with torch.no_grad():
        pooled = model.vision_model(pixel_values=images()).pooler_output
        image = model.visual_projection(pooled)
        read = model.text_model(input_ids=TOKENS)
        text, states = found.text_tower.eval()(TOKENS)
        torch.testing.assert_close(found.image_tower.eval()(images()), image, atol=1e-5, rtol=0)
        torch.testing.assert_close(text, model.text_projection(read.pooler_output))
        torch.testing.assert_close(states, read.last_hidden_state)


def test_a_longer_context_reads_short_captions_the_same(tmp_path: Path):
    model = original()
    folder = write_open_clip(tmp_path, model.state_dict())
    found = backbone(architecture(), folder, context=20, kept=4)
    assert found.architecture.text.context == 20
    tower = found.text_tower.eval()
    assert tower.transformer.attn_mask.shape == (20, 20)
    longer = torch.nn.functional.pad(TOKENS, (0, 11))
    with torch.no_grad():
        text, states = tower(longer)
        expected = model.encode_text(TOKENS)
    # The first caption lies within the positions that were kept, the second does not.
    torch.testing.assert_close(text[0], expected[0])
    assert (text[1] - expected[1]).abs().max() > 1e-3
    assert states.shape == (2, 20, 64)
    # Attention is causal at every new place too.
    with torch.no_grad():
        changed = tower(longer.index_fill(1, torch.tensor([15]), 7))[1]
    torch.testing.assert_close(changed[:, :15], states[:, :15])
    assert not torch.allclose(changed[:, 15:], states[:, 15:])


def test_a_shorter_context_reads_what_fits_the_same(tmp_path: Path):
    model = original()
    folder = write_open_clip(tmp_path, model.state_dict())
    tower = backbone(architecture(), folder, context=5).text_tower.eval()
    with torch.no_grad():
        text, _ = tower(TOKENS[:1, :5])
        torch.testing.assert_close(text, model.encode_text(TOKENS)[:1])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("visual.ln_pre.bias"), "image tower, missing: ln_pre.bias"),
        (lambda t: t.pop("text_projection"), "text tower, missing: text_projection"),
        (
            lambda t: t.update({"transformer.resblocks.2.ln_1.bias": torch.zeros(64)}),
            "text tower, without a place: transformer.resblocks.2.ln_1.bias",
        ),
        (
            lambda t: t.update({"ln_final.weight": torch.zeros(65)}),
            r"text tower, of another shape: ln_final.weight \(65,\) for \(64,\)",
        ),
        (lambda t: t.update({"extra.weight": torch.zeros(3)}), "does not have: extra.weight"),
        (
            lambda t: t.update({"positional_embedding": torch.zeros(8, 64)}),
            r"positional_embedding \(8, 64\) for \(9, 64\)",
        ),
    ],
)
def test_every_tensor_is_accounted_for(change, told, tmp_path: Path):
    tensors = dict(original().state_dict())
    change(tensors)
    with pytest.raises(InputError, match=told):
        backbone(architecture(), write_open_clip(tmp_path, tensors))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda t: t.pop("text_model.encoder.layers.1.self_attn.k_proj.bias"),
            "without self_attn.k_proj",
        ),
        (
            lambda t: t.update({"text_model.encoder.layers.0.gate.weight": torch.zeros(2)}),
            "layers.0.gate.weight",
        ),
        (
            lambda t: t.update({"text_model.embeddings.position_ids": torch.ones(1, 9)}),
            "position_ids",
        ),
    ],
)
def test_hugging_faces_tensors_are_accounted_for(change, told, tmp_path: Path):
    folder = write_hugging_face(tmp_path, original().state_dict())
    tensors = hugging_face(original().state_dict())
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match=told):
        backbone(architecture(), folder)


def test_older_position_ids_are_taken(tmp_path: Path):
    model = original()
    folder = write_hugging_face(tmp_path, model.state_dict())
    ids = {"text_model.embeddings.position_ids": torch.arange(9)[None]}
    save_file(hugging_face(model.state_dict()) | ids, folder / "model.safetensors")
    agrees(backbone(architecture(), folder), model)


def test_quick_gelu_goes_with_its_origin(tmp_path: Path):
    state = original().state_dict()
    with pytest.raises(InputError, match="trained with quick-GELU, in towers with GELU"):
        backbone(architecture(), write_openai(tmp_path / "openai.pt", state))
    folder = write_open_clip(tmp_path, state)
    with pytest.raises(InputError, match="trained with GELU, in towers with quick-GELU"):
        backbone(architecture(True), folder)
    with pytest.raises(InputError, match="says quick_gelu=False"):
        backbone(architecture(True), folder, quick_gelu=True)
    (folder / "open_clip_config.json").unlink()
    with pytest.raises(InputError, match="no tensor tells"):
        backbone(architecture(), folder)
    backbone(architecture(), folder, quick_gelu=False)


@pytest.mark.parametrize(
    ("vision", "text", "told"),
    [
        ({"hidden_act": "quick_gelu"}, {"hidden_act": "quick_gelu"}, "in towers with GELU"),
        ({}, {}, "activations gelu, quick_gelu"),
        ({"hidden_act": "gelu_new"}, {}, "gelu_new"),
        ({"num_attention_heads": 4}, {}, r"\(4, 1\) attention heads"),
        ({"layer_norm_eps": 1e-6}, {}, "1e-06"),
    ],
)
def test_hugging_faces_configuration_is_read(vision, text, told, tmp_path: Path):
    config = {
        "vision_config": {"hidden_act": "gelu", "num_attention_heads": 2} | vision,
        "text_config": {"hidden_act": "gelu", "num_attention_heads": 1} | text,
    }
    if told.startswith("activations"):
        del config["vision_config"]["hidden_act"]  # then it is transformers' default
    folder = write_hugging_face(tmp_path, original().state_dict(), config)
    with pytest.raises(InputError, match=told):
        backbone(architecture(), folder)


def test_files_that_are_no_weights(tmp_path: Path):
    size = architecture()
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(b"no weights")
    program = tmp_path / "program.pt"
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), program)
    objects = tmp_path / "objects.pt"
    torch.save({"model": torch.nn.Linear(2, 2)}, objects)
    numbers = tmp_path / "numbers.bin"
    torch.save({"a": 1}, numbers)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    for path, told in (
        (damaged, "cannot be read as weights"),
        (program, "cannot be read as weights"),
        (objects, "cannot be read as weights"),
        (numbers, "dictionary of tensors"),
        (other, "holds a ..."),
        (tmp_path / "missing.bin", "does not exist"),
        (tmp_path, "holds none of"),
    ):
        with pytest.raises(InputError, match=told):
            backbone(size, path)


def test_unknown_tags_list_the_known_ones():
    with pytest.raises(InputError, match=r"owner/name, or one of openai, laion400m"):
        backbone("ViT-B-32", "laion3b")


@pytest.mark.parametrize("weights", ["hf-hub:nobody/nothing", "laion2b_s34b_b79k"])
def test_offline_the_hub_is_one_clear_error(weights: str, monkeypatch, tmp_path: Path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="could not be fetched"):
        backbone("ViT-B-32", weights)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that the hub is made of: every repository holds what lies in it."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    def download(repository: str, file: str) -> str:
        if not (tmp_path / file).exists():
            raise EntryNotFoundError(file)
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return tmp_path


def test_a_hub_repository_is_read_like_a_folder(hub: Path):
    model = original()
    write_hugging_face(hub, model.state_dict())
    colours = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1.0, 1.0, 1.0]}
    (hub / "preprocessor_config.json").write_text(json.dumps(colours))
    found = backbone(architecture(), "hf-hub:owner/name")
    agrees(found, model)
    assert found.source == "hf-hub:owner/name"
    assert found.mean == (0.1, 0.2, 0.3)


def test_open_clips_file_goes_before_another_models_beside_it(hub: Path):
    model = original()
    write_open_clip(hub, model.state_dict())
    save_file({"blocks.0.weight": torch.zeros(1)}, hub / "model.safetensors")
    agrees(backbone(architecture(), "hf-hub:owner/name"), model)


def test_an_empty_repository_is_told(hub: Path):
    with pytest.raises(InputError, match="has none of open_clip_model"):
        backbone(architecture(), "hf-hub:owner/name")


def test_a_tag_says_how_its_weights_were_trained(hub: Path, monkeypatch: pytest.MonkeyPatch):
    """open_clip lists OpenAI's weights under ViT-B-32 too, where they do not belong."""
    load_open_clip()
    monkeypatch.setattr(Architecture, "named", lambda name: architecture("quickgelu" in name))
    model = original()
    write_open_clip(hub, model.state_dict())
    found = backbone("ViT-B-32", "laion2b_s34b_b79k")
    agrees(found, model)
    assert found.source.startswith("laion2b_s34b_b79k (")
    with pytest.raises(InputError, match="trained with quick-GELU, in towers with GELU"):
        backbone("ViT-B-32", "openai")
    assert backbone("ViT-B-32-quickgelu", "openai").architecture.quick_gelu


def test_random_weights_follow_the_default_generator():
    first, again, other = (
        backbone(architecture(), context=12).image_tower.state_dict()
        for seed in (0, 0, 1)
        if torch.manual_seed(seed)
    )
    for name in first:
        torch.testing.assert_close(first[name], again[name])
    assert any(not torch.equal(first[name], other[name]) for name in first)


def smartclip(device: str = "cpu") -> SmartCLIP:
    found = backbone(architecture(), context=12)
    return SmartCLIP(
        found.image_tower,
        found.text_tower,
        width=found.text_tower.width,
        dimension=24,
        whiten=False,
        budget=False,
    ).to(device)


def test_a_pretrained_smartclip_passes_every_gradient():
    model = smartclip()
    batch = model(
        images(),
        torch.nn.functional.pad(TOKENS, (0, 3)),
        generator=torch.Generator().manual_seed(0),
    )
    (batch.image * batch.mask - batch.text).square().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert silent == []


def test_every_tensor_is_made_on_its_inputs_device():
    """A pass on a device without memory finds a tensor made on the CPU."""
    model = smartclip("meta").eval()
    tokens = torch.zeros(2, 12, dtype=torch.int64, device="meta")
    batch = model(torch.randn(2, 3, 16, 16, device="meta"), tokens)
    assert {part.device.type for part in batch} == {"meta"}
    with pytest.raises(RuntimeError, match="device"):
        model(torch.randn(2, 3, 16, 16), tokens)


@pytest.mark.gpu
def test_gpu_forward_agrees_with_cpu():
    torch.manual_seed(0)
    model = smartclip().eval()
    tokens = torch.nn.functional.pad(TOKENS, (0, 3))
    with torch.no_grad():
        here = model(images(), tokens)
        there = model.cuda()(images().cuda(), tokens.cuda())
    torch.testing.assert_close(there.image.cpu(), here.image, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(there.text.cpu(), here.text, atol=1e-3, rtol=1e-3)

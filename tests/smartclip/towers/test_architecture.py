import pytest

from smartclip.towers.architecture import Architecture, known_names
from smartclip.towers.open_clip import TextConfig, ViTConfig, load_open_clip
from theory.errors import InputError


@pytest.mark.parametrize(
    ("name", "heads", "widths"),
    [
        ("ViT-B/32", (12, 8), (768, 512)),
        ("ViT-B-16-quickgelu", (12, 8), (768, 512)),
        ("ViT-L-14", (16, 12), (1024, 768)),
    ],
)
def test_names_give_the_published_sizes(name, heads, widths):
    clip = Architecture.named(name)
    assert (clip.image.heads, clip.text.heads) == heads
    assert (clip.image.width, clip.text.width) == widths
    assert clip.quick_gelu == name.endswith("quickgelu")
    assert clip.text.vocabulary == 49_408
    assert clip.with_context(248).text.context == 248


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ViT-B-17", "open_clip's names"),
        ("ViT-B-16-SigLIP", "hf_tokenizer_name"),
        ("RN50", "convolutional"),
    ],
)
def test_other_models_are_refused(name, told):
    with pytest.raises(InputError, match=told):
        Architecture.named(name)


@pytest.mark.parametrize("name", ["ViT-S-16", "ViT-g-14"])
def test_towers_have_the_parameters_of_open_clip(name):
    """Counted on the meta device, where even a giant takes no memory."""
    import torch

    module = load_open_clip()
    with torch.device("meta"):
        theirs = module.CLIP(**module.get_model_config(name))
        towers = Architecture.named(name).towers()
    counted = sum(p.numel() for tower in towers for p in tower.parameters())
    assert counted == sum(p.numel() for p in theirs.parameters()) - 1  # their temperature


def test_known_names_can_all_be_made():
    assert len(known_names()) > 20
    for name in known_names():
        assert Architecture.named(name).dimension > 0


def test_impossible_sizes_are_refused():
    image, text = ViTConfig(), TextConfig(vocabulary=9, context=5)
    with pytest.raises(InputError, match="dimension = 0"):
        Architecture(image=image, text=text, dimension=0)
    with pytest.raises(InputError, match="activation"):
        Architecture(image=ViTConfig(quick_gelu=True), text=text, dimension=4)


def test_a_perceptron_may_be_wider_or_narrower():
    image = ViTConfig(layers=1, mlp_ratio=2.0)
    text = TextConfig(vocabulary=9, context=5, layers=1, mlp_ratio=3.0)
    towers = Architecture(image=image, text=text, dimension=4).towers()
    inside = [tower.transformer.transformer.resblocks[0].mlp.c_fc for tower in towers]
    assert [layer.out_features for layer in inside] == [128, 192]

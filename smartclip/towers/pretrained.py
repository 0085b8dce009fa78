"""A CLIP to start from: both towers, with trained weights or random ones, captions of any length.

Weights are loaded strictly (every tensor has its place, every shape fits) and the activation is
checked against the one they were trained with: OpenAI's CLIP uses x sigmoid(1.702 x), LAION's the
exact GELU, and the wrong one loads without a complaint and costs several points of accuracy.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from smartclip.data.crop import MEAN, STD
from smartclip.towers.architecture import Architecture
from smartclip.towers.open_clip import ImageTower, TextTower
from smartclip.towers.positions import KEPT, stretch_positions
from smartclip.towers.weights import Colour, Weights, fetch_weights, read_weights
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """Two towers and what one has to know to use them.

    Attributes:
        architecture: their size.
        image_tower: images -> z_I [B, D].
        text_tower: tokens -> (z_T [B, D], states [B, L, W]).
        source: where the weights come from; "random".
        logit_scale: that the weights were trained to; None for random ones.
        mean: of each colour, that images are normalised with.
        std: of each colour.
    """

    architecture: Architecture
    image_tower: ImageTower
    text_tower: TextTower
    source: str = "random"
    logit_scale: float | None = None
    mean: Colour = MEAN
    std: Colour = STD


def backbone(
    model: str | Architecture,
    weights: str | Path | Weights | None = None,
    *,
    context: int | None = None,
    kept: int = KEPT,
    quick_gelu: bool | None = None,
) -> Backbone:
    """A CLIP by its size and its weights.

    Args:
        model: open_clip's name of it, such as `ViT-B-16-quickgelu`, or its sizes.
        weights: a file or folder in the layout of OpenAI, open_clip or Hugging Face; on the hub
            `hf-hub:owner/name` or one of open_clip's tags, such as `openai`; what `read_weights`
            or `fetch_weights` gave; none for random weights, drawn from torch's default
            generator.
        context: tokens of a caption, start and end included; position embeddings are stretched
            to it. None keeps the model's own.
        kept: positions that stay as they are when stretched.
        quick_gelu: what the weights were trained with, where nothing beside the file tells.

    Raises:
        InputError: unknown model, unreadable weights, weights of another size or activation.

    Example:
        >>> import torch
        >>> from smartclip.towers.open_clip import TextConfig, ViTConfig
        >>> size = Architecture(
        ...     image=ViTConfig(layers=1), text=TextConfig(vocabulary=9, context=5), dimension=6
        ... )
        >>> backbone(size, context=8).text_tower(torch.tensor([[1, 4, 8, 0, 0, 0, 0, 0]]))[0].shape
        torch.Size([1, 6])
    """
    size = Architecture.named(model) if isinstance(model, str) else model
    native = size.text.context
    size = size if context is None else size.with_context(context)
    image_tower, text_tower = size.towers()
    if weights is None:
        return Backbone(architecture=size, image_tower=image_tower, text_tower=text_tower)
    name = model if isinstance(model, str) else "a model of this size"
    found = weights if isinstance(weights, Weights) else _found(name, weights)
    _check_training(found, size, quick_gelu)
    text = dict(found.tensors.text)
    positions = text.get("positional_embedding")
    if positions is not None and len(positions) == native != size.text.context:
        text["positional_embedding"] = stretch_positions(
            positions.float(), size.text.context, kept=kept
        )
    towers = {
        "image": (image_tower.transformer, found.tensors.image),
        "text": (text_tower.transformer, text),
    }
    wrong = [
        complaint
        for tower, (module, tensors) in towers.items()
        for complaint in _differences(tower, module, tensors)
    ]
    if wrong:
        raise InputError(
            f"{found.source} does not fit {name}: {'; '.join(wrong)}",
            rule="every tensor has its place in the towers, with the same shape",
            fix="name the model that the weights are of",
        )
    for module, tensors in towers.values():
        module.load_state_dict(tensors)
    return Backbone(
        architecture=size,
        image_tower=image_tower,
        text_tower=text_tower,
        source=found.source,
        logit_scale=found.tensors.logit_scale,
        mean=found.mean,
        std=found.std,
    )


def _found(name: str, weights: str | Path) -> Weights:
    path = Path(weights)
    if path.exists() or isinstance(weights, Path) or path.suffix:
        return read_weights(path)
    return fetch_weights(name, str(weights))


def _check_training(found: Weights, size: Architecture, told: bool | None) -> None:
    """Activation and heads, which no shape gives away."""
    if told is not None and found.quick_gelu not in (None, told):
        raise InputError(
            f"quick_gelu={told} for {found.source}",
            rule=f"what lies beside these weights says quick_gelu={found.quick_gelu}",
            fix="leave it out",
        )
    found = replace(found, quick_gelu=told if found.quick_gelu is None else found.quick_gelu)
    if found.quick_gelu is None:
        raise InputError(
            f"{found.source} in the layout of {found.tensors.layout}, alone",
            rule="no tensor tells whether weights were trained with quick-GELU (OpenAI) or with "
            "GELU (LAION)",
            fix="put its config.json or open_clip_config.json beside it, or pass quick_gelu",
        )
    if found.quick_gelu != size.quick_gelu:
        kind = {True: "quick-GELU", False: "GELU"}
        raise InputError(
            f"{found.source}, trained with {kind[found.quick_gelu]}, in towers with "
            f"{kind[size.quick_gelu]}",
            rule="weights go with the activation they were trained with",
            fix="take the model's name "
            + ("with -quickgelu" if found.quick_gelu else "without -quickgelu"),
        )
    heads = (size.image.heads, size.text.heads)
    if found.heads not in (None, heads):
        raise InputError(
            f"{found.source} with {found.heads} attention heads in towers with {heads}",
            rule="weights go with the number of heads they were trained with",
            fix="name the model that the weights are of",
        )


def _differences(tower: str, module: nn.Module, tensors: dict[str, Tensor]) -> list[str]:
    expected = module.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - expected.keys())
    shapes = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & tensors.keys())
        if tensors[name].shape != expected[name].shape
    ]
    told = {"missing": missing, "without a place": unknown, "of another shape": shapes}
    return [f"{tower} tower, {how}: {', '.join(names)}" for how, names in told.items() if names]

"""How checkpoints of CLIP name their tensors, and what they are called in these towers.

    OpenAI         visual.*, transformer.*; three sizes (input_resolution, ...) as tensors
    open_clip      the same without the sizes; or the text tower under text.*
    Long-CLIP      the same with two tables of positions: the first rows of positional_embedding,
                   which stay as they were, and the others of positional_embedding_res
    Hugging Face   vision_model.*, text_model.*, *_projection.weight; q, k and v apart

Nothing is dropped unread: a tensor that is none of a layout's is told by name.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from smartclip.towers.positions import KEPT
from theory.errors import InputError

Layout = Literal["OpenAI", "open_clip", "Long-CLIP", "Hugging Face"]

_TEXT_PARTS = ("transformer.", "token_embedding.", "ln_final.")
_TEXT_TENSORS = ("positional_embedding", "text_projection")
# Long-CLIP's second table; its rows count from KEPT on, the first table's before.
_RESIDUAL_POSITIONS = "positional_embedding_res"
# Sizes that OpenAI's own file carries as tensors.
_OPENAI_SIZES = ("input_resolution", "context_length", "vocab_size")

_HF_NAMES: dict[str, tuple[str, str]] = {
    "vision_model.embeddings.class_embedding": ("image", "class_embedding"),
    "vision_model.embeddings.patch_embedding.weight": ("image", "conv1.weight"),
    "vision_model.embeddings.position_embedding.weight": ("image", "positional_embedding"),
    "vision_model.pre_layrnorm.weight": ("image", "ln_pre.weight"),
    "vision_model.pre_layrnorm.bias": ("image", "ln_pre.bias"),
    "vision_model.post_layernorm.weight": ("image", "ln_post.weight"),
    "vision_model.post_layernorm.bias": ("image", "ln_post.bias"),
    "text_model.embeddings.token_embedding.weight": ("text", "token_embedding.weight"),
    "text_model.embeddings.position_embedding.weight": ("text", "positional_embedding"),
    "text_model.final_layer_norm.weight": ("text", "ln_final.weight"),
    "text_model.final_layer_norm.bias": ("text", "ln_final.bias"),
}
_HF_PROJECTIONS = {
    "visual_projection.weight": ("image", "proj"),
    "text_projection.weight": ("text", "text_projection"),
}
_HF_LAYER = re.compile(r"(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_HF_PARTS = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_HF_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedTensors:
    """The tensors of a checkpoint under the names of open_clip's two transformers.

    Attributes:
        layout: which of the four.
        image: of the image transformer.
        text: of the text transformer.
        logit_scale: exp of the logarithm that is stored; None if the checkpoint has none.
    """

    layout: Layout
    image: dict[str, Tensor]
    text: dict[str, Tensor]
    logit_scale: float | None


def named_tensors(tensors: dict[str, Tensor], source: str) -> NamedTensors:
    """Sort the tensors of a checkpoint into two towers, whichever of the layouts it has.

    Args:
        tensors: as they are stored.
        source: the file, for error messages.

    Raises:
        InputError: none of the layouts, or a tensor that the layout does not have.
    """
    left = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    read: Callable[[dict[str, Tensor], str], NamedTensors]
    if "vision_model.embeddings.class_embedding" in left:
        read = _hugging_face
    elif "visual.conv1.weight" in left:
        read = _open_clip
    else:
        raise InputError(
            f"{source} holds {', '.join(sorted(left)[:3]) or 'no tensors'} ...",
            rule="a checkpoint of CLIP has visual.conv1.weight (OpenAI, open_clip) or "
            "vision_model.embeddings.class_embedding (Hugging Face)",
            fix="give the weights of a whole CLIP with a vision transformer",
        )
    scale = left.pop("logit_scale", None)
    found = read(left, source)
    return NamedTensors(
        layout=found.layout,
        image=found.image,
        text=found.text,
        logit_scale=None if scale is None else math.exp(float(scale)),
    )


def to_open_clip(named: NamedTensors) -> dict[str, Tensor]:
    """The tensors under open_clip's names; `named_tensors` gives them back."""
    tensors = {f"visual.{name}": tensor for name, tensor in named.image.items()} | named.text
    return _whole(tensors, named.logit_scale)


def to_hugging_face(named: NamedTensors) -> dict[str, Tensor]:
    """The tensors under the names of Hugging Face's `CLIPModel`; `named_tensors` gives them back.

    The names are nested (`text_model.encoder...`) also where transformers keeps them flat in
    memory: `from_pretrained` finds its tensors under these in every version.
    """
    fixed = {place: theirs for theirs, place in _HF_NAMES.items()}
    projections = {place: theirs for theirs, place in _HF_PROJECTIONS.items()}
    parts = {ours: theirs for theirs, ours in _HF_PARTS.items()}
    tensors: dict[str, Tensor] = {}
    for tower, found in (("image", named.image), ("text", named.text)):
        prefix = {"image": "vision", "text": "text"}[tower]
        for name, tensor in found.items():
            if (tower, name) in fixed:
                tensors[fixed[tower, name]] = tensor
            elif (tower, name) in projections:
                tensors[projections[tower, name]] = tensor.T
            else:
                _, _, number, ours = name.split(".", 3)
                layer = f"{prefix}_model.encoder.layers.{number}"
                if ours.startswith("attn.in_proj_"):
                    kind = ours.removeprefix("attn.in_proj_")
                    for theirs, part in zip(_HF_QKV, tensor.chunk(3), strict=True):
                        tensors[f"{layer}.{theirs}.{kind}"] = part
                else:
                    part, _, kind = ours.rpartition(".")
                    tensors[f"{layer}.{parts[part]}.{kind}"] = tensor
    return _whole(tensors, named.logit_scale)


def _whole(tensors: dict[str, Tensor], logit_scale: float | None) -> dict[str, Tensor]:
    """Each tensor with memory of its own, and the logarithm of the scale."""
    scale = {} if logit_scale is None else {"logit_scale": torch.tensor(math.log(logit_scale))}
    owned = (tensors | scale).items()
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in owned}


def _open_clip(left: dict[str, Tensor], source: str) -> NamedTensors:
    sizes = {name: int(left.pop(name)) for name in _OPENAI_SIZES if name in left}
    image, text, unknown = {}, {}, []
    later = left.pop(_RESIDUAL_POSITIONS, None)
    for name, tensor in left.items():
        bare = name.removeprefix("text.")
        if name.startswith("visual."):
            image[name.removeprefix("visual.")] = tensor
        elif bare.startswith(_TEXT_PARTS) or bare in _TEXT_TENSORS:
            text[bare] = tensor
        else:
            unknown.append(name)
    _refuse(unknown, source)
    for name, key, axis in (
        ("context_length", "positional_embedding", 0),
        ("vocab_size", "token_embedding.weight", 0),
    ):
        if name in sizes and key in text and text[key].shape[axis] != sizes[name]:
            raise InputError(
                f"{source} says {name} {sizes[name]} and has {key} {tuple(text[key].shape)}",
                rule="a checkpoint agrees with itself",
                fix="fetch it again",
            )
    layout: Layout = "OpenAI" if sizes else "open_clip"
    if later is not None:
        layout = "Long-CLIP"
        first = text.get("positional_embedding")
        if first is None or first.shape != later.shape:
            raise InputError(
                f"{source} with {_RESIDUAL_POSITIONS} {tuple(later.shape)} beside "
                f"positional_embedding {'missing' if first is None else tuple(first.shape)}",
                rule="Long-CLIP's two tables of positions have one shape",
                fix="fetch it again",
            )
        text["positional_embedding"] = torch.cat([first[:KEPT], later[KEPT:]])
    return NamedTensors(layout=layout, image=image, text=text, logit_scale=None)


def _hugging_face(left: dict[str, Tensor], source: str) -> NamedTensors:
    towers: dict[str, dict[str, Tensor]] = {"image": {}, "text": {}}
    unknown = []
    joined: dict[tuple[str, str], dict[str, Tensor]] = {}
    for name, tensor in left.items():
        if name in _HF_NAMES:
            tower, ours = _HF_NAMES[name]
            towers[tower][ours] = tensor
        elif name in _HF_PROJECTIONS:
            tower, ours = _HF_PROJECTIONS[name]
            towers[tower][ours] = tensor.T.contiguous()
        elif name.endswith("_model.embeddings.position_ids"):
            # 0, 1, 2, ... kept as a buffer by older versions.
            if not torch.equal(tensor.flatten().long(), torch.arange(tensor.numel())):
                unknown.append(name)
        elif (layer := _HF_LAYER.fullmatch(name)) and layer[3] in (*_HF_PARTS, *_HF_QKV):
            tower = "image" if layer[1] == "vision" else "text"
            block = f"transformer.resblocks.{layer[2]}"
            if layer[3] in _HF_QKV:
                place = (tower, f"{block}.attn.in_proj_{layer[4]}")
                joined.setdefault(place, {})[layer[3]] = tensor
            else:
                towers[tower][f"{block}.{_HF_PARTS[layer[3]]}.{layer[4]}"] = tensor
        else:
            unknown.append(name)
    _refuse(unknown, source)
    for (tower, ours), parts in joined.items():
        if lacking := [part for part in _HF_QKV if part not in parts]:
            raise InputError(
                f"{source} without {', '.join(lacking)} for {ours} of the {tower} tower",
                rule="attention has queries, keys and values",
                fix="fetch it again",
            )
        towers[tower][ours] = torch.cat([parts[part] for part in _HF_QKV])
    return NamedTensors(
        layout="Hugging Face", image=towers["image"], text=towers["text"], logit_scale=None
    )


def _refuse(unknown: list[str], source: str) -> None:
    if unknown:
        raise InputError(
            f"{source} holds tensors that a CLIP does not have: {', '.join(sorted(unknown))}",
            rule="every tensor of a checkpoint is accounted for",
            fix="give the weights of a plain CLIP",
        )

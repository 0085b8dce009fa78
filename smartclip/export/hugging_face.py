"""Folders that transformers loads: `CLIPModel`, and `CLIPTextModelWithProjection` from the same.

Longer captions need three settings: `max_position_embeddings`, the tokenizer's `model_max_length`,
and an `eos_token_id` of 49407 (with 2, transformers pools at the largest id, as older files did).
Every folder is loaded again by `from_pretrained` and its tensors are counted: names that differ
leave random weights behind, without an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from smartclip.export.extra import needed
from smartclip.export.plain import plain_tensors
from smartclip.ready import ReadyModel
from smartclip.text import CLIPTokenizer, clip_pieces
from smartclip.towers.architecture import Architecture
from smartclip.towers.layouts import to_hugging_face
from theory.errors import InputError
from theory.storage import write_atomically

START, END = "<|startoftext|>", "<|endoftext|>"


def write_hugging_face(ready: ReadyModel, folder: Path) -> Path:
    """The whole CLIP: `CLIPModel.from_pretrained(folder)`, its tokenizer and its preprocessor.

    `CLIPTextModelWithProjection.from_pretrained(folder)` reads the text tower of the same folder.

    Raises:
        InputError: the extra is missing, or towers that `CLIPModel` does not have.
    """
    transformers = needed("transformers")
    size = ready.architecture
    config = transformers.CLIPConfig(
        text_config=_text_config(size, ready.tokenizer),
        vision_config=_vision_config(size),
        projection_dim=size.dimension,
    )
    config.architectures = ["CLIPModel"]
    write_tensors(to_hugging_face(plain_tensors(ready)), folder)
    config.save_pretrained(folder)
    write_tokenizer(ready.tokenizer, folder)
    side = {"height": size.image.image_size, "width": size.image.image_size}
    transformers.CLIPImageProcessor(
        size={"shortest_edge": size.image.image_size},
        crop_size=side,
        image_mean=list(ready.mean),
        image_std=list(ready.std),
    ).save_pretrained(folder)
    loaded(transformers.CLIPModel, folder)
    # The towers of images are told to be left over, which they are.
    loaded(transformers.CLIPTextModelWithProjection, folder, leftover=("vision_model.", "visual_"))
    return folder


def write_text_encoder(
    ready: ReadyModel, encoder: Path, tokenizer: Path, *, projection: bool = False
) -> None:
    """The text tower alone, as Stable Diffusion has it.

    Args:
        ready: whose.
        encoder: folder of the `CLIPTextModel`.
        tokenizer: folder of its tokenizer.
        projection: with the last linear map, `CLIPTextModelWithProjection`.

    Raises:
        InputError: the extra is missing.
    """
    transformers = needed("transformers")
    kind = transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel
    config = transformers.CLIPTextConfig(**_text_config(ready.architecture, ready.tokenizer))
    config.architectures = [kind.__name__]
    wanted = ("text_model.", "text_projection.") if projection else ("text_model.",)
    tensors = to_hugging_face(plain_tensors(ready))
    write_tensors({n: t for n, t in tensors.items() if n.startswith(wanted)}, encoder)
    config.save_pretrained(encoder)
    write_tokenizer(ready.tokenizer, tokenizer)
    loaded(kind, encoder)


def write_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """CLIP's byte-pair pieces with `model_max_length`, as transformers reads them."""
    transformers = needed("transformers")
    vocabulary, merges = clip_pieces()
    names = {tokenizer.start: START, tokenizer.end: END}
    transformers.CLIPTokenizer(
        vocab={names.get(number, piece): number for piece, number in vocabulary.items()},
        merges=list(merges),
        model_max_length=tokenizer.context,
    ).save_pretrained(folder)


def write_tensors(tensors: dict[str, Tensor], folder: Path) -> None:
    """`model.safetensors`."""
    with write_atomically(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})


def loaded(kind: Any, folder: Path, *, leftover: tuple[str, ...] = ()) -> Any:
    """The model in a folder, if every tensor found its place.

    Args:
        kind: a class of transformers.
        folder: that was written.
        leftover: how names of tensors begin that this class has no place for.

    Raises:
        InputError: a tensor is missing, left over, or of another shape.
    """
    with torch.random.fork_rng(devices=[]), _quiet():
        model, told = kind.from_pretrained(folder, output_loading_info=True)
    unexpected = [
        name for name in told["unexpected_keys"] if not name.startswith((*leftover, "logit_scale"))
    ]
    wrong = [*told["missing_keys"], *unexpected, *map(str, told["mismatched_keys"])]
    if wrong:
        raise InputError(
            f"{folder}, loaded as {kind.__name__}, leaves {len(wrong)} tensors without a place: "
            + ", ".join(sorted(wrong)[:3]),
            rule="every tensor of an export is found by the program that it is for",
            fix="use a version of transformers from 5.6 on, and report this one",
        )
    return model.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars and tables of transformers."""
    told = needed("transformers.utils.logging")
    before, bars = told.get_verbosity(), told.is_progress_bar_enabled()
    told.set_verbosity_error()
    told.disable_progress_bar()
    try:
        yield
    finally:
        told.set_verbosity(before)
        if bars:
            told.enable_progress_bar()


def _text_config(size: Architecture, tokenizer: CLIPTokenizer) -> dict[str, Any]:
    text = size.text
    return {
        "vocab_size": text.vocabulary,
        "hidden_size": text.width,
        "intermediate_size": round(text.width * text.mlp_ratio),
        "projection_dim": size.dimension,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "max_position_embeddings": text.context,
        "hidden_act": "quick_gelu" if text.quick_gelu else "gelu",
        "bos_token_id": tokenizer.start,
        "eos_token_id": tokenizer.end,
        "pad_token_id": tokenizer.end,
    }


def _vision_config(size: Architecture) -> dict[str, Any]:
    image = size.image
    return {
        "hidden_size": image.width,
        "intermediate_size": round(image.width * image.mlp_ratio),
        "projection_dim": size.dimension,
        "num_hidden_layers": image.layers,
        "num_attention_heads": image.heads,
        "num_channels": image.channels,
        "image_size": image.image_size,
        "patch_size": image.patch,
        "hidden_act": "quick_gelu" if image.quick_gelu else "gelu",
    }

"""Text encoders that take the place of CLIP's in Stable Diffusion 1.5 and in SDXL.

Both read the states of every token. SDXL joins the states of two encoders coordinate by coordinate,
so that both have to read captions of one length: where the first reads 248 tokens, the second has
its positions stretched to 248 too. SDXL takes its pooled vector from the second encoder alone, so
masks and our pooled vector play no part in it.
"""

import json
from pathlib import Path

from safetensors.torch import load_file

from smartclip.export.extra import needed
from smartclip.export.hugging_face import loaded, write_tensors, write_text_encoder
from smartclip.ready import ReadyModel
from smartclip.towers.positions import KEPT, stretch_positions
from theory.errors import InputError

_POSITIONS = "text_model.embeddings.position_embedding.weight"
_WEIGHTS = ("model.safetensors", "model.fp16.safetensors")


def write_stable_diffusion(ready: ReadyModel, folder: Path) -> Path:
    """`text_encoder` and `tokenizer`, to be given to a `StableDiffusionPipeline`.

    Raises:
        InputError: the extra is missing.
    """
    write_text_encoder(ready, folder / "text_encoder", folder / "tokenizer")
    return folder


def write_sdxl(ready: ReadyModel, folder: Path, pipeline: Path) -> Path:
    """Both encoders and both tokenizers of a `StableDiffusionXLPipeline`.

    Args:
        ready: becomes the first encoder.
        folder: gets `text_encoder`, `tokenizer`, `text_encoder_2` and `tokenizer_2`.
        pipeline: folder of an SDXL pipeline; its second encoder is copied and stretched to the
            context of the first.

    Raises:
        InputError: the extra is missing, or the folder holds no second encoder.
    """
    write_stable_diffusion(ready, folder)
    stretch_second(pipeline, folder, ready.tokenizer.context)
    return folder


def stretch_second(pipeline: Path, folder: Path, context: int) -> None:
    """The second encoder of an SDXL pipeline, reading captions of `context` tokens.

    Raises:
        InputError: the folder holds no second encoder.
    """
    transformers = needed("transformers")
    source, target = pipeline / "text_encoder_2", folder / "text_encoder_2"
    weights = next((source / name for name in _WEIGHTS if (source / name).is_file()), None)
    if weights is None or not (source / "config.json").is_file():
        raise InputError(
            f"{source} without config.json and one of {', '.join(_WEIGHTS)}",
            rule="SDXL joins the states of two encoders, so the second is stretched as well",
            fix="give the folder of an SDXL pipeline with --sdxl",
        )
    tensors = load_file(weights)
    if _POSITIONS not in tensors:
        raise InputError(
            f"{weights} without {_POSITIONS}",
            rule="the second encoder of SDXL is a CLIPTextModelWithProjection",
            fix="give the folder of an SDXL pipeline with --sdxl",
        )
    positions = tensors[_POSITIONS]
    kept = min(KEPT, max(0, len(positions) - 2))
    stretched = stretch_positions(positions.float(), context, kept=kept).to(positions.dtype)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] = context
    write_tensors(tensors | {_POSITIONS: stretched}, target)
    transformers.CLIPTextConfig(**config).save_pretrained(target)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(pipeline / "tokenizer_2")
    tokenizer.model_max_length = context
    tokenizer.save_pretrained(folder / "tokenizer_2")
    loaded(transformers.CLIPTextModelWithProjection, target)

"""A model card: what a model is, how and on what it was trained, how well it does, its licence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smartclip.data.printed import shown
from smartclip.ready import ReadyModel
from theory.storage import write_atomically

NOT_STATED = "not stated"
ABOUT = {
    "open-clip": "`open-clip/`: load it by "
    '`open_clip.create_model_and_transforms("local-dir:open-clip")`.',
    "hugging-face": "`hugging-face/`: `CLIPModel`, `CLIPTextModelWithProjection`, "
    "`CLIPTokenizer` and `CLIPImageProcessor` of transformers load it by `from_pretrained`.",
    "stable-diffusion": "`stable-diffusion/`: `text_encoder` and `tokenizer` take the place of "
    "those of Stable Diffusion 1.5. The diffusion model was trained with CLIP's encoder: what it "
    "makes of this one is not measured here.",
    "sdxl": "`sdxl/`: `text_encoder`, `tokenizer`, `text_encoder_2` and `tokenizer_2` take the "
    "place of those of SDXL, all four together, since the states of both encoders are joined and "
    "have one length. The second encoder is the given one with its positions stretched. SDXL "
    "takes its pooled vector from the second encoder alone: masks and this model's pooled vector "
    "play no part.",
    "onnx": "`onnx/`: `image.onnx`, `text.onnx` and, of a model with masks, `mask.onnx`. Batches "
    "have any size. The mask network reads the states of padding too: pad captions to the context "
    "with 0.",
}


def write_card(
    ready: ReadyModel,
    folder: Path,
    *,
    kinds: Sequence[str],
    licence: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> Path:
    """`README.md`, with the front matter that the hub reads.

    Args:
        ready: the model.
        folder: of the export.
        kinds: what was written into it, keys of `ABOUT`.
        licence: of the weights, as whoever exports them states it.
        recipe: settings it was trained with.
        metrics: name -> value.
    """
    size = ready.architecture
    masks = (
        "A mask network reads each caption and says which coordinates of the image it is about. "
        "Layouts of other programs have no place for it and read unmasked; ONNX carries it."
        if ready.masked
        else "It has no masks."
    )
    lines = [
        "---",
        f"license: {'other' if licence is None else licence}",
        "pipeline_tag: zero-shot-image-classification",
        "tags: [clip, smartclip]",
        "---",
        "",
        f"# {ready.method or 'CLIP'}, {size.dimension} coordinates",
        "",
        f"An image tower of {size.image.layers} layers ({size.image.image_size} pixels, patches "
        f"of {size.image.patch}) and a text tower of {size.text.layers} layers that reads "
        f"{size.text.context} tokens. {masks}",
        "",
        "## Files",
        "",
        *(f"- {ABOUT[kind]}" for kind in kinds),
        "",
        "## Recipe",
        "",
        f"- exported from: {shown(ready.source)}",
        f"- started from: {shown(ready.start or NOT_STATED)}",
        f"- similarity: {ready.similarity}, s = {ready.logit_scale:.4g}",
        "- activation: " + ("quick-GELU" if size.quick_gelu else "GELU"),
        "- images: bicubic, shorter side to "
        f"{size.image.image_size}, centre; mean {_row(ready.mean)}, deviation {_row(ready.std)}",
        *(f"- {name}: {shown(value)}" for name, value in (recipe or {}).items()),
        "",
        "## Metrics",
        "",
        *(f"- {name}: {value:.4g}" for name, value in (metrics or {}).items()),
        *([] if metrics else ["None is stored with the checkpoint."]),
        "",
        "## Licence",
        "",
        f"Of the weights: {licence or NOT_STATED}. The weights it started from and the data it "
        "was trained on have licences of their own, which this export does not change.",
        "",
    ]
    path = folder / "README.md"
    with write_atomically(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
    return path


def _row(colour: tuple[float, ...]) -> str:
    return ", ".join(f"{each:.4g}" for each in colour)

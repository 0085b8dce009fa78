"""What of a SmartCLIP is a plain CLIP: both transformers and the scale, under their own names.

Other programs know two towers and a cosine. A mask network has no place there: such an export reads
unmasked, as the published evaluation does. `smartclip.export.onnx` carries the masks.
"""

from torch import Tensor, nn

from smartclip.ready import ReadyModel
from smartclip.towers.layouts import NamedTensors
from smartclip.towers.open_clip import ImageTower, TextTower
from theory.errors import InputError


def plain_tensors(ready: ReadyModel) -> NamedTensors:
    """The tensors of both towers.

    Raises:
        InputError: towers that are not CLIP's transformers, or whitened images.
    """
    image, text = towers(ready)
    if not isinstance(ready.model.image_norm, nn.Identity):
        raise InputError(
            f"{ready.source}, whose image coordinates are whitened",
            rule="CLIP has no statistics of its coordinates, and other programs would leave "
            "them out",
            fix="export it to onnx, or train with --method published",
        )
    return NamedTensors(
        layout="open_clip",
        image=_tensors(image.transformer),
        text=_tensors(text.transformer),
        logit_scale=ready.logit_scale,
    )


def towers(ready: ReadyModel) -> tuple[ImageTower, TextTower]:
    """Both towers, if they are CLIP's transformers, with CLIP's tokens.

    Raises:
        InputError: they are not.
    """
    image, text = ready.model.image_tower, ready.model.text_tower
    if not isinstance(image, ImageTower) or not isinstance(text, TextTower):
        raise InputError(
            f"{ready.source} with {type(image).__name__} and {type(text).__name__}",
            rule="exports are of CLIP's vision transformer and causal text transformer",
            fix="export a model of smartclip train pairs, or weights of CLIP",
        )
    size = ready.architecture.text.vocabulary
    if size != ready.tokenizer.size:
        raise InputError(
            f"{ready.source} with {size:,} tokens",
            rule=f"CLIP's tokenizer has {ready.tokenizer.size:,}, and exports come with it",
            fix="export a model with that vocabulary",
        )
    return image, text


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.state_dict())

"""Everything a trained model says of images and captions: z^_I, z^_T and the hard mask, row by row.

The one loop that shows data to a model outside training. The model is put into evaluation mode and
back; results lie on the CPU.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from smartclip.model import SmartCLIP

ROWS = 512


def embed_images(
    model: SmartCLIP,
    images: Tensor,
    *,
    rows: int = ROWS,
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "N D"]:
    """z^_I, unmasked.

    Args:
        model: any.
        images: [N, ...].
        rows: embedded at a time.
        prepare: applied to the images of each pass on the model's device, for example to turn
            bytes into numbers.
    """
    with _looking(model) as device:
        found = []
        for part in images.split(rows):
            part = part.to(device)
            found.append(model.encode_image(prepare(part) if prepare else part).cpu())
    return torch.cat(found)


def embed_captions(
    model: SmartCLIP, tokens: Tensor, *, rows: int = ROWS
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    """z^_T and the hard mask m^(t) of each caption.

    Args:
        model: any.
        tokens: [N, ...].
        rows: embedded at a time.
    """
    with _looking(model) as device:
        parts = [model.encode_text(part.to(device)) for part in tokens.split(rows)]
        text, mask = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return text, mask


@contextmanager
def _looking(model: SmartCLIP) -> Iterator[torch.device]:
    """The model's device, with the model in evaluation mode and no gradients."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield next(model.parameters()).device
    finally:
        model.train(was_training)

"""The model of a method around given towers."""

from torch import Tensor, nn

from smartclip.model import SmartCLIP
from smartclip.train.method import Method


def assemble(
    method: Method,
    image_tower: nn.Module,
    text_tower: nn.Module,
    *,
    width: int,
    dimension: int,
    heads: int = 4,
) -> SmartCLIP:
    """The two towers, and what the method puts on them.

    Args:
        method: says whether there are masks, which gates, and whether coordinates are whitened.
        image_tower: images -> z_I [B, D].
        text_tower: tokens -> (z_T [B, D], states [B, L, W]).
        width: W.
        dimension: D.
        heads: attention heads of the mask network.
    """
    options = method.model
    projection = getattr(text_tower, "projection", None)
    if isinstance(projection, Tensor) and options.text_start != 1.0:
        projection.data.mul_(options.text_start)
    return SmartCLIP(
        image_tower,
        text_tower,
        width=width,
        dimension=dimension,
        whiten=options.whiten,
        budget=options.shared_gates,
        masks=options.masks,
        heads=heads,
        gate=options.gate,
        opening=options.opening,
    )

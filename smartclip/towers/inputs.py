"""What a tower takes: images of one size, captions of one length, or one clear error."""

from jaxtyping import Float, Int
from torch import Tensor

from theory.errors import InputError


def require_images(images: Float[Tensor, "b c h w"], *, channels: int, size: int) -> None:
    """Raise an `InputError` unless the images are [B, channels, size, size]."""
    if images.shape[1:] != (channels, size, size):
        raise InputError(
            f"images of shape {tuple(images.shape)}",
            rule=f"this tower takes [B, {channels}, {size}, {size}]",
            fix="resize the images, or make the tower for this size",
        )


def require_tokens(tokens: Int[Tensor, "b l"], *, context: int) -> None:
    """Raise an `InputError` unless the captions are rows of `context` tokens."""
    if tokens.shape[1] != context:
        raise InputError(
            f"captions of {tokens.shape[1]} tokens",
            rule=f"this tower reads rows of {context}, padding included",
            fix="tokenise with the tower's context length",
        )

"""Masks [m, D]: the coordinates that each caption opens, one row a caption."""

import numpy as np
from jaxtyping import Bool

from theory.captions import CaptionFamily
from theory.errors import InputError


def one_mask_a_caption(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> None:
    """An `InputError` where masks are not one a caption.

    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> one_mask_a_caption(family, np.array([[True, False], [False, True]]))
    """
    if len(masks) != len(family.captions):
        raise InputError(
            f"masks has shape {masks.shape}",
            rule=f"the family has {len(family.captions)} captions, each with one mask",
            fix=f"give masks [{len(family.captions)}, D]",
        )

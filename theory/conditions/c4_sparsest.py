"""C4: no caption opens more coordinates than it mentions dimensions.

SmartCLIP, CVPR 2025, Theorem 4.3; that the smallest size is d(B(m)) is derived here.
"""

import numpy as np
from jaxtyping import Bool

from theory.captions import CaptionFamily
from theory.conditions.condition import Condition, register
from theory.conditions.masks import one_mask_a_caption
from theory.conditions.verdict import ConditionVerdict, Miscounted, block_words

SPARSEST = register(
    Condition(
        name="C4",
        title="sparsest masks",
        latex=r"|\hat m(m)| = d(B(m))\ \text{for every caption } m",
        meaning="every caption opens exactly as many coordinates as it mentions latent dimensions, "
        "the smallest number that loses nothing",
        without="a caption may hold redundant coordinates (C3 with C5 rules that out)",
        costs=frozenset(),
        source="after SmartCLIP, CVPR 2025, Theorem 4.3; the smallest size is derived here",
    )
)


def check_sparsest(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> ConditionVerdict:
    """C4: |m^| = d(B(m)) for every caption, the smallest size that loses nothing.

    Args:
        family: the captions.
        masks: coordinates that each caption opens.

    Returns:
        "holds", or "fails" with the caption that is furthest off.

    Raises:
        InputError: not one mask for each caption.

    Source: SmartCLIP, CVPR 2025, Theorem 4.3; the smallest value is derived here.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> check_sparsest(family, np.array([[True, False], [True, True]])).witness.captions
    (1,)
    """
    one_mask_a_caption(family, masks)
    opened = masks.sum(axis=1)
    needed = np.array([family.space.size(caption) for caption in family.captions])
    worst = int(np.argmax(np.abs(opened - needed)))
    if opened[worst] == needed[worst]:
        return ConditionVerdict(
            condition="C4", answer="holds", reason="every mask is as large as what it stands for"
        )
    block = family.captions[worst]
    return ConditionVerdict(
        condition="C4",
        answer="fails",
        reason=f"caption {worst + 1} ({block_words(family, block)}) opens {opened[worst]} "
        f"coordinates for {needed[worst]} dimensions",
        witness=Miscounted(
            captions=(worst,), block=block, opened=int(opened[worst]), needed=int(needed[worst])
        ),
    )

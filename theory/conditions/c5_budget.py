"""C5: all captions together open as many coordinates as they mention dimensions. Derived here."""

from itertools import combinations

import numpy as np
from jaxtyping import Bool

from theory.captions import CaptionFamily
from theory.conditions.condition import Condition, register
from theory.conditions.masks import one_mask_a_caption
from theory.conditions.verdict import ConditionVerdict, Miscounted, block_words

BUDGET = register(
    Condition(
        name="C5",
        title="budget",
        latex=r"|\hat U(\mathcal C)| = d(U(\mathcal C))",
        meaning="all captions together open as many coordinates as they mention dimensions",
        without="two captions may hold two copies of what they share, so an intersection "
        "stays pure and may be incomplete",
        costs=frozenset({"counts"}),
        source="derived here",
    )
)


def check_budget(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> ConditionVerdict:
    """C5: |U^(C)| = d(U(C)), as many used coordinates as mentioned dimensions.

    Args:
        family: the captions.
        masks: coordinates that each caption opens.

    Returns:
        "holds", or "fails" with two captions that share less than they should, which is where a
        dimension has been copied; with all captions if no pair shows it.

    Raises:
        InputError: not one mask for each caption.

    Source: derived here.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["s", "a"], ["s", "b"]])
    >>> copied = np.array([[True, True, False, False], [False, False, True, True]])
    >>> verdict = check_budget(family, copied)
    >>> verdict.answer, verdict.witness.captions, verdict.witness.opened, verdict.witness.needed
    ('fails', (0, 1), 0, 1)
    """
    one_mask_a_caption(family, masks)
    used = int(masks.any(axis=0).sum())
    needed = family.space.size(family.mentioned)
    if used == needed:
        return ConditionVerdict(
            condition="C5",
            answer="holds",
            reason=f"{used} coordinates are used for {needed} mentioned dimensions",
        )
    witness = Miscounted(
        captions=tuple(range(len(family.captions))),
        block=family.mentioned,
        opened=used,
        needed=needed,
    )
    reason = f"{used} coordinates are used for {needed} mentioned dimensions"
    for first, second in combinations(range(len(family.captions)), 2):
        shared = family.captions[first] & family.captions[second]
        opened = int((masks[first] & masks[second]).sum())
        if opened < family.space.size(shared):
            witness = Miscounted(
                captions=(first, second),
                block=shared,
                opened=opened,
                needed=family.space.size(shared),
            )
            reason += (
                f"; captions {first + 1} and {second + 1} share {block_words(family, shared)} and "
                f"open {opened} coordinates in common, not {witness.needed}"
            )
            break
    return ConditionVerdict(condition="C5", answer="fails", reason=reason, witness=witness)

"""C3: image and caption agree on the open coordinates, and these lose nothing. Derived here."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import numpy as np
from jaxtyping import Bool, Float

from theory.conditions.condition import Condition, register
from theory.conditions.masks import one_mask_a_caption
from theory.conditions.verdict import (
    Collision,
    ConditionVerdict,
    Misaligned,
    block_words,
    refuse_infinite,
)
from theory.errors import InputError
from theory.world import Observations

LOSSLESS = register(
    Condition(
        name="C3",
        title="lossless alignment",
        latex=r"z \mapsto \hat z_I \text{ continuous},\quad \hat m(t) = \hat m(m),\quad"
        r" \hat z_I \odot \hat m = f_T(t),\quad"
        r" \hat z_{\hat m} \mapsto z_{B(m)} \text{ a function}",
        meaning="on the open coordinates image and caption agree exactly, those coordinates "
        "determine everything the caption mentions, the mask follows what is mentioned and "
        "not its values, and the code does not jump as the latents move",
        without="the code may collapse, or swap coordinates with the values of z",
        costs=frozenset({"purity", "completeness"}),
        source="derived here",
    )
)


def check_lossless(
    seen: Observations,
    image_code: Float[np.ndarray, "n D"],
    text_code: Float[np.ndarray, "n D"],
    masks: Bool[np.ndarray, "m D"],
    *,
    tolerance: float = 1e-6,
) -> ConditionVerdict:
    """C3: z^_I * m^ = f_T(t), and for every m the open coordinates determine z_{B(m)}.

    Args:
        seen: latents and captions.
        image_code: z^_I, a row for each of `seen`.
        text_code: f_T(t); only its open coordinates are read.
        masks: coordinates that each caption opens.
        tolerance: differences up to this, relative to the spread of the code, are none.

    Returns:
        "fails" with the worst sample, or with two samples of one caption whose codes are equal and
        whose block is not; else "cannot tell", for between samples a code may still fold.

    Raises:
        InputError: shapes that do not fit.

    Source: derived here.

    >>> import numpy as np
    >>> from theory.captions import CaptionFamily
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> z = np.linspace(-1, 1, 101)[:, None]
    >>> seen = Observations.of(family, z=z, caption=np.zeros(101, dtype=int))
    >>> check_lossless(seen, np.abs(z), np.abs(z), np.array([[True]])).answer
    'fails'
    """
    # SciPy's spatial part is slow to load: nothing that only predicts should wait for it.
    from scipy.spatial import KDTree

    family, z, caption = seen.family, seen.z, seen.caption
    one_mask_a_caption(family, masks)
    for given, name in ((image_code, "the image code"), (text_code, "the text code")):
        refuse_infinite(given, name)
        if given.shape != (len(seen), masks.shape[1]):
            raise InputError(
                f"{name} has shape {given.shape}",
                rule="each row has one code, as wide as the masks",
                fix=f"give [{len(seen)}, {masks.shape[1]}]",
            )
    spread = float(image_code.std()) or 1.0
    difference = np.abs(np.where(masks[caption], image_code - text_code, 0.0))
    sample, coordinate = np.unravel_index(int(difference.argmax()), difference.shape)
    worst = float(difference[sample, coordinate])
    if worst > tolerance * spread:
        return ConditionVerdict(
            condition="C3",
            answer="fails",
            reason=f"sample {sample}: image and caption differ by {worst:.3g} on coordinate "
            f"{coordinate}",
            witness=Misaligned(sample=int(sample), coordinate=int(coordinate), difference=worst),
        )
    for index, block in enumerate(family.captions):
        rows = np.flatnonzero(caption == index)
        if len(rows) < 2:
            continue
        columns = family.space.columns(block)
        codes = np.where(masks[index], image_code[rows], 0.0)
        found = KDTree(codes).query(codes, k=2)
        distance, neighbour = np.asarray(found[0]), np.asarray(found[1])
        # With equal codes the point itself may be listed second.
        other = np.where(neighbour[:, 1] == np.arange(len(rows)), neighbour[:, 0], neighbour[:, 1])
        apart = np.max(np.abs(z[rows][:, columns] - z[rows[other]][:, columns]), axis=1)
        scale = float(z[rows][:, columns].std()) or 1.0
        collide = (distance[:, 1] <= tolerance * spread) & (apart > 0.01 * scale)
        if collide.any():
            at = int(np.argmax(np.where(collide, apart, 0.0)))
            first, second = rows[at], rows[other[at]]
            return ConditionVerdict(
                condition="C3",
                answer="fails",
                reason=f"samples {first} and {second} have one code under caption {index + 1} "
                f"({block_words(family, block)}) and differ in what it mentions",
                witness=Collision(
                    first=z[first], second=z[second], distance=float(distance[at, 1]), caption=index
                ),
            )
    return ConditionVerdict(
        condition="C3",
        answer="cannot tell",
        reason=f"aligned on all {len(z)} samples and no two codes collide; between samples a "
        "code may still fold",
    )

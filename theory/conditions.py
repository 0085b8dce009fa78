"""C1-C5: what the theorem assumes of the world (C1, C2) and of the trained code (C3, C4, C5).

SmartCLIP, CVPR 2025, Condition 4.2 and Theorem 4.3 (C1, C2, C4); the sharper wording of C2, and C3
and C5, are derived here. Each check answers with a verdict and, where it refutes, a witness.
Samples refute and never prove, so they answer "fails" or "cannot tell"; masks, which are seen
whole, and symbolic generators (`theory.symbolic`) can also answer "holds".
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.optimize import least_squares
from scipy.spatial import KDTree

from theory.captions import CaptionFamily
from theory.concepts import Block
from theory.errors import InputError

Answer = Literal["holds", "fails", "cannot tell"]
Generator = Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, "n p"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One assumption: its name, what it says, and what is lost without it.

    >>> CONDITIONS["C5"].title
    'budget'
    """

    name: str
    title: str
    latex: str
    meaning: str
    without: str
    source: str

    def _repr_latex_(self) -> str:
        return f"$\\text{{{self.name} ({self.title}): }} {self.latex}$"


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition(
            name="C1",
            title="smooth and invertible",
            latex=r"g_I,\ g_T(\cdot, m) \in C^1 \text{ injective},\ \operatorname{rank} Dg = d",
            meaning="images and captions determine the latents they were made from, smoothly, "
            "and a caption determines its mask",
            without="a block is lost where the generator folds",
            source="SmartCLIP, CVPR 2025, Condition 4.2-i",
        ),
        Condition(
            name="C2",
            title="full support",
            latex=r"\operatorname{supp} p(z, m, e_I, e_T)"
            r" = \textstyle\prod_k \mathcal Z_k \times \mathcal C"
            r" \times \mathcal E_I \times \mathcal E_T",
            meaning="every combination of latents, caption and the two noises occurs; latents may "
            "be dependent and captions may depend on them, but no combination is missing and "
            "the two noises are not shared",
            without="coordinates common to two captions may hold more than their intersection, "
            "and shared noise may enter the code",
            source="SmartCLIP, CVPR 2025, Condition 4.2-ii; sharpened here",
        ),
        Condition(
            name="C3",
            title="lossless alignment",
            latex=r"\hat z_I \odot \hat m = f_T(t),\quad"
            r" \hat z_{\hat m} \mapsto z_{B(m)} \text{ a function}",
            meaning="on the open coordinates image and caption agree exactly, and those "
            "coordinates determine everything the caption mentions",
            without="the code may collapse, or swap coordinates with the values of z",
            source="derived here",
        ),
        Condition(
            name="C4",
            title="sparsest masks",
            latex=r"\mathbb E\,|\hat m| = \mathbb E\, d(B(m))",
            meaning="no caption opens more coordinates than it mentions latent dimensions",
            without="a caption may hold redundant coordinates (C3 with C5 rules that out)",
            source="SmartCLIP, CVPR 2025, Theorem 4.3",
        ),
        Condition(
            name="C5",
            title="budget",
            latex=r"|\hat U(\mathcal C)| = d(U(\mathcal C))",
            meaning="all captions together open as many coordinates as they mention dimensions",
            without="two captions may hold two copies of what they share, so an intersection "
            "stays pure and may be incomplete",
            source="derived here",
        ),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Collision:
    """Two latents that the generator, or the code of one caption, cannot tell apart.

    Attributes:
        first: one latent point [d].
        second: another [d].
        distance: between their images or codes.
        caption: the number of the caption, where a code is meant.

    >>> import numpy as np
    >>> verdict = check_invertible(np.abs, np.linspace(-1, 1, 50)[:, None])
    >>> bool(np.isclose(verdict.witness.first, -verdict.witness.second).all())
    True
    """

    first: Float[np.ndarray, " d"]
    second: Float[np.ndarray, " d"]
    distance: float
    caption: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Flat:
    """A latent point where the Jacobian loses rank.

    Attributes:
        point: the latent point [d].
        direction: a direction in which the image does not move [d].
        singular_value: the smallest singular value, of the Jacobian from the unit box onto images
            of unit spread.

    >>> import numpy as np
    >>> verdict = check_invertible(lambda z: z**3, np.zeros((2, 1)) + [[0.0], [1.0]])
    >>> verdict.witness.point
    array([0.])
    """

    point: Float[np.ndarray, " d"]
    direction: Float[np.ndarray, " d"]
    singular_value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NeverSeen:
    """A combination that does not occur.

    Attributes:
        what: the combination in words.
        expected: how often independence would have shown it.
        point: a latent point [d] that is ruled out with `caption`, if one is known.
        caption: the number of the caption.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> z = np.random.default_rng(0).normal(size=(500, 2))
    >>> check_support(family, z, (z[:, 0] > 0).astype(int)).witness.what
    'low z of a [0] with caption 1 (b)'
    """

    what: str
    expected: float
    point: Float[np.ndarray, " d"] | None = None
    caption: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Misaligned:
    """The sample and coordinate where image and caption disagree most.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> z, caption = np.arange(4.0)[:, None], np.zeros(4, dtype=int)
    >>> check_lossless(family, z, caption, z, -z, np.array([[True]])).witness
    Misaligned(sample=3, coordinate=0, difference=6.0)
    """

    sample: int
    coordinate: int
    difference: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Miscounted:
    """A set of captions whose masks open the wrong number of coordinates together.

    Attributes:
        captions: their numbers.
        block: the concepts they share (or mention, for one caption or all of them).
        opened: coordinates that all of them open (or that any opens).
        needed: latent dimensions of the block.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> check_sparsest(family, np.array([[True, True]])).witness
    Miscounted(captions=(0,), block=frozenset({'a'}), opened=2, needed=1)
    """

    captions: tuple[int, ...]
    block: Block
    opened: int
    needed: int


Witness = Collision | Flat | NeverSeen | Misaligned | Miscounted


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Does a condition hold: the answer, the reason in words, and a witness if it fails.

    Attributes:
        condition: C1 to C5.
        answer: holds, fails or cannot tell.
        reason: one sentence.
        witness: what refutes the condition.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> check_budget(family, np.array([[True]]))
    Verdict(condition='C5', answer='holds', reason='1 coordinates are used for 1 mentioned \
dimensions', witness=None)
    """

    condition: str
    answer: Answer
    reason: str
    witness: Witness | None = None


def check_invertible(
    generator: Generator,
    points: Float[np.ndarray, "n d"],
    *,
    tolerance: float = 1e-7,
    seed: int = 0,
) -> Verdict:
    """C1: g(x) = g(y) implies x = y, and the Jacobian of g has full rank.

    Searches for a fold: central differences at the points, then least squares for a second point y
    of the bounding box with the image of x, from the nearest images and random starts.

    Args:
        generator: g, [n, d] -> [n, p], in double precision.
        points: samples of the domain [n, d]; their bounding box is searched.
        tolerance: images closer than this, relative to their spread, count as equal.
        seed: of the random starts.

    Returns:
        "fails" with the two points that collide or the point where the rank drops, else "cannot
        tell".

    Raises:
        InputError: points that are not finite, or fewer than two.

    Source: SmartCLIP, CVPR 2025, Condition 4.2-i.

    >>> import numpy as np
    >>> points = np.random.default_rng(0).uniform(-1, 1, size=(200, 1))
    >>> check_invertible(lambda z: z**2, points).answer
    'fails'
    >>> check_invertible(lambda z: z**3 + z, points).answer
    'cannot tell'
    """
    _finite(points, "the points")
    if len(points) < 2:
        raise InputError(
            f"{len(points)} points", rule="a collision takes two points", fix="give more samples"
        )
    rng = np.random.default_rng(seed)
    low, high = points.min(axis=0), points.max(axis=0)
    width = np.maximum(high - low, 1e-12)
    images = generator(points)
    _finite(images, "the generator's values")
    spread = float(images.std()) or 1.0
    tree = KDTree(images)
    anchors = points[rng.permutation(len(points))[:24]]
    for anchor in anchors:
        target = generator(anchor[None])[0]
        _, near = tree.query(target, k=min(12, len(points)))
        far = [i for i in np.atleast_1d(near) if np.max(np.abs(points[i] - anchor) / width) > 0.05]
        starts = [*points[far[:3]], rng.uniform(low, high), low + high - anchor]

        def miss(
            y: Float[np.ndarray, " d"], target: Float[np.ndarray, " p"] = target
        ) -> Float[np.ndarray, " p"]:
            return (generator(y[None])[0] - target) / spread

        for start in starts:
            found = least_squares(
                miss,
                np.clip(start, low + 1e-9 * width, high - 1e-9 * width),
                bounds=(low - 1e-9 * width, high + 1e-9 * width),
                xtol=1e-14,
                ftol=1e-14,
                gtol=1e-14,
                max_nfev=60,
            )
            distance = float(np.max(np.abs(found.fun)))
            apart = float(np.max(np.abs(found.x - anchor) / width))
            if distance < tolerance and apart > 0.01:
                return Verdict(
                    condition="C1",
                    answer="fails",
                    reason=f"{_point(anchor)} and {_point(found.x)} have the same image",
                    witness=Collision(first=anchor, second=found.x, distance=distance * spread),
                )
    for anchor in anchors:
        jacobian = _jacobian(generator, anchor, 1e-5 * width)
        _, values, directions = np.linalg.svd(jacobian * width)
        ratio = 0.0 if len(values) < len(anchor) else float(values[-1]) / spread
        if ratio < 1e-7:
            return Verdict(
                condition="C1",
                answer="fails",
                reason=f"the Jacobian at {_point(anchor)} does not have full rank",
                witness=Flat(point=anchor, direction=directions[-1] * width, singular_value=ratio),
            )
    return Verdict(
        condition="C1",
        answer="cannot tell",
        reason=f"no fold found from {len(anchors)} points; samples cannot prove injectivity",
    )


def check_support(
    family: CaptionFamily,
    z: Num[np.ndarray, "n d"],
    caption: Int[np.ndarray, " n"],
    *,
    image_noise: Num[np.ndarray, "n a"] | None = None,
    text_noise: Num[np.ndarray, "n b"] | None = None,
    supported: Callable[[Num[np.ndarray, "n d"]], Bool[np.ndarray, " n"]] | None = None,
    enough: float = 30.0,
    seed: int = 0,
) -> Verdict:
    """C2: supp p(z, m, e_I, e_T) = Z_1 x ... x Z_K x C x E_I x E_T.

    With `supported`, concepts are recombined across samples and each combination is put to it: an
    exact refutation. With samples alone, a half of one variable (its middle tenth left out) that
    never meets a half of another, or a caption, refutes; a gap of another shape is missed, and a
    dependence so strong that the halves never meet looks like a gap.

    Args:
        family: the captions, with the layout of z.
        z: latents.
        caption: index into `family.captions`.
        image_noise: e_I.
        text_noise: e_T.
        supported: whether points lie in the support of p(z).
        enough: how often independence must have shown a combination for its absence to count.
        seed: of the recombination.

    Returns:
        "fails" with what is never seen, else "cannot tell".

    Raises:
        InputError: shapes that do not fit, values that are not finite, a caption out of range.

    Source: SmartCLIP, CVPR 2025, Condition 4.2-ii; sharpened here.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> rng = np.random.default_rng(0)
    >>> z = np.abs(rng.normal(size=(1000, 2))) * rng.choice([-1, 1], size=(1000, 1))
    >>> check_support(family, z, rng.integers(0, 2, 1000)).answer
    'fails'
    """
    _finite(z, "z")
    if z.shape[1] != family.dimension or len(caption) != len(z):
        raise InputError(
            f"z has shape {z.shape} and {len(caption)} captions",
            rule=f"the family has {family.dimension} latent dimensions and each sample a caption",
            fix=f"give z [n, {family.dimension}] and caption [n]",
        )
    if caption.size and (caption.min() < 0 or caption.max() >= len(family.captions)):
        raise InputError(
            f"captions run from {caption.min()} to {caption.max()}",
            rule="caption is an index into family.captions",
            fix=f"use 0 to {len(family.captions) - 1}",
        )
    if supported is not None:
        rng = np.random.default_rng(seed)
        mixed = z.copy()
        for concept in family.concepts:
            columns = family.space.columns([concept])
            mixed[:, columns] = z[rng.permutation(len(z))][:, columns]
        outside = np.flatnonzero(~supported(mixed))
        if len(outside):
            return Verdict(
                condition="C2",
                answer="fails",
                reason=f"{_point(mixed[outside[0]])} cannot occur, each of its concepts can",
                witness=NeverSeen(
                    what="a combination of concepts",
                    expected=float(len(outside)),
                    point=mixed[outside[0]],
                ),
            )
    variables = [
        (f"concept {concept}", f"z of {concept} [{number}]", z[:, column])
        for concept in family.concepts
        for number, column in enumerate(family.space.columns([concept]))
    ]
    for label, noise in (("the image noise", image_noise), ("the text noise", text_noise)):
        if noise is not None:
            _finite(noise, label)
            variables += [(label, f"{label} [{i}]", column) for i, column in enumerate(noise.T)]
    # Each event: the variable it is about, what it says, when it happens.
    events: list[tuple[str, str, Bool[np.ndarray, " n"]]] = []
    for group, name, values in variables:
        low, high = np.quantile(values, [0.45, 0.55])
        # Values may be tied: each of them is low, high or in the gap between.
        above = (values > low) & (values >= high)
        events += [(group, f"low {name}", values <= low), (group, f"high {name}", above)]
    said = [
        ("caption", f"caption {index} ({_names(family, block)})", caption == index)
        for index, block in enumerate(family.captions)
    ]
    for (group, what, one), (other_group, other_what, other) in combinations([*events, *said], 2):
        expected = float(one.mean() * other.sum())
        if group != other_group and expected >= enough and not np.any(one & other):
            ruled_out = other_group == "caption" and group.startswith("concept")
            return Verdict(
                condition="C2",
                answer="fails",
                reason=f"{what} never meets {other_what}, independence would show it "
                f"{expected:.0f} times",
                witness=NeverSeen(
                    what=f"{what} with {other_what}",
                    expected=expected,
                    point=z[np.flatnonzero(one)[0]] if ruled_out else None,
                    caption=[name for _, name, _ in said].index(other_what) if ruled_out else None,
                ),
            )
    return Verdict(
        condition="C2",
        answer="cannot tell",
        reason=f"no missing combination found in {len(z)} samples; a finer gap can hide",
    )


def check_lossless(
    family: CaptionFamily,
    z: Num[np.ndarray, "n d"],
    caption: Int[np.ndarray, " n"],
    image_code: Float[np.ndarray, "n D"],
    text_code: Float[np.ndarray, "n D"],
    masks: Bool[np.ndarray, "m D"],
    *,
    tolerance: float = 1e-6,
) -> Verdict:
    """C3: z^_I * m^ = f_T(t), and for every m the open coordinates determine z_{B(m)}.

    Args:
        family: the captions, with the layout of z.
        z: latents.
        caption: index into `family.captions`.
        image_code: z^_I.
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
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> z = np.linspace(-1, 1, 101)[:, None]
    >>> caption, masks = np.zeros(101, dtype=int), np.array([[True]])
    >>> check_lossless(family, z, caption, np.abs(z), np.abs(z), masks).answer
    'fails'
    """
    _masks(family, masks)
    for given, name in ((z, "z"), (image_code, "the image code"), (text_code, "the text code")):
        _finite(given, name)
    spread = float(image_code.std()) or 1.0
    difference = np.abs(np.where(masks[caption], image_code - text_code, 0.0))
    sample, coordinate = np.unravel_index(int(difference.argmax()), difference.shape)
    worst = float(difference[sample, coordinate])
    if worst > tolerance * spread:
        return Verdict(
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
            return Verdict(
                condition="C3",
                answer="fails",
                reason=f"samples {first} and {second} have one code under caption {index} "
                f"({_names(family, block)}) and differ in what it mentions",
                witness=Collision(
                    first=z[first], second=z[second], distance=float(distance[at, 1]), caption=index
                ),
            )
    return Verdict(
        condition="C3",
        answer="cannot tell",
        reason=f"aligned on all {len(z)} samples and no two codes collide; between samples a "
        "code may still fold",
    )


def check_sparsest(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> Verdict:
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
    _masks(family, masks)
    opened = masks.sum(axis=1)
    needed = np.array([family.space.size(caption) for caption in family.captions])
    worst = int(np.argmax(np.abs(opened - needed)))
    if opened[worst] == needed[worst]:
        return Verdict(
            condition="C4", answer="holds", reason="every mask is as large as what it stands for"
        )
    block = family.captions[worst]
    return Verdict(
        condition="C4",
        answer="fails",
        reason=f"caption {worst} ({_names(family, block)}) opens {opened[worst]} coordinates for "
        f"{needed[worst]} dimensions",
        witness=Miscounted(
            captions=(worst,), block=block, opened=int(opened[worst]), needed=int(needed[worst])
        ),
    )


def check_budget(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> Verdict:
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
    _masks(family, masks)
    used = int(masks.any(axis=0).sum())
    needed = family.space.size(family.mentioned)
    if used == needed:
        return Verdict(
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
                f"; captions {first} and {second} share {_names(family, shared)} and open "
                f"{opened} coordinates in common, not {witness.needed}"
            )
            break
    return Verdict(condition="C5", answer="fails", reason=reason, witness=witness)


def _masks(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> None:
    if len(masks) != len(family.captions):
        raise InputError(
            f"masks has shape {masks.shape}",
            rule=f"the family has {len(family.captions)} captions, each with one mask",
            fix=f"give masks [{len(family.captions)}, D]",
        )


def _finite(values: Num[np.ndarray, "..."], name: str) -> None:
    if not np.all(np.isfinite(values)):
        raise InputError(
            f"{name} hold NaN or infinity",
            rule="checks need finite numbers",
            fix="drop those samples",
        )


def _jacobian(
    generator: Generator, point: Float[np.ndarray, " d"], step: Float[np.ndarray, " d"]
) -> Float[np.ndarray, "p d"]:
    forward = generator(point + np.diag(step))
    backward = generator(point - np.diag(step))
    return ((forward - backward) / (2 * step[:, None])).T


def _point(values: Num[np.ndarray, " d"]) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"


def _names(family: CaptionFamily, block: Block) -> str:
    return ", ".join(str(name) for name in family.space.ordered(block))

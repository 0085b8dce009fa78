"""The answer of a check, and what refutes a condition: values that can be verified by hand.

Samples refute and never prove, so checks of samples answer "fails" or "cannot tell"; masks, which
are seen whole, and symbolic generators can also answer "holds". Derived here.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Num

from theory.captions import CaptionFamily
from theory.concepts import Block
from theory.errors import InputError

Answer = Literal["holds", "fails", "cannot tell"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Collision:
    """Two latents that the generator, or the code of one caption, cannot tell apart.

    Attributes:
        first: one latent point [d].
        second: another [d].
        distance: between their images or codes.
        caption: the number of the caption, where a code is meant.

    >>> from theory.conditions import check_invertible
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

    >>> from theory.conditions import check_invertible
    >>> verdict = check_invertible(lambda z: z**3, np.zeros((2, 1)) + [[0.0], [1.0]])
    >>> verdict.witness.point
    array([0.])
    """

    point: Float[np.ndarray, " d"]
    direction: Float[np.ndarray, " d"]
    singular_value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NotSmooth:
    """A latent point where the generator is not continuously differentiable.

    Attributes:
        point: the latent point [d].
        what: "undefined" (no real value there), "jump" (one-sided values differ), "kink" (one-sided
            derivatives differ).

    >>> import sympy as sp
    >>> from theory.symbolic import SymbolicGenerator
    >>> x = sp.Symbol("x", real=True)
    >>> SymbolicGenerator.of([x], [sp.Piecewise((x, x < 0), (2 * x, True))]).check().witness
    NotSmooth(point=array([0.]), what='kink')
    """

    point: Float[np.ndarray, " d"]
    what: Literal["undefined", "jump", "kink"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NeverSeen:
    """A combination that does not occur.

    Attributes:
        what: the combination in words.
        expected: how often it would have been seen, were it as frequent as what lies beside it; of
            recombined concepts, how many recombinations cannot occur.
        point: a latent point [d] that is ruled out (with `caption`, where that is given).
        caption: the number of the caption.

    >>> from theory.conditions import check_support
    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> z = np.random.default_rng(0).normal(size=(5000, 2))
    >>> from theory.world import Observations
    >>> seen = Observations.of(family, z=z, caption=(z[:, 0] > 0).astype(int))
    >>> check_support(seen).witness.what
    'caption 2 (b) with z of a [0] up to -0.0112'
    """

    what: str
    expected: float
    point: Float[np.ndarray, " d"] | None = None
    caption: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Misaligned:
    """The sample and coordinate where image and caption disagree most.

    >>> from theory.conditions import check_lossless
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> z = np.arange(4.0)[:, None]
    >>> from theory.world import Observations
    >>> seen = Observations.of(family, z=z, caption=np.zeros(4, dtype=int))
    >>> check_lossless(seen, z, -z, np.array([[True]])).witness
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

    >>> from theory.conditions import check_sparsest
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> check_sparsest(family, np.array([[True, True]])).witness
    Miscounted(captions=(0,), block=frozenset({'a'}), opened=2, needed=1)
    """

    captions: tuple[int, ...]
    block: Block
    opened: int
    needed: int


Refutation = Collision | Flat | NotSmooth | NeverSeen | Misaligned | Miscounted


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionVerdict:
    """Does a condition hold: the answer, the reason in words, and a witness if it fails.

    Attributes:
        condition: its name, such as C1.
        answer: holds, fails or cannot tell.
        reason: one sentence.
        witness: what refutes the condition.
        assumption: what a refutation rests on beside the samples, in words; empty if nothing. A
            witness of samples alone refutes only under it.

    >>> from theory.conditions import check_budget
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> verdict = check_budget(family, np.array([[True]]))
    >>> verdict.answer, verdict.reason, verdict.witness
    ('holds', '1 coordinates are used for 1 mentioned dimensions', None)
    """

    condition: str
    answer: Answer
    reason: str
    witness: Refutation | None = None
    assumption: str = ""


def refuse_infinite(values: Num[np.ndarray, "..."], name: str) -> None:
    """An `InputError` where values are NaN or infinite."""
    if not np.all(np.isfinite(values)):
        raise InputError(
            f"{name} hold NaN or infinity",
            rule="checks need finite numbers",
            fix="drop those samples",
        )


def point_words(values: Num[np.ndarray, " d"]) -> str:
    """A latent point in words: (0.1, 2)."""
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"


def block_words(family: CaptionFamily, block: Block) -> str:
    """The names of a block in the order of the concepts."""
    return ", ".join(map(family.space.label, family.space.ordered(block)))

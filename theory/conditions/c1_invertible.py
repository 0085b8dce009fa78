"""C1: images and captions determine the latents they were made from, smoothly.

SmartCLIP, CVPR 2025, Condition 4.2-i. Given C3 the statements need none of it (derived here): they
use that z -> z^ is continuous, that C3 loses nothing, and invariance of domain. C1 is what makes C3
possible: what a caption mentions must be readable from the image and from the caption.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from theory.conditions.condition import Condition, register
from theory.conditions.discreteness import FEW, discrete_gap
from theory.conditions.fold import FoldSearch, Generator
from theory.conditions.verdict import (
    Collision,
    ConditionVerdict,
    Flat,
    block_words,
    point_words,
)
from theory.errors import InputError
from theory.world import CheckableWorld, Observations

INVERTIBLE = register(
    Condition(
        name="C1",
        title="smooth and invertible",
        latex=r"g_I,\ g_T(\cdot, m) \in C^1 \text{ injective},\ \operatorname{rank} Dg = d",
        meaning="images and captions determine the latents they were made from, smoothly, "
        "and a caption determines its mask",
        without="what a caption mentions may be lost where the generator folds it, and then no "
        "code meets C3; a fold of private noise, or of what no caption mentions, costs nothing",
        costs=frozenset(),
        source="SmartCLIP, CVPR 2025, Condition 4.2-i; that C3 makes it redundant is derived here",
    )
)


@runtime_checkable
class Decided(Protocol):
    """A generator that decides C1 by itself, such as `theory.symbolic.SymbolicGenerator`."""

    def check(self, *, seed: int = 0) -> ConditionVerdict: ...


def check_invertible(
    subject: CheckableWorld | Decided | Generator,
    points: Float[np.ndarray, "n d"] | None = None,
    *,
    tolerance: float = 1e-7,
    seed: int = 0,
) -> ConditionVerdict:
    """C1: g(x) = g(y) implies x = y, and the Jacobian of g has full rank.

    Searches for a fold: central differences at the points, then least squares for a second point y
    of the bounding box with the image of x, from the nearest images and random starts. Of a world,
    g_I is searched on [z, e_I], then g_T( . , m) on [z_{B(m)}, e_T] for every caption.

    Args:
        subject: a world; a symbolic generator, which decides by itself; or a function
            [n, d] -> [n, p] in double precision.
        points: samples of the domain [n, d] of a function; their bounding box is searched. A world
            samples its own and a symbolic generator knows its domain.
        tolerance: images closer than this, relative to their spread, count as equal.
        seed: of the samples and the random starts.

    Returns:
        "fails" with the two points that collide or the point where the rank drops. "holds" for a
        symbolic generator whose injectivity is proved. Else "cannot tell", also for a world whose
        latents are discrete: there C1 has no open domain to speak of.

    Raises:
        InputError: points that are not finite, fewer than two, or given without a function.

    Source: SmartCLIP, CVPR 2025, Condition 4.2-i.

    >>> import numpy as np
    >>> points = np.random.default_rng(0).uniform(-1, 1, size=(200, 1))
    >>> check_invertible(lambda z: z**2, points).answer
    'fails'
    >>> check_invertible(lambda z: z**3 + z, points).answer
    'cannot tell'
    """
    if not isinstance(subject, CheckableWorld | Decided):
        if points is None:
            raise InputError(
                "a function without points",
                rule="a function is searched between samples of its domain",
                fix="give points [n, d], or a world",
            )
        return _search(subject, points, lambda rows: np.ones(len(rows), bool), tolerance, seed)
    if points is not None:
        raise InputError(
            "points beside a world or a symbolic generator",
            rule="these know their own domain",
            fix="leave points out",
        )
    if isinstance(subject, Decided):
        return subject.check(seed=seed)
    return _world_invertible(subject, tolerance, seed)


def _world_invertible(world: CheckableWorld, tolerance: float, seed: int) -> ConditionVerdict:
    seen = Observations.from_world(world, FEW, seed=seed)
    discrete = discrete_gap(seen)
    if discrete is not None:
        return ConditionVerdict(
            condition="C1",
            answer="cannot tell",
            reason=f"{discrete.what} never occurs, and C1 speaks of generators on an open domain",
        )
    d = seen.family.dimension

    def known(rows: Float[np.ndarray, "n c"]) -> Bool[np.ndarray, " n"]:
        return world.supported(rows[:, :d])

    causes = np.hstack([seen.z, seen.image_noise])
    found = _search(world.image_of, causes, known, tolerance, seed)
    if found.answer == "fails":
        return replace(found, reason=f"image: {found.reason}")
    for index, block in enumerate(seen.family.captions):
        open_ = np.zeros(d + seen.text_noise.shape[1], dtype=bool)
        open_[seen.family.space.columns(block)] = open_[d:] = True
        causes = np.hstack([seen.z, seen.text_noise])[:, open_]

        def said(
            rows: Float[np.ndarray, "n c"],
            open_: Bool[np.ndarray, " e"] = open_,
            index: int = index,
        ) -> Float[np.ndarray, "n q"]:
            return world.text_of(_spread(rows, open_), index)

        found = _search(said, causes, lambda rows: np.ones(len(rows), bool), tolerance, seed)
        if found.answer == "fails":
            witness = found.witness
            if isinstance(witness, Collision):
                pair = _spread(np.stack([witness.first, witness.second]), open_)
                witness = replace(witness, first=pair[0], second=pair[1], caption=index)
            elif isinstance(witness, Flat):
                pair = _spread(np.stack([witness.point, witness.direction]), open_)
                witness = replace(witness, point=pair[0], direction=pair[1])
            reason = f"caption {index + 1} ({block_words(seen.family, block)}): {found.reason}"
            return replace(found, reason=reason, witness=witness)
    return ConditionVerdict(
        condition="C1",
        answer="cannot tell",
        reason=f"no fold found in the image or in {len(seen.family.captions)} captions; samples "
        "cannot prove injectivity",
    )


def _search(
    generator: Generator,
    points: Float[np.ndarray, "n d"],
    inside: Callable[[Float[np.ndarray, "n d"]], Bool[np.ndarray, " n"]],
    tolerance: float,
    seed: int,
) -> ConditionVerdict:
    """Two points of the domain with one image, or a point where the rank drops."""
    search = FoldSearch(generator, points, tolerance=tolerance, seed=seed)
    for collision in search.collisions():
        if inside(np.stack([collision.first, collision.second])).all():
            return ConditionVerdict(
                condition="C1",
                answer="fails",
                reason=f"{point_words(collision.first)} and {point_words(collision.second)} have "
                "the same image",
                witness=collision,
            )
    for flat in search.flats():
        return ConditionVerdict(
            condition="C1",
            answer="fails",
            reason=f"the Jacobian at {point_words(flat.point)} does not have full rank",
            witness=flat,
        )
    return ConditionVerdict(
        condition="C1",
        answer="cannot tell",
        reason=f"no fold found from {len(search.anchors)} points; samples cannot prove injectivity",
    )


def _spread(
    rows: Float[np.ndarray, "n o"], open_: Bool[np.ndarray, " e"]
) -> Float[np.ndarray, "n e"]:
    """The rows with zeros where a caption is silent."""
    full = np.zeros((len(rows), len(open_)))
    full[:, open_] = rows
    return full

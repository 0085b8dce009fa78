"""The twin of a code: one that no alignment objective can tell from it, and that mixes k with j.

Let j in cl(k) \\ {k}, let z be normal, and let u = L^-1 (z_k - E[z_k | rest]) be z_k whitened given
all other latents. The twin leaves the rest alone and moves u:

    d_k >= 2:  u -> R(2 z_j1) u,  a rotation of its first two entries;
    d_k = 1:   u -> -u,  that is z_k -> F^-1(1 - F(z_k | rest) | rest).

Both keep the law of z exactly. If z_k depends on the concepts outside cl(k) only through those
inside, T acts within the block of every caption that mentions k, so the model that reads g(T(z))
and the captions of T(z) has *exactly* the losses of the model that reads g(z), at every batch size,
temperature and price, as long as which caption is said does not depend on z_k. And its coordinates
of k depend on z_j: always for the rotation, for the reflection where E[z_k | rest] does. A code
that has k alone has it by luck, not by identification: the twin is the witness (3.5, derived here).
"""

# torch does not annotate its linear algebra:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import torch
from jaxtyping import Float
from torch import Tensor

from theory.captions import CaptionFamily
from theory.concepts import Concept
from theory.errors import InputError

TURN = 2.0
# Entries of a precision matrix below this share of its diagonal are rounding.
ZERO = 1e-9


def twin_latents(
    z: Float[Tensor, "n d"],
    family: CaptionFamily,
    concept: Concept,
    companion: Concept,
    *,
    covariance: Float[Tensor, "d d"] | None = None,
) -> Float[Tensor, "n d"]:
    """T(z), on the device of `z`.

    Args:
        z: latents, normal with mean 0, which is for the caller to know.
        family: the captions.
        concept: k.
        companion: j, in every caption that mentions k.
        covariance: of z; the unit matrix by default.

    Raises:
        InputError: a companion that is not one; a concept that depends on concepts outside its
            closure beyond what those inside tell; a concept of one dimension whose conditional law
            does not depend on the companion, for its reflection is pure.

    >>> family = CaptionFamily.from_captions([("a", "b"), ("a", "c")], sizes={"b": 2})
    >>> import torch
    >>> z = torch.tensor([[0.0, 1.0, 0.0, 5.0]])  # a, two of b, c
    >>> twin_latents(z, family, "b", "a")
    tensor([[0., 1., 0., 5.]])
    """
    if companion == concept or companion not in family.closure(concept):
        raise InputError(
            f"companion {companion!r} of {concept!r}",
            rule="a companion is another concept that every caption with the first mentions too",
            fix="choose one from family.closure(concept)",
        )
    own, other = family.space.columns([concept]), family.space.columns([companion])
    law = torch.eye(z.shape[1]) if covariance is None else covariance
    precision = torch.linalg.inv(law.double())
    inside = set(family.space.columns(family.closure(concept)))
    outside = [column for column in range(z.shape[1]) if column not in inside]
    if _linked(precision, own, outside):
        raise InputError(
            f"concept {concept!r} depends on concepts outside its closure",
            rule="a twin keeps the law of z and acts within the block of every caption",
            fix="choose a concept that depends on others through its companions only",
        )
    if len(own) == 1 and not _linked(precision, own, other):
        raise InputError(
            f"concept {concept!r} of one dimension is independent of {companion!r}",
            rule="a concept of one dimension can only be reflected, about its conditional median",
            fix="choose a larger concept, or one that depends on its companion",
        )
    # The conditional law of z_k given all others, read off the precision matrix.
    rest = [column for column in range(z.shape[1]) if column not in own]
    spread = torch.linalg.inv(precision[own][:, own])
    slope = (-spread @ precision[own][:, rest]).to(z)
    root = torch.linalg.cholesky(spread).to(z)
    mean = z[:, rest] @ slope.T
    whitened = torch.linalg.solve_triangular(root, (z[:, own] - mean).T, upper=False).T
    if len(own) == 1:
        moved = -whitened
    else:
        angle = TURN * z[:, other[0]]
        first, second = whitened[:, 0], whitened[:, 1]
        moved = whitened.clone()
        moved[:, 0] = angle.cos() * first - angle.sin() * second
        moved[:, 1] = angle.sin() * first + angle.cos() * second
    turned = z.clone()
    turned[:, own] = mean + moved @ root.T
    return turned


def _linked(precision: Float[Tensor, "d d"], one: list[int], other: list[int]) -> bool:
    """Are two sets of latents dependent given all the others?"""
    if not other:
        return False
    return bool(precision[one][:, other].abs().max() > ZERO * precision.diagonal().max())

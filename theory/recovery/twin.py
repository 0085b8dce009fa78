"""The twin of a code: one that no alignment objective can tell from it, and that mixes k with j.

    T(z)_k = R(theta(z_j)) z_k,      T(z) = z elsewhere,      j in cl(k) \\ {k},

R a rotation of the first two dimensions of k by theta = 2 z_j1. Every caption that mentions k also
mentions j, so T acts within the block of every caption. If z_k is isotropic normal and independent
of the rest, T(z) has the law of z. So the model that reads g(T(z)) and the captions of T(z) has
*exactly* the losses of the model that reads g(z), at every batch size, temperature and price, and
its coordinates of k depend on z_j. A code that has k alone has it by luck, not by identification:
the twin is the witness (derived here; the rotation is the counterexample of `theory.witness` for
concepts of two dimensions or more).
"""

from jaxtyping import Float
from torch import Tensor

from theory.captions import CaptionFamily
from theory.concepts import Concept
from theory.errors import InputError

TURN = 2.0


def twin_latents(
    z: Float[Tensor, "n d"], family: CaptionFamily, concept: Concept, companion: Concept
) -> Float[Tensor, "n d"]:
    """T(z), on the device of `z`.

    Args:
        z: latents; those of `concept` isotropic normal and independent of the rest, which is for
            the caller to know.
        family: the captions.
        concept: k, of two dimensions or more.
        companion: j, in every caption that mentions k.

    Raises:
        InputError: a concept of one dimension, or a companion that is not one.

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
    if len(own) < 2:
        raise InputError(
            f"concept {concept!r} of one dimension",
            rule="a rotation needs two dimensions",
            fix="choose a larger concept; a one-dimensional one has no twin of the same law",
        )
    angle = TURN * z[:, other[0]]
    first, second = z[:, own[0]], z[:, own[1]]
    turned = z.clone()
    turned[:, own[0]] = angle.cos() * first - angle.sin() * second
    turned[:, own[1]] = angle.sin() * first + angle.cos() * second
    return turned

"""The similarities S_ij of image i and caption j: each by its formula, and as matrix products.

A similarity sees the coordinates that a mask keeps open. In a *modular* similarity (SmartCLIP,
CVPR 2025) that is the mask m_j of caption j. In its *own* form, the ablation that takes the
modularity away, it is the mask of the caption that image i came with: an image keeps one masked
embedding for all captions, as in CLIP, and a caption that it does not belong to never says where
to look.

Every formula is *linear in the mask*. On {0, 1} nothing changes, since m^2 = m; but the gradient of
a closed gate is then what opening it would bring, and not zero. With m^2 a gate that closes once
stays closed, and training ends with empty masks.

To add a similarity, write its formula and its factors here and list both in `SIMILARITIES`. The
tests then hold one against the other.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from smartclip.objective.cross_entropy import EPSILON, Factors
from theory.errors import InputError

# The name of a similarity: a key of `SIMILARITIES`.
Similarity = str


def cosine(x: Tensor, t: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """s <x m, t> / (|x m| |t|), as published: the caption side is not masked."""
    return s * (m * x * t).sum(-1) / (_norm(x, m) * t.norm(dim=-1))


def cosine_factors(x: Tensor, t: Tensor, m: Tensor | None, s: Tensor) -> Factors:
    if m is None:
        return Factors(_unit(x), s * _unit(t))
    return Factors(x, s * (m * _unit(t)), q=x.square(), m=m)


def own_cosine_factors(x: Tensor, t: Tensor, m: Tensor | None, s: Tensor) -> Factors:
    return Factors(_unit(x) if m is None else _unit_where_open(x, m), s * _unit(t))


def masked_cosine(x: Tensor, t: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """s <x m, t m> / (|x m| |t m|): the caption side is masked too."""
    return s * (m * x * t).sum(-1) / (_norm(x, m) * _norm(t, m))


def masked_cosine_factors(x: Tensor, t: Tensor, m: Tensor | None, s: Tensor) -> Factors:
    if m is None:
        return cosine_factors(x, t, m, s)
    return Factors(x, s * _unit_where_open(t, m), q=x.square(), m=m)


def distance(x: Tensor, t: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """-s sum_k m_k (x_k - t_k)^2, what the identification statements are about."""
    return -s * (m * (x - t).square()).sum(-1)


def distance_factors(x: Tensor, t: Tensor, m: Tensor | None, s: Tensor) -> Factors:
    m = torch.ones_like(t) if m is None else m
    v = torch.cat([2 * s * m * t, -s * m], -1)
    c = -s.squeeze(-1) * (m * t.square()).sum(-1)
    return Factors(torch.cat([x, x.square()], -1), v, c)


def likelihood_ratio(x: Tensor, t: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """sum_k m_k [ -s (x_k - t_k)^2 + x_k^2 / 2 + log(2 s) / 2 ].

    It is log p(t | x) / p(t) of a Gaussian channel of precision 2 s, for coordinates x of unit
    variance. Captions with different numbers of open coordinates become comparable: under the plain
    distance a caption with fewer open coordinates is closer to *every* image.
    """
    s = s.unsqueeze(-1)
    return (m * (-s * (x - t).square() + x.square() / 2 + torch.log(2 * s) / 2)).sum(-1)


def likelihood_ratio_factors(x: Tensor, t: Tensor, m: Tensor | None, s: Tensor) -> Factors:
    m = torch.ones_like(t) if m is None else m
    v = torch.cat([2 * s * m * t, -s * m + m / 2], -1)
    s = s.squeeze(-1)
    c = -s * (m * t.square()).sum(-1) + m.sum(-1) * (0.5 * torch.log(2 * s))
    return Factors(torch.cat([x, x.square()], -1), v, c)


def own_likelihood_ratio_factors(x: Tensor, t: Tensor, m: Tensor | None, s: Tensor) -> Factors:
    m = torch.ones_like(x) if m is None else m
    of_image = (m * ((0.5 - s) * x.square() + torch.log(2 * s) / 2)).sum(-1, keepdim=True)
    u = torch.cat([2 * s * m * x, -s * m, of_image], -1)
    return Factors(u, torch.cat([t, t.square(), torch.ones_like(t.narrow(-1, 0, 1))], -1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Formula:
    """One similarity.

    Attributes:
        of_pair: x, t, m [..., D] and s [...] -> S [...], the formula; all four broadcast.
        factors: image [*runs, images, D], text [*runs, captions, D], mask and s [*runs, 1, 1] ->
            S as `smartclip.objective.cross_entropy` takes it. Without a mask all are open.
        modular: of an own form, the similarity of the same formula in which each caption brings
            its mask; None for those that are modular themselves.
    """

    of_pair: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    factors: Callable[[Tensor, Tensor, Tensor | None, Tensor], Factors]
    modular: Similarity | None = None

    @property
    def masks_images(self) -> bool:
        """Whether row i of the mask belongs to image i, as in own forms, and not to caption i."""
        return self.modular is not None


SIMILARITIES: dict[Similarity, Formula] = {
    "cosine": Formula(of_pair=cosine, factors=cosine_factors),
    "masked_cosine": Formula(of_pair=masked_cosine, factors=masked_cosine_factors),
    "distance": Formula(of_pair=distance, factors=distance_factors),
    "likelihood_ratio": Formula(of_pair=likelihood_ratio, factors=likelihood_ratio_factors),
    "own_cosine": Formula(of_pair=cosine, factors=own_cosine_factors, modular="cosine"),
    "own_likelihood_ratio": Formula(
        of_pair=likelihood_ratio, factors=own_likelihood_ratio_factors, modular="likelihood_ratio"
    ),
}


def formula(similarity: Similarity) -> Formula:
    """The similarity of this name.

    Raises:
        InputError: there is none.
    """
    if similarity not in SIMILARITIES:
        raise InputError(
            f"similarity {similarity!r}",
            rule="a similarity is one of " + ", ".join(SIMILARITIES),
            fix="choose one of them",
        )
    return SIMILARITIES[similarity]


def modular_form(similarity: Similarity) -> Similarity:
    """The similarity by which to compare images with captions that they did not come with.

    After training, an image that is searched for has no caption of its own.

    >>> modular_form("own_cosine"), modular_form("distance")
    ('cosine', 'distance')
    """
    return formula(similarity).modular or similarity


def _norm(x: Tensor, m: Tensor) -> Tensor:
    """|x m|, linear in the mask under the root."""
    return ((m * x.square()).sum(-1) + EPSILON).sqrt()


def _unit(x: Tensor) -> Tensor:
    """x / |x|, row by row."""
    return F.normalize(x, dim=-1, eps=math.sqrt(EPSILON))


def _unit_where_open(x: Tensor, m: Tensor) -> Tensor:
    """x m / |x m|, row by row."""
    return m * x / _norm(x, m).unsqueeze(-1)

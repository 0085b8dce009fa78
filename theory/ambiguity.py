"""What two solutions of one family may differ by: masks up to order, codes up to triangular maps.

3.10, derived here. Let T_k be the captions that mention k. In every solution as many coordinates
are open in exactly the captions P as d{k : T_k = P}, and the coordinates of k depend on z_{cl(k)}.
So two solutions differ by a map that is block-triangular along accompaniment; the linear ones are
the units of its incidence algebra.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from theory.captions import CaptionFamily


@dataclass(frozen=True, kw_only=True, slots=True)
class Ambiguity:
    """The freedom that C2, C3 and C5 leave.

    Attributes:
        coordinates: set of caption numbers P -> how many coordinates are open in exactly P.
        pattern: entry (i, c) is true iff coordinate i may depend on latent column c [D, d]; the
            coordinates in the order of their concepts, those never mentioned left out.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> ambiguity(family).pattern.astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """

    coordinates: dict[frozenset[int], int]
    pattern: Bool[np.ndarray, "D d"]

    @property
    def dimension(self) -> int:
        """sum over k of d_k d(cl k), the dimension of the linear ambiguity; d(U) is the least.

        It grades families: the smaller, the more is kept apart.

        >>> ambiguity(CaptionFamily.from_captions([["a"], ["b"]])).dimension
        2
        """
        return int(self.pattern.sum())


def ambiguity(family: CaptionFamily) -> Ambiguity:
    """The coordinates of every solution and the pattern of what they may depend on.

    >>> family = CaptionFamily.from_captions([["n", "a"], ["n", "b"]], sizes={"n": 2})
    >>> counts = ambiguity(family).coordinates
    >>> counts[frozenset({0, 1})], counts[frozenset({0})], counts[frozenset({1})]
    (2, 1, 1)
    """
    coordinates: dict[frozenset[int], int] = {}
    rows: list[Bool[np.ndarray, " d"]] = []
    for concept, closure in family.ring.closures.items():
        holders = frozenset(i for i, caption in enumerate(family.captions) if concept in caption)
        size = family.space.size([concept])
        coordinates[holders] = coordinates.get(holders, 0) + size
        allowed = np.zeros(family.dimension, dtype=bool)
        allowed[family.space.columns(closure)] = True
        rows += [allowed] * size
    return Ambiguity(coordinates=coordinates, pattern=np.array(rows))

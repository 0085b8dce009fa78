"""A latent that takes few values has no open domain: what C1 and C2 both look for first."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import numpy as np

from theory.conditions.verdict import NeverSeen
from theory.world import Observations

FEW = 400


def discrete_gap(seen: Observations) -> NeverSeen | None:
    """The first coordinate of z that takes few values, and a point between two of them.

    >>> from theory.captions import CaptionFamily
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> z = np.arange(100.0)[:, None] % 2
    >>> discrete_gap(Observations.of(family, z=z, caption=np.zeros(100, dtype=int))).what
    'z of a [0] between 0 and 1'
    """
    for concept in seen.family.concepts:
        for number, column in enumerate(seen.family.space.columns([concept])):
            values, counts = np.unique(seen.z[:, column], return_counts=True)
            if len(values) > len(seen) // 10:
                continue
            name, point = f"z of {concept} [{number}]", seen.z[0].copy()
            if len(values) == 1:
                what, point[column] = f"{name} other than {values[0]:.3g}", values[0] + 1
            else:
                what = f"{name} between {values[0]:.3g} and {values[1]:.3g}"
                point[column] = values[:2].mean()
            return NeverSeen(what=what, expected=float(counts[0]), point=point)
    return None

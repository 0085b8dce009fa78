"""U^(S) and N^(S): union and intersection of the estimated masks of the captions S.

Paper: SmartCLIP, CVPR 2025, Theorem 4.3; the coordinates *of* a concept are derived here. With
exact masks they are those open in exactly the captions that mention it.
"""

# pyright: basic

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from theory.captions import CaptionFamily
from theory.concepts import Concept
from theory.errors import InputError


def as_masks(
    masks: Tensor | np.ndarray, captions: int, coordinates: int
) -> Bool[np.ndarray, "captions D"]:
    """Masks as booleans; 0/1 numbers are accepted.

    Raises:
        InputError: not [captions, coordinates], or values other than 0 and 1.
    """
    values = masks.detach().cpu().numpy() if isinstance(masks, Tensor) else np.asarray(masks)
    if values.shape != (captions, coordinates):
        raise InputError(
            f"masks have shape {values.shape}",
            rule=f"there is one mask for each of the {captions} captions, over the {coordinates} "
            "columns of zhat",
            fix=f"give masks of shape ({captions}, {coordinates})",
        )
    if values.dtype != np.bool_:
        if not bool(np.isin(values, (0, 1)).all()):
            raise InputError(
                f"masks hold the value {values[~np.isin(values, (0, 1))][0]!r}",
                rule="a mask opens or closes a coordinate",
                fix="threshold soft masks, such as masks > 0.5",
            )
        values = values.astype(bool)
    return values


@dataclass(frozen=True, kw_only=True)
class Coordinates:
    """The columns of zhat that the masks of a family assign to captions and concepts."""

    family: CaptionFamily
    masks: Bool[np.ndarray, "captions D"]

    def union(self, captions: Sequence[int]) -> tuple[int, ...]:
        """U^(S): open in some caption of S."""
        return _numbers(np.any(self.masks[list(captions)], axis=0))

    def intersection(self, captions: Sequence[int]) -> tuple[int, ...]:
        """N^(S): open in every caption of S."""
        return _numbers(np.all(self.masks[list(captions)], axis=0))

    def of(self, concept: Concept) -> tuple[int, ...]:
        """The coordinates of k: open in the captions that mention k and in no others.

        Estimated masks rarely agree in every caption, so a coordinate goes to the concept whose
        captions overlap most with those that open it, by p(m)-weighted Jaccard index, if the
        overlap is more than one half. Concepts never apart share their coordinates.
        """
        position = self.family.space.position(concept)
        best = self._overlap.max(0)
        mine = self._overlap[position]
        return _numbers((mine > 0.5) & (mine >= best - 1e-12))

    def of_block(self, concepts: Iterable[Concept]) -> tuple[int, ...]:
        """The coordinates of any of these concepts."""
        return tuple(sorted({column for concept in concepts for column in self.of(concept)}))

    @property
    def _overlap(self) -> np.ndarray:
        """Jaccard index of T_k and the captions that open coordinate i, [K, D]."""
        weights = np.asarray(self.family.weights)[:, None]
        mentions = self.family.matrix.astype(float)
        opened = self.masks.astype(float)
        both = (mentions * weights).T @ opened
        either = (mentions * weights).sum(0)[:, None] + (opened * weights).sum(0)[None] - both
        return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def _numbers(chosen: np.ndarray) -> tuple[int, ...]:
    return tuple(int(number) for number in np.flatnonzero(chosen))


def oracle_masks(family: CaptionFamily) -> Bool[Tensor, "captions d"]:
    """The masks of an encoder that returns z itself: caption i opens the dimensions of B_i."""
    return torch.from_numpy(family.dimension_masks.copy())

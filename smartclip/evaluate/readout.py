"""Which concept can be read off which concept's coordinates, for concepts with discrete values.

Entry (k, j) is the balanced accuracy of telling the value of concept j from the coordinates *of*
concept k: those open in every caption that mentions k and closed in some that does not. Where k is
identified alone, row k is high at k and at chance elsewhere. Derived here; the twin for discrete
concepts of the dependency matrix of `theory.recovery`, by `theory.recovery.categories`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from theory import CaptionFamily, Concept
from theory.recovery.categories import CategoricalScore, categorical_score


@dataclass(frozen=True, kw_only=True, slots=True)
class Readout:
    """What the coordinates of each concept tell about each concept.

    Attributes:
        concepts: K names.
        accuracy: [K, K] balanced accuracy on held-out samples, from 0 to 1; NaN where a concept
            has no coordinates of its own.
        explained: [K, K] explained log-loss, at most 1 and 0 for no better than the prior.
        purity: for each concept the held-out R2 of each of its coordinates from its value alone.
        whole: [K] balanced accuracy from the whole code: what there is to be read at all.
        chance: [K] one over the number of values.
        coordinates: [K] how many coordinates each concept has.
    """

    concepts: tuple[Concept, ...]
    accuracy: Float[np.ndarray, "K K"]
    explained: Float[np.ndarray, "K K"]
    purity: tuple[tuple[float, ...], ...]
    whole: Float[np.ndarray, " K"]
    chance: Float[np.ndarray, " K"]
    coordinates: tuple[int, ...]


def own_coordinates(
    family: CaptionFamily, masks: Bool[np.ndarray, "captions D"]
) -> dict[Concept, Int[np.ndarray, " of_k"]]:
    """The coordinates open in every caption that mentions k, and not in all captions alike."""
    mentions = family.matrix
    everywhere = masks.all(0)
    own = {}
    for position, concept in enumerate(family.concepts):
        about = mentions[:, position]
        shared = masks[about].all(0) if about.any() else np.zeros(masks.shape[1], dtype=bool)
        # Open in all captions says nothing about k, unless all captions mention k.
        own[concept] = np.flatnonzero(shared if about.all() else shared & ~everywhere)
    return own


def readout(
    code: Float[np.ndarray, "N D"],
    values: Int[np.ndarray, "N K"],
    held_out_code: Float[np.ndarray, "M D"],
    held_out_values: Int[np.ndarray, "M K"],
    *,
    family: CaptionFamily,
    masks: Bool[np.ndarray, "captions D"],
) -> Readout:
    """Score the coordinates of each concept for the value of each concept, on held-out rows.

    Args:
        code: z^_I of the samples to learn from.
        values: the value of each concept, -1 where the sample does not have the concept.
        held_out_code: z^_I of other samples.
        held_out_values: their values.
        family: the captions.
        masks: one mask a kind of caption.
    """
    concepts = family.concepts
    own = own_coordinates(family, masks)

    def score(columns: np.ndarray, target: int) -> CategoricalScore:
        return categorical_score(
            code[:, columns],
            values[:, target],
            held_out_code[:, columns],
            held_out_values[:, target],
        )

    targets = range(len(concepts))
    scores = [[score(own[concept], j) for j in targets] for concept in concepts]
    whole = [score(np.arange(code.shape[1]), j) for j in targets]
    return Readout(
        concepts=concepts,
        accuracy=np.array([[found.balanced_accuracy for found in row] for row in scores]),
        explained=np.array([[found.explained for found in row] for row in scores]),
        purity=tuple(scores[j][j].purity for j in targets),
        whole=np.array([found.balanced_accuracy for found in whole]),
        chance=np.array([found.chance for found in whole]),
        coordinates=tuple(len(own[concept]) for concept in concepts),
    )

"""Which concept can be read off which concept's coordinates, for concepts with discrete values.

Entry (k, j) is the balanced accuracy of telling the value of concept j from the coordinates *of*
concept k: those open in every caption that mentions k and closed in some that does not. Where k is
identified alone, row k is high at k and at chance elsewhere. Derived here; the twin for discrete
concepts of the dependency matrix of `theory.recovery`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from theory import CaptionFamily, Concept

NEIGHBOURS = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Readout:
    """What the coordinates of each concept tell about each concept.

    Attributes:
        concepts: K names.
        accuracy: [K, K] balanced accuracy on held-out samples, from 0 to 1; NaN where a concept
            has no coordinates of its own.
        whole: [K] the same from the whole code: what is there to be read at all.
        chance: [K] one over the number of values.
        coordinates: [K] how many coordinates each concept has.
    """

    concepts: tuple[Concept, ...]
    accuracy: Float[np.ndarray, "K K"]
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
    """Fit one nearest-neighbour classifier for each pair of concepts; score it on held-out rows.

    Args:
        code: z^_I of the samples that the classifiers see.
        values: the value of each concept, -1 where the sample does not have the concept.
        held_out_code: z^_I of other samples.
        held_out_values: their values.
        family: the captions.
        masks: one mask a kind of caption.
    """
    concepts = family.concepts
    own = own_coordinates(family, masks)

    def score(columns: np.ndarray, target: int) -> float:
        known, asked = values[:, target] >= 0, held_out_values[:, target] >= 0
        if not len(columns) or not asked.any():
            return float("nan")
        classifier = make_pipeline(StandardScaler(), KNeighborsClassifier(NEIGHBOURS))
        classifier.fit(code[known][:, columns], values[known, target])
        told = classifier.predict(held_out_code[asked][:, columns])
        return float(balanced_accuracy_score(held_out_values[asked, target], told))

    targets = range(len(concepts))
    return Readout(
        concepts=concepts,
        accuracy=np.array([[score(own[concept], j) for j in targets] for concept in concepts]),
        whole=np.array([score(np.arange(code.shape[1]), j) for j in targets]),
        chance=np.array([1 / len(np.unique(values[values[:, j] >= 0, j])) for j in targets]),
        coordinates=tuple(len(own[concept]) for concept in concepts),
    )

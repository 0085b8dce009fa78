"""Do captions that share concepts open the same coordinates?

    concepts  c_ij = |B_i n B_j| / |B_i u B_j|,        masks  o_ij = |m_i n m_j| / |m_i u m_j|

for captions i != j with blocks B and masks m, averaged over the captions of two kinds (a kind is a
block). The theory wants o to grow with c; a mask that is the same for all captions has o = 1
everywhere. Derived here; the test is Mantel's (Cancer Research, 1967), which permutes kinds and
not pairs, because the pairs of one kind are not independent.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Overlaps of P kinds of captions.

    Attributes:
        kinds: [P, K] the block of each kind.
        captions: [P] how many captions each kind has.
        concepts: [P, P] c, 1 on the diagonal.
        masks: [P, P] mean of o; NaN where no two captions with an open coordinate meet.
        correlation: Spearman's, over pairs of different kinds, from -1 to 1; NaN if either overlap
            is the same for all pairs.
        p_value: share of permutations of the kinds that correlate at least as much, the one at
            hand included; NaN with the correlation.
    """

    kinds: Bool[np.ndarray, "P K"]
    captions: Int[np.ndarray, " P"]
    concepts: Float[np.ndarray, "P P"]
    masks: Float[np.ndarray, "P P"]
    correlation: float
    p_value: float


def overlap(
    masks: Bool[np.ndarray, "N D"],
    mentioned: Bool[np.ndarray, "_ K"],
    *,
    permutations: int = 999,
    seed: int = 0,
) -> Overlap:
    """Compare the masks of N captions with the concepts they mention.

    Args:
        masks: which coordinates each caption opens.
        mentioned: which concepts it mentions.
        permutations: of the kinds, for the p-value.
        seed: of the permutations.

    Raises:
        InputError: different numbers of captions, or fewer than three kinds.

    >>> blocks = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0]], dtype=bool)
    >>> found = overlap(np.repeat(blocks, 4, axis=1), blocks)
    >>> round(found.correlation, 6), bool((found.masks == found.concepts)[0, 1])
    (1.0, True)
    """
    kinds, kind = np.unique(mentioned, axis=0, return_inverse=True)
    if len(masks) != len(mentioned) or len(kinds) < 3:
        raise InputError(
            f"{len(masks)} masks and {len(mentioned)} captions of {len(kinds)} kinds",
            rule="each caption has a mask, and three kinds or more can be compared",
            fix="pass captions that mention different sets of concepts",
        )
    shared = _jaccard(masks)
    np.fill_diagonal(shared, np.nan)
    member = (np.ravel(kind)[:, None] == np.arange(len(kinds))).astype(float)
    counted = member.T @ np.isfinite(shared) @ member
    total = member.T @ np.nan_to_num(shared) @ member
    by_kind = np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0)
    concepts = _jaccard(kinds)
    np.fill_diagonal(concepts, 1.0)
    correlation, p_value = _mantel(concepts, by_kind, permutations, np.random.default_rng(seed))
    return Overlap(
        kinds=kinds,
        captions=member.sum(0).astype(int),
        concepts=concepts,
        masks=by_kind,
        correlation=correlation,
        p_value=p_value,
    )


def _jaccard(rows: Bool[np.ndarray, "N D"]) -> Float[np.ndarray, "N N"]:
    """Size of the intersection over that of the union; NaN where both are empty."""
    member = rows.astype(float)
    both = member @ member.T
    size = member.sum(1)
    either = size[:, None] + size - both
    return np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0)


def _mantel(
    first: Float[np.ndarray, "P P"],
    second: Float[np.ndarray, "P P"],
    permutations: int,
    generator: np.random.Generator,
) -> tuple[float, float]:
    pairs = np.triu_indices(len(first), 1)
    known = np.isfinite(second[pairs])
    values = second[pairs][known]

    def correlated(order: Int[np.ndarray, " P"]) -> float:
        ranks = rankdata(first[np.ix_(order, order)][pairs][known])
        return float(np.corrcoef(ranks, rankdata(values))[0, 1])

    order = np.arange(len(first))
    if len(values) < 3 or np.ptp(values) == 0 or np.ptp(first[pairs][known]) == 0:
        return np.nan, np.nan
    found = correlated(order)
    chance = [correlated(generator.permutation(order)) for _ in range(permutations)]
    # Rounding must not tell an equal correlation from a smaller one.
    return found, (1 + sum(each >= found - 1e-12 for each in chance)) / (1 + permutations)

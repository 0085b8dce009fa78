"""A concept with discrete values c, both directions, on held-out samples:

    balanced accuracy     mean over c of P(c told | c)                   c told from zhat_B^
    explained log-loss    1 - E[-log q(c | zhat_B^)] / E[-log prior(c)]  the share of the surprise
    purity                R2(zhat_B^ <- c), by the mean of each value

Nothing of c is lost where the first two are 1, and nothing else gets in where purity is 1. For
discrete concepts the statements of the theory do not hold as they stand; the scores are the twins
of completeness and purity (derived here). q counts the values of the nearest neighbours,

    q(c | x) = (neighbours with c + prior(c)) / (neighbours + 1).
"""

# pyright: basic

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.neighbors import NearestNeighbors

from theory.errors import InputError

NEIGHBOURS = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalScore:
    """How well a code holds a discrete concept.

    Attributes:
        balanced_accuracy: from 0 to 1, higher is better; NaN without coordinates or samples.
        chance: balanced accuracy of guessing, one over the number of values.
        explained: explained log-loss, at most 1 and higher is better; 0 is no better than the
            prior; NaN where there is nothing to tell.
        purity: held-out R2 of each coordinate from the value; NaN for a constant coordinate.
    """

    balanced_accuracy: float
    chance: float
    explained: float
    purity: tuple[float, ...]


def categorical_score(
    code: Float[np.ndarray, "N of"],
    values: Int[np.ndarray, " N"],
    held_out_code: Float[np.ndarray, "M of"],
    held_out_values: Int[np.ndarray, " M"],
) -> CategoricalScore:
    """Both directions between the coordinates of a block and the value of a concept.

    Args:
        code: coordinates of the samples to learn from; possibly none.
        values: their values; samples with a negative value do not have the concept and are left
            out.
        held_out_code: of the samples to score.
        held_out_values: their values. A value never seen counts as not told.

    Raises:
        InputError: NaN or infinity in the code, or no sample has the concept.

    >>> rng = np.random.default_rng(0)
    >>> value = rng.integers(3, size=800)
    >>> code = value[:, None] + 0.01 * rng.normal(size=(800, 1))
    >>> score = categorical_score(code[:400], value[:400], code[400:], value[400:])
    >>> score.balanced_accuracy, score.explained > 0.9, score.purity[0] > 0.99
    (1.0, True, True)
    """
    known, asked = values >= 0, held_out_values >= 0
    seen, target = np.unique(values[known], return_inverse=True)
    if not len(seen):
        raise InputError(
            "values are all negative",
            rule="some sample to learn from has the concept",
            fix="give more samples, or leave the concept out",
        )
    if not (np.isfinite(code).all() and np.isfinite(held_out_code).all()):
        raise InputError(
            "code holds NaN or infinity", rule="samples are finite", fix="mend the encoder"
        )
    chance = 1 / len(seen)
    x, y = code[known].astype(float), held_out_code[asked].astype(float)
    if not x.shape[1] or not len(y):
        empty = (float("nan"),) * x.shape[1]
        return CategoricalScore(
            balanced_accuracy=float("nan"), chance=chance, explained=float("nan"), purity=empty
        )
    # Values never seen get a place of their own behind the others.
    truth = np.searchsorted(seen, held_out_values[asked])
    truth[~np.isin(held_out_values[asked], seen)] = len(seen)
    deviation = x.std(0)
    scale = np.where(deviation > 0, deviation, 1)
    prior = np.bincount(target, minlength=len(seen)) / len(target)
    chosen = _neighbours(x / scale, y / scale)
    counts = np.stack([(target[chosen] == value).sum(1) for value in range(len(seen))], 1)
    told = (counts + prior) / (chosen.shape[1] + 1)
    return CategoricalScore(
        balanced_accuracy=_balanced(truth, told.argmax(1)),
        chance=chance,
        explained=_explained(truth, told, prior),
        purity=_purity(x, target, y, truth),
    )


def _neighbours(known: np.ndarray, asked: np.ndarray) -> Int[np.ndarray, "asked k"]:
    count = min(NEIGHBOURS, len(known))
    return NearestNeighbors(n_neighbors=count).fit(known).kneighbors(asked, return_distance=False)


def _balanced(truth: np.ndarray, told: np.ndarray) -> float:
    """Over the values that occur, as scikit-learn's, without its warning about the others."""
    return float(np.mean([(told[truth == value] == value).mean() for value in np.unique(truth)]))


def _explained(truth: np.ndarray, told: np.ndarray, prior: np.ndarray) -> float:
    known = truth < len(prior)
    if not known.any():
        return float("nan")
    rows = np.arange(len(truth))[known]
    surprise = -np.log(prior[truth[known]]).mean()
    left = -np.log(told[rows, truth[known]]).mean()
    return float(1 - left / surprise) if surprise > 0 else float("nan")


def _purity(
    x: np.ndarray, values: np.ndarray, y: np.ndarray, truth: np.ndarray
) -> tuple[float, ...]:
    means = np.stack([x[values == value].mean(0) for value in range(values.max() + 1)])
    known = truth < len(means)
    missed = np.square(y[known] - means[truth[known]]).sum(0)
    total = np.square(y[known] - y[known].mean(0)).sum(0) if known.any() else missed
    scores = 1 - missed / np.where(total > 0, total, 1)
    return tuple(
        float(score) if size > 0 else float("nan")
        for score, size in zip(scores, total, strict=True)
    )

"""Which words open which coordinates: what a word adds to the mask of a caption that says it.

    m^(t)_k  ~  sum_w beta_wk [w in t],        beta = argmin E |m - beta^T said|^2

by least squares over captions. Words come in company (three concepts a caption here), so the mean
mask of the captions that say a word also has the coordinates of its companions; beta has not. Where
every concept is identified alone and masks are exact, beta is 1 at the coordinates of the word's
concept and 0 elsewhere. Derived here.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class WordEffects:
    """What each of W words adds to each of D coordinates.

    Attributes:
        words: their names.
        effect: beta [W, D].
        explained: share of the variance of masks that beta explains, 1 at best; NaN where no mask
            ever changes.
    """

    words: tuple[str, ...]
    effect: Float[np.ndarray, "W D"]
    explained: float


def word_effects(
    words: tuple[str, ...], said: Bool[np.ndarray, "N W"], mask: Float[np.ndarray, "N D"]
) -> WordEffects:
    """beta from N captions.

    Args:
        words: names of the W words.
        said: which caption says which word.
        mask: the hard mask of each caption.

    Raises:
        InputError: the captions do not tell the words apart, for example a word never said.

    >>> said = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=bool)
    >>> mask = said.astype(float)[:, [0, 2]]
    >>> word_effects(("red", "small", "star"), said, mask).effect.round(6).tolist()
    [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """
    regressors = said.astype(np.float64)
    effect, _, rank, _ = np.linalg.lstsq(regressors, mask.astype(np.float64), rcond=None)
    if rank < len(words):
        raise InputError(
            f"{len(said)} captions that tell {rank} of {len(words)} words apart",
            rule="every word is said with varying company",
            fix="give more captions, or fewer words",
        )
    left = np.square(mask - regressors @ effect).sum()
    all_of_it = np.square(mask - mask.mean(0)).sum()
    explained = float(1 - left / all_of_it) if all_of_it > 0 else float("nan")
    return WordEffects(words=words, effect=effect, explained=explained)

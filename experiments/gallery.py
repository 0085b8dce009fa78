"""Held-out pictures of a data set: galleries to search, and pictures whose concepts are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Gallery:
    """Held-out pictures and the captions that are asked about them.

    Attributes:
        name: what is held out.
        images: [N, ...].
        texts: M captions.
        relevant: [N, M], which caption describes which picture.
        groups: for each caption, what it shares with others; resampled together.
    """

    name: str
    images: Float[Tensor, "N c h w"]
    texts: list[str]
    relevant: Bool[Tensor, "N M"]
    groups: Sequence[object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What a simulator knows of N pictures and their captions.

    Attributes:
        latents: z [N, d].
        words: names of the W words, or of groups of words with one meaning.
        said: [N, W], which caption says which word.
    """

    latents: Float[Tensor, "N d"]
    words: tuple[str, ...]
    said: Bool[np.ndarray, "N W"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """Pictures whose concepts are known, each with one caption.

    Attributes:
        images: [N, ...].
        texts: N captions.
        caption: [N] which kind of caption, an index into `family.captions`.
        values: [N, K] the value of each concept; -1 where a picture does not have the concept.
        known: of simulated pictures, the truth that block recovery measures against.
    """

    images: Float[Tensor, "N c h w"]
    texts: list[str]
    caption: Int[Tensor, " N"]
    values: Int[np.ndarray, "N K"]
    known: Known | None = None

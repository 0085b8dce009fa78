"""u(s, stream, i): the uniforms of sample i, a pure function of the seed, the stream and the index.

Philox is a counter-based generator: row i of a stream is read at counter i * c, whatever was read
before it. So any worker, resumed run or order of batches sees the same samples.
Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Float, UInt64
from torch import Tensor

from theory.errors import InputError

WORDS_PER_COUNTER = 4
LARGEST_UNIFORM = 1 - 2.0**-53


class Stream(IntEnum):
    """What a uniform is used for: two uses never share a stream, so they are independent."""

    LATENTS = 0
    CAPTION = 1
    IMAGE_NOISE = 2
    TEXT_NOISE = 3
    FALSEHOOD = 4
    WORDING = 5
    SWAP_LATENTS = 6
    SWAP_IMAGE_NOISE = 7


def uniforms(
    n: int, width: int, *, seed: int, stream: Stream, start: int = 0, draw: int = 0
) -> Float[Tensor, "n w"]:
    """Rows start, ..., start + n - 1 of one stream: independent uniforms on the open (0, 1).

    Args:
        n: number of rows.
        width: uniforms per row.
        seed: 0 or more, below 2**64.
        stream: what they are for.
        start: index of the first row.
        draw: another independent set of rows for the same use (the r-th caption of an image).

    Returns:
        float64 [n, width]; never exactly 0 or 1, so every quantile is finite.

    >>> whole = uniforms(10, 3, seed=1, stream=Stream.LATENTS)
    >>> part = uniforms(4, 3, seed=1, stream=Stream.LATENTS, start=6)
    >>> bool((whole[6:] == part).all())
    True
    """
    for name, value in (("n", n), ("seed", seed), ("start", start), ("draw", draw)):
        if value < 0:
            raise InputError(
                f"{name}={value} is negative",
                rule="a sample is addressed by non-negative integers",
                fix=f"give {name} >= 0",
            )
    if seed >= 2**64:
        raise InputError(
            f"seed={seed} is too large",
            rule="the generator's key has 64 bits for the seed",
            fix="give a seed below 2**64",
        )
    counters = -(-width // WORDS_PER_COUNTER)
    key = np.array([seed, (draw << 8) | stream], dtype=np.uint64)
    words = np.random.Philox(counter=start * counters, key=key).random_raw(
        n * counters * WORDS_PER_COUNTER
    )
    return torch.from_numpy(between_0_and_1(words)).reshape(n, -1)[:, :width]


def between_0_and_1(words: UInt64[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """(w // 2^12 + 1/2) / 2^52: 52 bits and a half step, so that float64 reaches neither end."""
    values = (words >> np.uint64(12)).astype(np.float64)
    values += 0.5
    values *= 2.0**-52
    return values

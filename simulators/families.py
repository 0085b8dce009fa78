"""Caption families drawn at random: what a method is chosen on, and what it is judged by.

    4 to 8 concepts of 1 to 3 dimensions, 3 to 7 captions; one family in six is a prefix chain, and
    of the captions of the others one in four extends or shortens an earlier one.

The two streams never share a family's draw: choices are made on `development`, and a published
figure comes from `test`, on which nothing was chosen.
"""

from itertools import pairwise
from typing import Literal, SupportsIndex, get_args

import numpy as np

from theory.captions import CaptionFamily
from theory.concepts import Concept
from theory.errors import InputError

FamilyStream = Literal["development", "test"]

CONCEPTS, CAPTIONS, SIZES = (4, 8), (3, 7), (1, 3)
CHAINS = 1 / 6
NESTED = 1 / 4


def random_family(seed: int, *, stream: FamilyStream) -> CaptionFamily:
    """Family number `seed` of a stream; every concept is in some caption.

    Args:
        seed: 0 or more.
        stream: development or test.

    Raises:
        InputError: a negative seed or an unknown stream.

    >>> random_family(0, stream="development") == random_family(0, stream="development")
    True
    """
    if seed < 0 or stream not in get_args(FamilyStream):
        raise InputError(
            f"family {seed} of stream {stream!r}",
            rule="families count from 0, and a stream is development or test",
            fix="change it",
        )
    rng = np.random.default_rng([get_args(FamilyStream).index(stream), seed])
    count = _between(rng, CONCEPTS)
    sizes: dict[Concept, SupportsIndex] = {
        str(concept): _between(rng, SIZES) for concept in range(count)
    }
    wanted = _between(rng, CAPTIONS)
    if rng.random() < CHAINS:
        captions = _chain(rng, count, min(wanted, count))
    else:
        captions = _scattered(rng, count, wanted)
    named = [sorted(map(str, caption)) for caption in captions]
    return CaptionFamily.from_captions(named, sizes=sizes)


def is_chain(family: CaptionFamily) -> bool:
    """Whether each caption says what a shorter one says and more: prefixes of one long caption."""
    ordered = sorted(family.captions, key=len)
    return all(set(shorter) <= set(longer) for shorter, longer in pairwise(ordered))


def _between(rng: np.random.Generator, bounds: tuple[int, int]) -> int:
    return int(rng.integers(bounds[0], bounds[1], endpoint=True))


def _chain(rng: np.random.Generator, count: int, captions: int) -> list[set[int]]:
    """Prefixes of an order of all concepts; the last one is whole."""
    order = rng.permutation(count).tolist()
    ends = sorted(rng.choice(np.arange(1, count), captions - 1, replace=False).tolist())
    return [set(order[:end]) for end in (*ends, count)]


def _scattered(rng: np.random.Generator, count: int, captions: int) -> list[set[int]]:
    """Subsets of any size but all, some nested in others; a concept left out joins one of them."""
    found: list[set[int]] = []
    while len(found) < captions:
        size = int(rng.integers(1, count))
        caption = set(rng.choice(count, size, replace=False).tolist())
        if found and rng.random() < NESTED:
            earlier = found[int(rng.integers(len(found)))]
            caption = earlier & caption if rng.random() < 0.5 else earlier | caption
        if caption and caption not in found:
            found.append(caption)
    for concept in sorted(set(range(count)).difference(*found)):
        choices = [one for one in found if one | {concept} not in found]
        choices[int(rng.integers(len(choices)))].add(concept)
    return found

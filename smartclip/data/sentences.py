"""A long caption to a short one: which of its N sentences are kept, and what that identifies.

SmartCLIP (CVPR 2025) keeps a prefix of random length, so the captions of an image form a chain, and
of a chain of N sentences only the first is ever identified alone. Other ways of choosing promise
more: `family` gives the caption family of each, for `theory.predict`.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from theory import CaptionFamily
from theory.errors import InputError

Policy = Literal[
    "prefix",
    "subset",
    "single",
    "pair",
    "window",
    "drop-first",
    "shuffled",
    "padded",
    "debias",
    "all",
]
PADDED: frozenset[Policy] = frozenset({"padded", "debias"})
"""Those whose captions are moved away from the start of their context, behind padding."""
Split = Literal["marks", "published"]
_LARGEST = 16
_LARGEST_IN_ANY_ORDER = 6
_END = re.compile(r"(?<=[.!?])\s+")


def sentences(caption: str, split: Split = "marks") -> list[str]:
    """The sentences of a caption.

    - `marks`: cut after a full stop, question or exclamation mark and a space.
    - `published`: cut at ". ", which is left out; joined again by ". " (SmartCLIP's own code).

    >>> sentences("A bear sits. It holds a 2.5 m pen! Why?")
    ['A bear sits.', 'It holds a 2.5 m pen!', 'Why?']
    >>> sentences("A bear sits. It holds a 2.5 m pen! Why?", "published")
    ['A bear sits', 'It holds a 2.5 m pen! Why?']
    """
    if split not in get_args(Split):
        raise InputError(
            f"the split {split!r}",
            rule="a split is one of " + ", ".join(get_args(Split)),
            fix="choose one of them",
        )
    parts = caption.split(". ") if split == "published" else re.split(_END, caption.strip())
    return [part for part in parts if part.strip()]


def choices(count: int, policy: Policy) -> list[tuple[int, ...]]:
    """What a policy may keep: places of sentences in the order they are said.

    All are equally likely; of `debias` all sets are, and then all orders of one.

    - `prefix`: the first 1, 2, ..., N (published).
    - `subset`: any non-empty set.
    - `single`: one.
    - `pair`: any two; the only one if N = 1.
    - `window`: two neighbours; the only one if N = 1.
    - `drop-first`: all but the first; the only one if N = 1.
    - `shuffled`: everything, in any order. It says what `all` says; a context that is too short
      cuts another end of it each time.
    - `padded`: everything, behind as much padding as a draw says.
    - `debias`: any non-empty set of those after the first, in any order, behind padding: what
      DeBias-CLIP (CVPR 2026) makes of a caption. Its first sentence is said nowhere.
    - `all`: everything.

    Args:
        count: N, at least 1; at most 16 for `subset`, 6 for `shuffled` and `debias`.
        policy: which.

    >>> choices(3, "prefix"), choices(3, "window")
    ([(0,), (0, 1), (0, 1, 2)], [(0, 1), (1, 2)])
    """
    _check(count, policy)
    every = range(count)
    if policy == "subset":
        if count > _LARGEST:
            raise InputError(
                f"{count} sentences",
                rule=f"subsets are listed for at most {_LARGEST} sentences",
                fix="use kept() to draw one, or another policy",
            )
        sizes = range(1, count + 1)
        return [chosen for size in sizes for chosen in itertools.combinations(every, size)]
    if policy in ("shuffled", "debias"):
        if count > _LARGEST_IN_ANY_ORDER:
            raise InputError(
                f"{count} sentences",
                rule=f"orders are listed for at most {_LARGEST_IN_ANY_ORDER} sentences",
                fix="use kept() to draw one, or another policy",
            )
        if policy == "shuffled" or count == 1:
            return list(itertools.permutations(every))
        return [
            order
            for chosen in choices(count - 1, "subset")
            for order in itertools.permutations([place + 1 for place in chosen])
        ]
    if policy == "prefix":
        return [tuple(range(stop)) for stop in range(1, count + 1)]
    if policy in ("all", "padded") or count == 1:
        return [tuple(every)]
    if policy == "drop-first":
        return [tuple(every[1:])]
    if policy == "single":
        return [(index,) for index in every]
    if policy == "pair":
        return list(itertools.combinations(every, 2))
    return [(index, index + 1) for index in range(count - 1)]


def family(count: int, policy: Policy) -> CaptionFamily:
    """C for captions of N sentences, each about a concept of its own: `s1` to `sN`.

    >>> from theory import predict
    >>> [len(predict(family(6, policy)).alone) for policy in ("prefix", "window", "pair")]
    [1, 4, 6]

    An order says nothing new, so `shuffled` is `all`, and what is never said is identified by none:
    of `debias` the first sentence is missing.

    >>> [sorted(family(3, policy).concepts) for policy in ("shuffled", "debias")]
    [['s1', 's2', 's3'], ['s2', 's3']]
    """
    names = [f"s{index + 1}" for index in range(count)]
    chosen = choices(count, policy)
    return CaptionFamily.from_captions([[names[index] for index in each] for each in chosen])


def kept(
    parts: Sequence[str], policy: Policy, *, seed: int, index: int, split: Split = "marks"
) -> str:
    """The sentences that example `index` keeps under a seed, as they are said.

    A pure function of its arguments, drawn as `choices` says. Padding is no part of the text: see
    `smartclip.text.moved`.

    Args:
        parts: the N sentences.
        policy: see `choices`.
        seed: of the run, 0 or more.
        index: of the sample, counted over all epochs, 0 or more.
        split: how the caption was cut; the sentences are joined accordingly.
    """
    _check(len(parts), policy)
    generator = np.random.default_rng([seed, index])
    if policy == "subset":
        chosen: Sequence[int] = _subset(len(parts), generator)
    elif policy == "debias" and len(parts) > 1:
        chosen = (1 + generator.permutation(_subset(len(parts) - 1, generator))).tolist()
    elif policy == "shuffled":
        chosen = generator.permutation(len(parts)).tolist()
    elif policy == "pair" and len(parts) > 1:
        chosen = sorted(generator.choice(len(parts), size=2, replace=False).tolist())
    else:
        possible = choices(len(parts), policy)
        chosen = possible[int(generator.integers(len(possible)))]
    joint = ". " if split == "published" else " "
    return joint.join(parts[place] for place in chosen)


def _subset(count: int, generator: np.random.Generator) -> list[int]:
    """Uniform over the non-empty sets, however many there are."""
    keep = np.zeros(count, dtype=bool)
    while not keep.any():
        keep = generator.random(count) < 0.5
    return np.flatnonzero(keep).tolist()


def _check(count: int, policy: str) -> None:
    if policy not in get_args(Policy):
        raise InputError(
            f"the policy {policy!r}",
            rule="a policy is one of " + ", ".join(get_args(Policy)),
            fix="choose one of them",
        )
    if count < 1:
        raise InputError(
            "a caption without sentences",
            rule="a caption keeps at least one sentence",
            fix="leave empty captions out",
        )

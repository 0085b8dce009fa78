"""m ~ p(m): which concepts a caption mentions, with the whole law declared in `family.weights`.

Each process samples by its own mechanism and declares p(m) in closed form, so a prediction needs no
sampling (SmartCLIP, CVPR 2025, Section 4: captions as masked views of the latents).
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from theory.captions import CaptionFamily
from theory.concepts import Block, Concept
from theory.errors import InputError

Rank = Callable[[], Float[Tensor, " n"]]

LARGEST_ENUMERATION = 16
"""Concepts up to which all 2^K - 1 captions are enumerated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mentions:
    """What n captions say.

    Attributes:
        caption: index into `family.captions` [n]: the concepts named in the text.
        false: concepts named with a value that is not the image's [n, K].
    """

    caption: Int64[Tensor, " n"]
    false: Bool[Tensor, "n K"]


class CaptionProcess(ABC):
    """A law of masks.

    Attributes:
        family: its support C and its weights p(m).
        uniforms: how many uniforms one caption takes.
    """

    family: CaptionFamily
    uniforms: int

    @abstractmethod
    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        """One caption a row.

        Args:
            u: independent uniforms.
            rank: gives a function of the image's z that is uniform on (0, 1) (`Latents.rank`);
                only a process that depends on the values of z calls it.
        """

    def masks(self, mentions: Mentions) -> Bool[Tensor, "n K"]:
        """The concepts each caption names."""
        return torch.tensor(self.family.matrix)[mentions.caption]

    def _find(self, masks: Bool[Tensor, "n K"]) -> Int64[Tensor, " n"]:
        """The index of each mask in the family."""
        powers = 2 ** torch.arange(masks.shape[1])
        known = (torch.tensor(self.family.matrix) * powers).sum(1)
        ordered, order = known.sort()
        return order[torch.searchsorted(ordered, (masks * powers).sum(1))]


def _categorical(weights: Float[Tensor, " c"], u: Float[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Index c with probability proportional to weights[c]; zero weights never occur."""
    edges = weights.cumsum(0)
    index = torch.searchsorted(edges / edges[-1], u.contiguous(), right=True)
    return index.clamp(max=int(weights.nonzero().max()))


def _truthful(caption: Int64[Tensor, " n"], family: CaptionFamily) -> Mentions:
    false = torch.zeros(len(caption), len(family.concepts), dtype=torch.bool)
    return Mentions(caption=caption, false=false)


class Weighted(CaptionProcess):
    """p(m) = family.weights: each caption independently of everything else."""

    def __init__(self, family: CaptionFamily) -> None:
        self.family = family
        self.uniforms = 1
        self._weights = torch.tensor(family.weights, dtype=torch.float64)

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        return _truthful(_categorical(self._weights, u[:, 0]), self.family)


class Bernoulli(CaptionProcess):
    """p(m) proportional to prod_k p_k^{m_k} (1 - p_k)^{1 - m_k} over the non-empty masks.

    Args:
        concepts: K names, at most 16.
        probability: p_k of each concept, in (0, 1); one number for all, or one each.
        sizes: d_k, 1 where silent.
    """

    def __init__(
        self,
        concepts: Sequence[Concept],
        *,
        probability: float | Sequence[float] = 0.5,
        sizes: Mapping[Concept, int] | None = None,
    ) -> None:
        K = len(concepts)
        _enumerable(K)
        p = [probability] * K if isinstance(probability, int | float) else list(probability)
        if len(p) != K or not all(0 < value < 1 for value in p):
            raise InputError(
                f"probability={probability}",
                rule="each concept is mentioned with a probability strictly between 0 and 1",
                fix="give one number in (0, 1), or one for each concept",
            )
        self._p = torch.tensor(p, dtype=torch.float64)
        self.uniforms = K
        law = {
            frozenset(itertools.compress(concepts, bits)): math.prod(
                q if bit else 1 - q for bit, q in zip(bits, p, strict=True)
            )
            for bits in itertools.product((True, False), repeat=K)
            if any(bits)
        }
        self.family = CaptionFamily.from_distribution(law, sizes=sizes, concepts=concepts)

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        # While nothing has been mentioned, the next concept must make up for the lost empty mask.
        empty_from = (1 - self._p).flip(0).cumprod(0).flip(0)
        masks = torch.zeros(u.shape, dtype=torch.bool)
        silent = torch.ones(len(u), dtype=torch.bool)
        for k, p in enumerate(self._p):
            masks[:, k] = u[:, k] < torch.where(silent, p / (1 - empty_from[k]), p)
            silent &= ~masks[:, k]
        return _truthful(self._find(masks), self.family)


class SubsetsOfSize(CaptionProcess):
    """p(m) = 1 / C(K, size) for every subset of that size.

    Args:
        concepts: K names.
        size: concepts in a caption, 1 to K.
        sizes: d_k, 1 where silent.
    """

    def __init__(
        self,
        concepts: Sequence[Concept],
        size: int,
        *,
        sizes: Mapping[Concept, int] | None = None,
    ) -> None:
        if not 1 <= size <= len(concepts):
            raise InputError(
                f"size={size} of {len(concepts)} concepts",
                rule="a caption mentions at least one concept and at most all",
                fix=f"give a size from 1 to {len(concepts)}",
            )
        self.size = size
        self.uniforms = len(concepts)
        self.family = CaptionFamily.from_captions(
            itertools.combinations(concepts, size), sizes=sizes, concepts=concepts
        )

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        masks = torch.zeros(u.shape, dtype=torch.bool)
        masks.scatter_(1, u.argsort(dim=1)[:, : self.size], True)
        return _truthful(self._find(masks), self.family)


class Prefixes(CaptionProcess):
    """m = the first J of N sentences, J uniform on 1..N: the official sampler of SmartCLIP.

    Args:
        sentences: each the concepts of one sentence, in the order of the long caption.
        sizes: d_k, 1 where silent.

    >>> [sorted(c) for c in Prefixes([["a"], ["b"], ["c"]]).family.captions]
    [['a'], ['a', 'b'], ['a', 'b', 'c']]
    """

    def __init__(
        self, sentences: Sequence[Iterable[Concept]], *, sizes: Mapping[Concept, int] | None = None
    ) -> None:
        self._runs = _Runs(sentences, [(0, stop + 1) for stop in range(len(sentences))], sizes)
        self.family = self._runs.family
        self.uniforms = 1

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        return _truthful(self._runs.uniformly(u[:, 0]), self.family)


class Windows(CaptionProcess):
    """m = `width` consecutive sentences, the first one uniform over all starts.

    Args:
        sentences: each the concepts of one sentence, in order.
        width: sentences in a caption.
        circular: the last sentence is followed by the first.
        sizes: d_k, 1 where silent.

    >>> family = Windows([["a"], ["b"], ["c"]], width=2, circular=True).family
    >>> [sorted(family.closure(k)) for k in "abc"]
    [['a'], ['b'], ['c']]
    """

    def __init__(
        self,
        sentences: Sequence[Iterable[Concept]],
        *,
        width: int,
        circular: bool = False,
        sizes: Mapping[Concept, int] | None = None,
    ) -> None:
        N = len(sentences)
        if not 1 <= width <= N:
            raise InputError(
                f"width={width} of {N} sentences",
                rule="a window holds at least one sentence and at most all",
                fix=f"give a width from 1 to {N}",
            )
        starts = range(N if circular else N - width + 1)
        self._runs = _Runs(sentences, [(start, start + width) for start in starts], sizes)
        self.family = self._runs.family
        self.uniforms = 1

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        return _truthful(self._runs.uniformly(u[:, 0]), self.family)


class _Runs:
    """Runs of consecutive sentences, equally likely; equal unions are one caption."""

    def __init__(
        self,
        sentences: Sequence[Iterable[Concept]],
        runs: list[tuple[int, int]],
        sizes: Mapping[Concept, int] | None,
    ) -> None:
        listed = [list(sentence) for sentence in sentences]
        names = dict.fromkeys(name for sentence in listed for name in sentence)
        blocks = [
            frozenset(name for i in range(*run) for name in listed[i % len(listed)]) for run in runs
        ]
        self.family = CaptionFamily.from_captions(blocks, sizes=sizes, concepts=names)
        index = {block: i for i, block in enumerate(self.family.captions)}
        self._caption = torch.tensor([index[block] for block in blocks])

    def uniformly(self, u: Float[Tensor, " n"]) -> Int64[Tensor, " n"]:
        return self._caption[(u * len(self._caption)).long().clamp(max=len(self._caption) - 1)]


def full_caption(
    concepts: Sequence[Concept], *, sizes: Mapping[Concept, int] | None = None
) -> Weighted:
    """m = (1, ..., 1): every caption mentions everything, and nothing is separated."""
    return Weighted(CaptionFamily.from_captions([concepts], sizes=sizes))


def rare(
    family: CaptionFamily, captions: Iterable[Iterable[Concept]], *, weight: float
) -> Weighted:
    """p(m) = weight in all for the given captions, the rest for the others, in old proportions.

    Args:
        family: the captions.
        captions: the ones to make rare; not all of them.
        weight: their joint probability, in (0, 1).
    """
    chosen = {frozenset(caption) for caption in captions}
    unknown = chosen - set(family.captions)
    if unknown or not chosen or chosen == set(family.captions) or not 0 < weight < 1:
        raise InputError(
            f"captions={[sorted(map(str, block)) for block in chosen]}, weight={weight}",
            rule="some, and not all, captions of the family share a weight strictly below 1",
            fix="name captions of the family and give 0 < weight < 1",
        )
    law = dict(zip(family.captions, family.weights, strict=True))
    inside = sum(law[block] for block in chosen)
    scaled: dict[Block, float] = {
        block: p * (weight / inside if block in chosen else (1 - weight) / (1 - inside))
        for block, p in law.items()
    }
    return Weighted(
        CaptionFamily.from_distribution(scaled, sizes=_sizes(family), concepts=family.concepts)
    )


class Together(CaptionProcess):
    """Concepts of one group always occur together: naming one names them all.

    Args:
        base: the process whose captions are completed.
        groups: disjoint sets of concepts.
    """

    def __init__(self, base: CaptionProcess, groups: Iterable[Iterable[Concept]]) -> None:
        self.base = base
        self.groups = [frozenset(group) for group in groups]
        self.uniforms = base.uniforms

        def completed(block: Block) -> Block:
            return block.union(*(group for group in self.groups if group & block))

        images = [completed(block) for block in base.family.captions]
        self.family = _pushed(base.family, [(i, image, 1.0) for i, image in enumerate(images)])
        index = {block: i for i, block in enumerate(self.family.captions)}
        self._image = torch.tensor([index[image] for image in images])

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        before = self.base.from_uniforms(u, rank)
        return Mentions(caption=self._image[before.caption], false=before.false)


class Omitting(CaptionProcess):
    """Each mention of the base process is left out with probability `rate`, but never all.

    p(m') = sum_m p(m) P(m' | m, m' not empty): omission only changes the family.
    """

    def __init__(self, base: CaptionProcess, *, rate: float) -> None:
        self.base = base
        self.rate = _rate(rate)
        K = len(base.family.concepts)
        self.uniforms = base.uniforms + K
        transitions: list[tuple[int, Block, float]] = []
        for i, block in enumerate(base.family.captions):
            _enumerable(len(block))
            for size in range(1, len(block) + 1):
                kept = (1 - rate) ** size * rate ** (len(block) - size) / (1 - rate ** len(block))
                transitions += [
                    (i, frozenset(part), kept) for part in itertools.combinations(block, size)
                ]
        self.family = _pushed(base.family, transitions)

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        before = self.base.from_uniforms(u[:, : self.base.uniforms], rank)
        intended = self.base.masks(before)
        chance = u[:, self.base.uniforms :]
        left = intended.sum(1)
        said = torch.zeros_like(intended)
        silent = torch.ones(len(u), dtype=torch.bool)
        for k in range(intended.shape[1]):
            forced = (1 - self.rate) / (1 - self.rate**left)
            keep = torch.where(silent, forced, torch.full_like(forced, 1 - self.rate))
            said[:, k] = intended[:, k] & (chance[:, k] < keep)
            left = left - intended[:, k].long()
            silent &= ~said[:, k]
        return Mentions(caption=self._find(said), false=before.false & said)


class Hallucinating(CaptionProcess):
    """Each concept the base caption leaves out is named with probability `rate`, but falsely.

    The value is drawn anew from p(z), so the caption is no function of the image's latents.
    """

    def __init__(self, base: CaptionProcess, *, rate: float) -> None:
        self.base = base
        self.rate = _rate(rate)
        K = len(base.family.concepts)
        self.uniforms = base.uniforms + K
        everything = frozenset(base.family.concepts)
        transitions: list[tuple[int, Block, float]] = []
        for i, block in enumerate(base.family.captions):
            absent = everything - block
            _enumerable(len(absent))
            for size in range(len(absent) + 1):
                p = rate**size * (1 - rate) ** (len(absent) - size)
                transitions += [
                    (i, block | frozenset(part), p) for part in itertools.combinations(absent, size)
                ]
        self.family = _pushed(base.family, transitions)

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        before = self.base.from_uniforms(u[:, : self.base.uniforms], rank)
        true = self.base.masks(before)
        invented = ~true & (u[:, self.base.uniforms :] < self.rate)
        return Mentions(caption=self._find(true | invented), false=before.false | invented)


class Contradicting(CaptionProcess):
    """Each mention is false with probability `rate`: the right concept, a value drawn anew.

    The family and p(m) stay those of the base process.
    """

    def __init__(self, base: CaptionProcess, *, rate: float) -> None:
        self.base = base
        self.rate = _rate(rate)
        self.family = base.family
        self.uniforms = base.uniforms + len(base.family.concepts)

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        before = self.base.from_uniforms(u[:, : self.base.uniforms], rank)
        wrong = self.base.masks(before) & (u[:, self.base.uniforms :] < self.rate)
        return Mentions(caption=before.caption, false=before.false | wrong)


class ValueDependent(CaptionProcess):
    """Breaks C2: on a share `degree` of the latent space, half of the captions cannot occur.

    Where rank(z) < degree / 2 only the first half of the family occurs, where it lies between
    degree / 2 and degree only the second half, elsewhere every caption. At 0 nothing changes; at 1
    the half a caption comes from is a function of z. Each half keeps its proportions, so
    p(m) = (1 - degree) w(m) + degree w(m) / (2 w(half of m)).
    """

    def __init__(self, family: CaptionFamily, *, degree: float) -> None:
        if len(family.captions) < 2:
            raise InputError(
                "a family of one caption",
                rule="the values of z choose between two halves of the family",
                fix="give at least two captions",
            )
        self.degree = _degree(degree)
        self.uniforms = 1
        weights = torch.tensor(family.weights, dtype=torch.float64)
        half = torch.arange(len(weights)) < (len(weights) + 1) // 2
        self._first = weights * half
        self._second = weights * ~half
        self._all = weights
        p = (1 - degree) * weights + degree / 2 * (
            self._first / self._first.sum() + self._second / self._second.sum()
        )
        self.family = CaptionFamily.from_captions(
            family.captions, weights=p.tolist(), sizes=_sizes(family), concepts=family.concepts
        )

    def from_uniforms(self, u: Float[Tensor, "n w"], rank: Rank) -> Mentions:
        pick = u[:, 0]
        caption = _categorical(self._all, pick)
        first, second = _categorical(self._first, pick), _categorical(self._second, pick)
        where = rank()
        caption = torch.where(where < self.degree, second, caption)
        caption = torch.where(where < self.degree / 2, first, caption)
        return _truthful(caption, self.family)


def _sizes(family: CaptionFamily) -> dict[Concept, int]:
    return dict(zip(family.concepts, family.sizes, strict=True))


def _pushed(
    family: CaptionFamily, transitions: Iterable[tuple[int, Block, float]]
) -> CaptionFamily:
    """The law of m' when m ~ p(m) and m' ~ P(m' | m), given as (index of m, m', probability)."""
    law: dict[Block, float] = {}
    for i, block, p in transitions:
        if p > 0:
            law[block] = law.get(block, 0.0) + family.weights[i] * p
    return CaptionFamily.from_distribution(law, sizes=_sizes(family), concepts=family.concepts)


def _enumerable(n: int) -> None:
    if n > LARGEST_ENUMERATION:
        raise InputError(
            f"a caption with {n} uncertain mentions",
            rule="p(m) is declared for every mask that can occur",
            fix=f"keep at most {LARGEST_ENUMERATION} uncertain mentions a caption",
        )


def _rate(rate: float) -> float:
    if not 0 <= rate < 1:
        raise InputError(f"rate={rate}", rule="a rate is a probability", fix="give 0 <= rate < 1")
    return rate


def _degree(degree: float) -> float:
    if not 0 <= degree <= 1:
        raise InputError(
            f"degree={degree}",
            rule="a condition is broken by a degree from 0 (holds) to 1",
            fix="give 0 <= degree <= 1",
        )
    return degree

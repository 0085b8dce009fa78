"""How surely does j accompany k? x of the n captions with k lack j: a binomial, bounded exactly.

The rate P(j absent | k mentioned) lies in the Clopper-Pearson interval
[Beta(alpha/2; x, n - x + 1), Beta(1 - alpha/2; x + 1, n - x)]. One caption with k and without j
separates them in theory (epsilon = 0); a trained model needs them apart more often than epsilon.
Clopper and Pearson 1934; the reading as accompaniment is derived here.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, islice
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.stats import beta, binom

from theory.concepts import Concept, ConceptSpace, in_order
from theory.errors import InputError

Verdict = Literal["accompanies", "apart", "undecided"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Companionship:
    """`concept` came without `other` in `exceptions` of `mentions` captions.

    Attributes:
        concept: k.
        other: j.
        mentions: n, captions that mention k.
        exceptions: x, those of them that do not mention j.
        low: lower bound on P(j absent | k mentioned).
        high: upper bound.
        confidence: of this one interval, after any correction for the number of pairs.

    >>> pair = Counts.from_captions([["pen", "bear"]] * 400).companionship("pen", "bear")
    >>> pair.exceptions, pair.verdict(0.01), pair.verdict(0.001)
    (0, 'accompanies', 'undecided')
    """

    concept: Concept
    other: Concept
    mentions: int
    exceptions: int
    low: float
    high: float
    confidence: float

    def verdict(self, epsilon: float) -> Verdict:
        """j accompanies k up to epsilon (high <= epsilon), is apart (low > epsilon), or neither."""
        if self.high <= epsilon:
            return "accompanies"
        return "apart" if self.low > epsilon else "undecided"

    def __str__(self) -> str:
        return (
            f"{self.concept} came without {self.other} in {self.exceptions:,} of "
            f"{self.mentions:,} captions: between {100 * self.low:.2g} % and "
            f"{100 * self.high:.2g} %"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """n_k and n_kj: how many captions mention k, and k and j together.

    Attributes:
        space: the concepts, in the order of their first mention.
        captions: number of captions seen.
        together: symmetric [K, K]; the diagonal is n_k.

    >>> counts = Counts.from_captions([["pen", "bear"]] * 1901 + [["pen"]] * 2)
    >>> print(counts.companionship("pen", "bear"))
    pen came without bear in 2 of 1,903 captions: between 0.013 % and 0.38 %
    """

    space: ConceptSpace
    captions: int
    together: sparse.csr_array

    @classmethod
    def from_captions(
        cls, captions: Iterable[Iterable[Concept]], *, chunk: int = 100_000
    ) -> "Counts":
        """Count a stream of captions; memory grows with the pairs that occur, not with the stream.

        Args:
            captions: collections of concept names; repetitions within a caption count once.
            chunk: captions counted at a time.

        Raises:
            InputError: no caption, or an empty one.
        """
        position: dict[Concept, int] = {}
        total = sparse.csr_array((0, 0), dtype=np.int64)
        seen = 0
        stream = iter(captions)
        while group := list(islice(stream, chunk)):
            columns: list[int] = []
            ends = [0]
            for caption in group:
                names = dict.fromkeys(in_order(caption, where=f"caption {seen + len(ends)}"))
                if not names:
                    raise InputError(
                        f"caption {seen + len(ends)} is empty",
                        rule="a caption mentions at least one concept",
                        fix="drop it or name a concept",
                    )
                columns.extend(position.setdefault(name, len(position)) for name in names)
                ends.append(len(columns))
            size = len(position)
            masks = sparse.csr_array(
                (np.ones(len(columns), dtype=np.int64), columns, ends), shape=(len(group), size)
            )
            total.resize((size, size))
            total = total + masks.T @ masks
            seen += len(group)
        if not seen:
            raise InputError(
                "there is no caption",
                rule="counts come from at least one caption",
                fix="give captions such as [['bear', 'pen'], ['bear', 'chair']]",
            )
        return cls(space=ConceptSpace.of(position), captions=seen, together=sparse.csr_array(total))

    @property
    def mentions(self) -> Int[np.ndarray, " K"]:
        """n_k for each concept."""
        return np.asarray(self.together.diagonal())

    def companionship(
        self, concept: Concept, other: Concept, *, confidence: float = 0.95
    ) -> Companionship:
        """How often `concept` comes without `other`, with its exact interval.

        Raises:
            InputError: an unknown concept, or a confidence outside (0, 1).
        """
        k, j = self.space.position(concept), self.space.position(other)
        mentions = int(self.together[k, k])
        exceptions = mentions - int(self.together[k, j])
        low, high = clopper_pearson(np.array([exceptions]), np.array([mentions]), confidence)
        return Companionship(
            concept=concept,
            other=other,
            mentions=mentions,
            exceptions=exceptions,
            low=float(low[0]),
            high=float(high[0]),
            confidence=confidence,
        )

    def companions(self, epsilon: float, *, confidence: float = 0.95) -> list[Companionship]:
        """All pairs that occur together and are not surely apart by more than epsilon.

        The intervals hold together with the given confidence: each has 1 - (1 - confidence) / m
        for the m = K (K - 1) ordered pairs (Bonferroni), whatever the dependence between them.

        Args:
            epsilon: the rate of exceptions below which a pair counts as never apart.
            confidence: for all pairs at once.

        Returns:
            The pairs, surest accompaniment first.

        Raises:
            InputError: epsilon or confidence out of range.

        >>> captions = [["pen", "bear"]] * 400 + [["bear"]] * 400
        >>> [(c.concept, c.verdict(0.05)) for c in Counts.from_captions(captions).companions(0.05)]
        [('pen', 'accompanies')]
        """
        if not 0 <= epsilon < 1:
            raise InputError(
                f"epsilon is {epsilon}",
                rule="epsilon is a rate of exceptions",
                fix="give a number from 0 to below 1",
            )
        size = len(self.space)
        each = 1 - (1 - confidence) / max(1, size * (size - 1))
        pairs = sparse.coo_array(self.together)
        apart = pairs.row != pairs.col
        rows, columns = pairs.row[apart], pairs.col[apart]
        mentions = self.mentions[rows]
        exceptions = mentions - pairs.data[apart]
        # Above epsilon and far from it, a pair is apart for sure; the exact bound settles the rest.
        low, high = clopper_pearson(exceptions, mentions, each)
        kept = np.flatnonzero(low <= epsilon)
        found = [
            Companionship(
                concept=self.space.concepts[rows[index]],
                other=self.space.concepts[columns[index]],
                mentions=int(mentions[index]),
                exceptions=int(exceptions[index]),
                low=float(low[index]),
                high=float(high[index]),
                confidence=each,
            )
            for index in kept
        ]
        return sorted(found, key=lambda pair: pair.high)


def clopper_pearson(
    successes: Int[np.ndarray, " n"], trials: Int[np.ndarray, " n"], confidence: float
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """[Beta(alpha/2; x, n - x + 1), Beta(1 - alpha/2; x + 1, n - x)], vectorised.

    Args:
        successes: x.
        trials: n >= x.
        confidence: 1 - alpha.

    Returns:
        Lower and upper bounds on the rate.

    Raises:
        InputError: confidence outside (0, 1).

    Source: Clopper and Pearson, Biometrika 1934.

    >>> import numpy as np
    >>> low, high = clopper_pearson(np.array([0]), np.array([100]), 0.95)
    >>> float(low[0]), round(float(high[0]), 4)
    (0.0, 0.0362)
    """
    if not 0 < confidence < 1:
        raise InputError(
            f"confidence is {confidence}",
            rule="confidence is a probability",
            fix="give for example 0.95",
        )
    alpha = 1 - confidence
    failures = trials - successes
    low = np.where(successes == 0, 0.0, beta.ppf(alpha / 2, np.maximum(successes, 1), failures + 1))
    high = np.where(
        failures == 0, 1.0, beta.ppf(1 - alpha / 2, successes + 1, np.maximum(failures, 1))
    )
    return low, high


def mentions_needed(
    rate: float, *, epsilon: float = 0.0, confidence: float = 0.95, power: float = 0.9
) -> int:
    """The fewest captions with k that show it apart from j, with probability at least `power`.

    With epsilon = 0 one exception is enough: (1 - rate)^n <= 1 - power. Otherwise the lower
    Clopper-Pearson bound has to exceed epsilon.

    Args:
        rate: the true P(j absent | k mentioned).
        epsilon: the rate that counts as never apart.
        confidence: of the interval.
        power: the probability of being shown apart.

    Returns:
        n, the number of captions that mention k. From there on more captions do not fall short
        by more than the saw-tooth of the binomial.

    Raises:
        InputError: rate not above epsilon, or a probability out of range.

    Source: derived here.

    >>> mentions_needed(0.01), mentions_needed(0.05, epsilon=0.01)
    (230, 158)
    """
    if not 0 <= epsilon < rate <= 1 or not 0 < power < 1:
        raise InputError(
            f"rate {rate}, epsilon {epsilon}, power {power}",
            rule="0 <= epsilon < rate <= 1 and 0 < power < 1",
            fix="give a rate above epsilon: at or below it there is nothing to show",
        )
    if epsilon == 0:
        if rate == 1:
            return 1
        return int(np.ceil(np.log1p(-power) / np.log1p(-rate) - 1e-12))
    for trials in count(1):
        # The bound exceeds epsilon iff x is too large for epsilon: a one-sided exact test.
        least = int(binom.isf((1 - confidence) / 2, trials, epsilon)) + 1
        if binom.sf(least - 1, trials, rate) >= power:
            return trials
    raise AssertionError

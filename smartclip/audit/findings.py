"""What a corpus lets anybody identify: k alone iff for every j some caption has k and not j.

Counted on all captions, so that "never apart" is exact for this corpus; for captions of the same
kind that are not in it, the rate of exceptions has a Clopper-Pearson bound (`theory.samples`), all
K (K - 1) pairs at once by Bonferroni. PMI = log2(n n_kj / (n_k n_j)) stands beside.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Int64
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from smartclip.audit.captioned import LeftOut
from smartclip.audit.mentions import Mentions, together
from smartclip.audit.samplers import Sampled, inside, least_apart, sampled
from smartclip.audit.words import Words
from theory.samples import Companionship, clopper_pearson

CONFIDENCE = 0.95
NEARLY = 0.1
"""Rate of exceptions up to which two concepts count as nearly never apart."""

LISTED = 1000
"""Pairs of each kind that are kept; all are counted."""

_LEVELS = 7
_MANY = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Tie:
    """k comes with j, always or nearly.

    Attributes:
        counts: captions with k, those of them without j, and the bounds.
        pmi: pointwise mutual information of k and j, in bits.
        sentences: sentences that mention k and not j: what sampling sentences would show.
        high: upper bound on the rate of exceptions for somebody who asks about this pair alone;
            that of `counts` holds for all pairs at once.
    """

    counts: Companionship
    pmi: float
    sentences: int
    high: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "concept": self.counts.concept,
            "with": self.counts.other,
            "captions": self.counts.mentions,
            "exceptions": self.counts.exceptions,
            "bound": self.high,
            "bound_of_all_pairs": self.counts.high,
            "pmi": self.pmi,
            "sentences_apart": self.sentences,
        }

    def __str__(self) -> str:
        never = "never" if self.counts.exceptions == 0 else f"{self.counts.exceptions:,} times"
        return (
            f"{self.counts.concept} {never} without {self.counts.other}: "
            f"{self.counts.mentions:,} captions, upper bound {100 * self.high:.2g} %"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureFindings:
    """What the captions of one picture do together.

    Attributes:
        several: pictures with two captions or more.
        covered: of them, those of which one caption alone mentions every concept of the others.
        pairs: ordered pairs k, j of concepts of one picture, over those pictures.
        separated: pairs of which some caption of the picture has k and not j.
        all_separated: pictures in which every pair is.
    """

    several: int
    covered: int
    pairs: int
    separated: int
    all_separated: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """The corpus at a smaller size: the same concepts, a part of the pictures."""

    captions: int
    mentioned: int
    alone: int


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything an audit finds.

    Attributes:
        source: the corpus.
        captions: read.
        without_concepts: captions that assert no concept.
        distinct: different captions.
        pictures: that they are of.
        longer: captions of several sentences, which samplers cut in different ways.
        left_out: what could not be used.
        concepts: the K names.
        mentions: n_k, captions that assert each.
        denied: captions that only deny it.
        hedged: captions that only hedge it.
        alone: which are identified alone: seen apart from every other concept.
        least_apart: for each concept, the smallest number of captions that have it and not j, over
            all j; 0 unless it is identified alone.
        surely: those whose lower bound on the rate of exceptions is above 1 % for every j.
        atoms: sets of concepts never apart from one another, of two or more.
        never: pairs without an exception, most captions first.
        never_count: all of them.
        nearly: pairs with some exceptions, at most 10 %.
        nearly_count: all of them.
        per_picture: what several captions of one picture do together.
        samplers: the corpus as each way of sampling sentences shows it.
        curve: concepts identified at smaller sizes.
    """

    source: str
    captions: int
    without_concepts: int
    distinct: int
    pictures: int
    longer: int
    left_out: LeftOut
    concepts: tuple[str, ...]
    mentions: Int64[np.ndarray, " K"]
    denied: Int64[np.ndarray, " K"]
    hedged: Int64[np.ndarray, " K"]
    alone: Bool[np.ndarray, " K"]
    least_apart: Int64[np.ndarray, " K"]
    surely: Bool[np.ndarray, " K"]
    atoms: list[tuple[str, ...]]
    never: list[Tie]
    never_count: int
    nearly: list[Tie]
    nearly_count: int
    per_picture: PictureFindings | None
    samplers: list[Sampled]
    curve: list[Size]
    total: Int32[np.ndarray, "K K"] = field(repr=False)
    rows: Mentions = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; pairs as far as they are kept."""
        concepts = [
            {
                "concept": name,
                "captions": int(self.mentions[k]),
                "denied": int(self.denied[k]),
                "hedged": int(self.hedged[k]),
                "alone": bool(self.alone[k]),
                "surely_alone": bool(self.surely[k]),
                "least_apart": int(self.least_apart[k]),
            }
            for k, name in enumerate(self.concepts)
        ]
        return {
            "source": self.source,
            "captions": self.captions,
            "captions_distinct": self.distinct,
            "captions_without_concepts": self.without_concepts,
            "pictures": self.pictures,
            "captions_of_several_sentences": self.longer,
            "left_out": asdict(self.left_out),
            "concepts": concepts,
            "identified_alone": int(self.alone.sum()),
            "surely_alone": int(self.surely.sum()),
            "atoms": [list(atom) for atom in self.atoms],
            "never_apart": {
                "pairs": self.never_count,
                "listed": [tie.to_dict() for tie in self.never],
            },
            "nearly_never_apart": {
                "pairs": self.nearly_count,
                "listed": [tie.to_dict() for tie in self.nearly],
            },
            "per_picture": asdict(self.per_picture) if self.per_picture else None,
            "samplers": [asdict(each) for each in self.samplers],
            "curve": [asdict(size) for size in self.curve],
        }

    def closure(self, k: int) -> list[int]:
        """cl(k): the concepts that every caption with k mentions."""
        return np.flatnonzero(self.total[k] == self.total[k, k]).tolist()


def findings(words: Words, rows: Mentions, *, source: str, left_out: LeftOut) -> Findings:
    """All findings about a corpus.

    Args:
        words: the captions.
        rows: what they mention.
        source: what the corpus is called.
        left_out: what its reading left out.
    """
    curve, total = _curve(rows)
    said, least = least_apart(total)
    confidence = _each(len(said))
    low, _ = clopper_pearson(least, np.maximum(said, 1), confidence)
    bound = (total == said[:, None]) & (said[:, None] > 0)
    np.fill_diagonal(bound, val=False)
    never = _pairs(bound, said)
    close = (total >= np.ceil((1 - NEARLY) * said)[:, None]) & ~bound & (said[:, None] > 0)
    np.fill_diagonal(close, val=False)
    nearly = _pairs(close, said)
    return Findings(
        source=source,
        captions=len(words),
        without_concepts=int((np.diff(rows.captions.indptr) == 0).sum()),
        distinct=words.distinct,
        pictures=len(np.unique(words.picture)),
        longer=int((np.bincount(rows.caption_of) > 1).sum()),
        left_out=left_out,
        concepts=rows.concepts,
        mentions=said,
        denied=rows.denied,
        hedged=rows.hedged,
        alone=least > 0,
        least_apart=least,
        surely=(said > 0) & (low > 0.01),
        atoms=_atoms(bound, rows.concepts),
        never=_ties(never, total, rows, len(words), confidence),
        never_count=len(never),
        nearly=_ties(nearly, total, rows, len(words), confidence),
        nearly_count=len(nearly),
        per_picture=None if words.listed else _per_picture(rows),
        samplers=[] if rows.one_sentence else sampled(rows),
        curve=curve,
        total=total,
        rows=rows,
    )


def _each(size: int) -> float:
    """The confidence of one interval of all K (K - 1)."""
    return 1 - (1 - CONFIDENCE) / max(1, size * (size - 1))


def _pairs(
    chosen: Bool[np.ndarray, "K K"],
    said: Int64[np.ndarray, " K"],
) -> Int64[np.ndarray, "p 2"]:
    """Most captions first; of as many, the rarer companion first; names are ordered already."""
    k, j = np.nonzero(chosen)
    order = np.lexsort((j, k, said[j], -said[k]))
    return np.stack([k[order], j[order]], axis=1)


def _ties(
    pairs: Int64[np.ndarray, "p 2"],
    total: Int32[np.ndarray, "K K"],
    rows: Mentions,
    captions: int,
    confidence: float,
) -> list[Tie]:
    k, j = pairs[:LISTED].T
    said = total.diagonal().astype(np.int64)
    exceptions = said[k] - total[k, j]
    low, high = clopper_pearson(exceptions, said[k], confidence)
    _, single = clopper_pearson(exceptions, said[k], CONFIDENCE)
    pmi = np.log2(captions * total[k, j].astype(np.float64) / (said[k] * said[j].astype(float)))
    shown = _sentences_apart(rows, k, j)
    return [
        Tie(
            counts=Companionship(
                concept=rows.concepts[a],
                other=rows.concepts[b],
                mentions=int(said[a]),
                exceptions=int(exceptions[p]),
                low=float(low[p]),
                high=float(high[p]),
                confidence=confidence,
            ),
            pmi=float(pmi[p]),
            sentences=int(shown[p]),
            high=float(single[p]),
        )
        for p, (a, b) in enumerate(zip(k.tolist(), j.tolist(), strict=True))
    ]


def _sentences_apart(
    rows: Mentions, k: Int64[np.ndarray, " p"], j: Int64[np.ndarray, " p"]
) -> Int64[np.ndarray, " p"]:
    """How many sentences mention k and not j."""
    used = np.unique(np.concatenate([k, j]))
    table = rows.sentences[:, used].astype(np.int32)
    both = (table.T @ table).toarray()
    a, b = np.searchsorted(used, k), np.searchsorted(used, j)
    return (both[a, a] - both[a, b]).astype(np.int64)


def _atoms(bound: Bool[np.ndarray, "K K"], names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """k and j are in one atom iff each is never without the other."""
    mutual = sparse.csr_array(bound & bound.T)
    count, part = connected_components(mutual, directed=False)
    sizes = np.bincount(part, minlength=count)
    order = np.argsort(part, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return [
        tuple(names[index] for index in order[starts[p] : starts[p + 1]].tolist())
        for p in np.flatnonzero(sizes > 1).tolist()
    ]


def _curve(rows: Mentions) -> tuple[list[Size], Int32[np.ndarray, "K K"]]:
    """1/64, 1/32, ..., all of the pictures: those with the lowest ranks, whatever the order."""
    level = np.zeros(len(rows.rank), dtype=np.int64)
    for number in range(1, _LEVELS):
        level[rows.rank >= np.uint32((1 << 32) >> (_LEVELS - number))] = number
    total = np.zeros((len(rows.concepts),) * 2, dtype=np.int32)
    sizes: list[Size] = []
    for number in range(_LEVELS):
        chosen = np.flatnonzero(level == number)
        together(rows.captions[chosen], total)
        said, least = least_apart(total)
        sizes.append(
            Size(
                captions=int((level <= number).sum()),
                mentioned=int((said > 0).sum()),
                alone=int((least > 0).sum()),
            )
        )
    return sizes, total


def _per_picture(rows: Mentions) -> PictureFindings | None:
    """Of pictures with two captions or more; None if there are none."""
    order = np.argsort(rows.picture, kind="stable")
    of = rows.picture[order]
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    counts = np.diff(np.append(starts, len(of)))
    chosen = np.flatnonzero(counts > 1)
    if not len(chosen):
        return None
    ends, flat = np.asarray(rows.captions.indptr), np.asarray(rows.captions.indices)
    pairs = separated = whole = covered = 0
    for index in chosen.tolist():
        mine = order[starts[index] : starts[index] + counts[index]].tolist()
        # Bit c of a concept's mask says that caption c of the picture mentions it.
        said: dict[int, int] = {}
        most = 0
        for bit, row in enumerate(mine[:_MANY]):
            found = flat[ends[row] : ends[row + 1]].tolist()
            most = max(most, len(found))
            for concept in found:
                said[concept] = said.get(concept, 0) | 1 << bit
        size, bound = len(said), inside(said.values())
        if len(mine) > _MANY:
            size, bound, most = _of_many(rows.captions[mine])
        pairs += size * (size - 1)
        separated += size * (size - 1) - bound
        whole += bound == 0
        covered += most == size
    return PictureFindings(
        several=len(chosen),
        covered=covered,
        pairs=pairs,
        separated=separated,
        all_separated=whole,
    )


def _of_many(captions: sparse.csr_array) -> tuple[int, int, int]:
    """Concepts, ordered pairs never apart, and the most concepts in one of many captions."""
    used = np.unique(captions.indices)
    table = captions[:, used].astype(np.int32)
    both = (table.T @ table).toarray()
    bound = int((both == both.diagonal()[:, None]).sum()) - len(used)
    return len(used), bound, int(np.diff(captions.indptr).max())

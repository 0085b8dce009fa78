"""C, the support of p(m): which concepts the captions of a data set mention together.

Paper: SmartCLIP, CVPR 2025, section 4: z_T = z_I * m with a binary mask m drawn from p(m).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import pairwise
from typing import SupportsFloat, SupportsIndex, cast

import networkx as nx
import numpy as np
from jaxtyping import Bool, Shaped
from scipy import sparse

from theory.concepts import Block, Concept, ConceptSpace, in_order
from theory.errors import InputError
from theory.lattice import Accompaniment, Location, Ring

EXAMPLE = "[['bear', 'pen'], ['bear', 'chair']]"


@dataclass(frozen=True, kw_only=True)
class CaptionFamily:
    """C = {B(m) : p(m) > 0}: the distinct captions, their weights p(m) and the concepts.

    Make one with `from_captions`, `from_matrix`, `from_distribution` or `from_stream`.

    Attributes:
        space: the concepts with their sizes, mentioned or not.
        captions: the blocks, distinct and non-empty, in the order given.
        weights: p(m) of each caption, summing to 1.

    >>> captions = [["bear", "pen"], ["bear", "chair"]]
    >>> family = CaptionFamily.from_captions(captions, sizes={"bear": 2})
    >>> family.concepts, family.sizes, family.dimension
    (('bear', 'pen', 'chair'), (2, 1, 1), 4)
    >>> sorted(family.closure("pen"))
    ['bear', 'pen']
    """

    space: ConceptSpace
    captions: tuple[Block, ...]
    weights: tuple[float, ...]

    @classmethod
    def from_captions(
        cls,
        captions: Iterable[Iterable[Concept]],
        *,
        sizes: Mapping[Concept, SupportsIndex] | None = None,
        weights: Sequence[SupportsFloat] | None = None,
        concepts: Iterable[Concept] | None = None,
    ) -> "CaptionFamily":
        """C from a list of captions; duplicates are merged and their weights added.

        Args:
            captions: each a collection of concept names.
            sizes: d_k, 1 where silent.
            weights: relative frequency of each caption, positive; equal by default.
            concepts: all concepts in the order wanted, also those never mentioned; by default
                those mentioned, in the order of their first mention.

        Raises:
            InputError: no caption, an empty caption, an unknown concept, a bad size or weight.

        >>> CaptionFamily.from_captions([["a"], ["b"], ["a"]]).weights
        (0.6666666666666666, 0.3333333333333333)
        """
        if isinstance(captions, str | bytes) or not hasattr(captions, "__iter__"):
            raise InputError(
                f"captions is {captions!r}",
                rule="captions are a list of lists of concepts",
                fix=f"give {EXAMPLE}",
            )
        given = [in_order(caption, where=f"caption {i}") for i, caption in enumerate(captions)]
        blocks = [frozenset(caption) for caption in given]
        if not blocks:
            raise InputError(
                "the family has no caption", rule="C is not empty", fix=f"give {EXAMPLE}"
            )
        names = dict.fromkeys(name for caption in given for name in caption)
        if concepts is not None:
            known = dict.fromkeys(in_order(concepts, where="concepts"))
            for index, block in enumerate(blocks):
                for name in block:
                    if name not in known:
                        raise InputError(
                            f"caption {index} mentions the unknown concept {name!r}",
                            rule="captions mention only the concepts listed",
                            fix="list it in concepts= or correct the name",
                        )
            names = known
        merged: dict[Block, float] = {}
        for index, (block, weight) in enumerate(
            zip(blocks, _weights(weights, len(blocks)), strict=True)
        ):
            if not block:
                raise InputError(
                    f"caption {index} is empty",
                    rule="a caption mentions at least one concept",
                    fix="drop it or name a concept",
                )
            merged[block] = merged.get(block, 0.0) + weight
        total = math.fsum(merged.values())
        return cls(
            space=ConceptSpace.of(names, sizes),
            captions=tuple(merged),
            weights=tuple(weight / total for weight in merged.values()),
        )

    @classmethod
    def from_matrix(
        cls,
        matrix: Shaped[np.ndarray, "..."]
        | sparse.sparray
        | sparse.spmatrix
        | Sequence[Sequence[int]],
        *,
        concepts: Sequence[Concept] | None = None,
        sizes: Mapping[Concept, SupportsIndex] | None = None,
        weights: Sequence[SupportsFloat] | None = None,
    ) -> "CaptionFamily":
        """C from a 0/1 matrix [n captions, K concepts], dense or SciPy sparse.

        Args:
            matrix: entry (i, k) is 1 iff caption i mentions concept k.
            concepts: names of the K columns; 0, 1, ..., K-1 by default.
            sizes: d_k, 1 where silent.
            weights: relative frequency of each row, positive; equal by default.

        Raises:
            InputError: not two-dimensional, entries other than 0 and 1 (NaN among them), a row of
                zeros, or as many names as there are not columns.

        >>> import numpy as np
        >>> CaptionFamily.from_matrix(np.array([[1, 1, 0], [1, 0, 1]])).captions
        (frozenset({0, 1}), frozenset({0, 2}))
        """
        entries = matrix
        if isinstance(matrix, sparse.sparray | sparse.spmatrix):
            rows = sparse.coo_array(matrix)
            shape, kind = cast("tuple[int, ...]", rows.shape), rows.dtype.kind
        else:
            try:
                entries = np.asarray(matrix)
            except ValueError:
                entries = np.empty(0)  # rows of different lengths: refused below
            shape, kind = entries.shape, entries.dtype.kind
        if len(shape) != 2 or kind not in "biuf":
            raise InputError(
                f"the matrix has shape {shape} and entries of kind {kind!r}",
                rule="captions are rows and concepts are columns of a 0/1 matrix",
                fix="give a matrix [n_captions, n_concepts] of 0 and 1",
            )
        rows = sparse.csr_array(entries, copy=True)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        values = np.asarray(rows.data)
        if not bool(np.all(values == 1)):
            raise InputError(
                f"the matrix holds {values[values != 1][0]}",
                rule="an entry says whether a caption mentions a concept",
                fix="use 0 and 1 only",
            )
        names = tuple(range(shape[1])) if concepts is None else tuple(concepts)
        if len(names) != shape[1]:
            raise InputError(
                f"{len(names)} names for {shape[1]} columns",
                rule="each column of the matrix is one concept",
                fix="give one name a column",
            )
        captions = (
            [names[column] for column in np.asarray(rows.indices[start:stop]).tolist()]
            for start, stop in pairwise(np.asarray(rows.indptr).tolist())
        )
        return cls.from_captions(captions, sizes=sizes, weights=weights, concepts=names)

    @classmethod
    def from_distribution(
        cls,
        distribution: Mapping[Block, SupportsFloat],
        *,
        sizes: Mapping[Concept, SupportsIndex] | None = None,
        concepts: Iterable[Concept] | None = None,
    ) -> "CaptionFamily":
        """C and p(m) from a mapping of blocks to probabilities (normalised here).

        >>> p = {frozenset({"bear"}): 3, frozenset({"bear", "pen"}): 1}
        >>> CaptionFamily.from_distribution(p).weights
        (0.75, 0.25)
        """
        return cls.from_captions(
            distribution, weights=list(distribution.values()), sizes=sizes, concepts=concepts
        )

    @classmethod
    def from_stream(
        cls,
        captions: Iterable[Iterable[Concept]],
        *,
        sizes: Mapping[Concept, SupportsIndex] | None = None,
    ) -> "CaptionFamily":
        """The at most K smallest captions that promise the same as a stream of any length.

        The closures of the stream generate the same ring of identified blocks as its captions, so
        they stand for it: `captions` of the result are those closures, not the captions seen, and
        the weights are equal because frequencies are forgotten. Memory does not grow with the
        stream. For frequencies see `theory.samples.Counts`.

        Raises:
            InputError: the stream is empty or one of its captions is.

        >>> family = CaptionFamily.from_stream(iter([["a", "b"], ["b", "c"]] * 1000))
        >>> [sorted(caption) for caption in family.captions]
        [['a', 'b'], ['b'], ['b', 'c']]
        """
        names: dict[Concept, None] = {}

        def passing() -> Iterator[Block]:
            for index, caption in enumerate(captions):
                listed = in_order(caption, where=f"caption {index}")
                if not listed:
                    raise InputError(
                        f"caption {index} is empty",
                        rule="a caption mentions at least one concept",
                        fix="drop it or name a concept",
                    )
                block = frozenset(listed)
                if not names.keys() >= block:
                    names.update(dict.fromkeys(listed))
                yield block

        ring = Ring.from_captions(passing())
        ordered = Ring({name: ring.closures[name] for name in names})
        return cls.from_captions(ordered.irreducibles(), sizes=sizes, concepts=names)

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The K names, mentioned or not."""
        return self.space.concepts

    @property
    def sizes(self) -> tuple[int, ...]:
        """d_1, ..., d_K."""
        return self.space.sizes

    @property
    def dimension(self) -> int:
        """d = d_1 + ... + d_K over all concepts."""
        return self.space.dimension

    @cached_property
    def ring(self) -> Ring:
        """The ring of identified blocks."""
        return Ring.from_captions(self.captions, order=self.concepts)

    @cached_property
    def mentioned(self) -> Block:
        """U = U(C), every concept that some caption mentions."""
        return frozenset(self.ring.closures)

    @cached_property
    def sparse_matrix(self) -> sparse.csr_array:
        """0/1 matrix [n captions, K], SciPy CSR: the form that large families are kept in."""
        position = {name: index for index, name in enumerate(self.concepts)}
        columns = [sorted(position[name] for name in caption) for caption in self.captions]
        ends = np.cumsum([0, *map(len, columns)])
        flat = np.fromiter((c for row in columns for c in row), dtype=np.int32, count=ends[-1])
        return sparse.csr_array(
            (np.ones(len(flat), dtype=np.int8), flat, ends),
            shape=(len(self.captions), len(self.concepts)),
        )

    @cached_property
    def matrix(self) -> Bool[np.ndarray, "n K"]:
        """The masks m as rows: entry (i, k) is true iff caption i mentions concept k. Read-only."""
        masks = np.asarray(self.sparse_matrix.toarray(), dtype=bool)
        masks.flags.writeable = False
        return masks

    @cached_property
    def dimension_masks(self) -> Bool[np.ndarray, "n d"]:
        """The masks over latent dimensions: each concept's column d_k times. Read-only."""
        masks = self.space.spread(self.matrix)
        masks.flags.writeable = False
        return masks

    def closure(self, concept: Concept) -> Block:
        """cl(k) = intersection of all B in C with k in B, the smallest identified block with k.

        Raises:
            InputError: the concept is unknown, or no caption mentions it.
        """
        self.space.position(concept)
        return self.ring.closure(concept)

    def identified(self, limit: int = 1_000_000) -> Iterator[Block]:
        """Every identified non-empty block, smallest first; lazy (see `Ring.identified`)."""
        return self.ring.identified(limit)

    def atoms(self) -> list[Block]:
        """The sets of concepts that always occur together, in the order of the concepts."""
        return self.ring.atoms()

    def accompaniment(self) -> Accompaniment:
        """Graph with an edge j -> k when j accompanies k; `.hasse()` reduces it to the atoms."""
        return self.ring.accompaniment()

    def hasse(self) -> "nx.DiGraph[Block]":
        """The Hasse diagram of the atoms: the transitive reduction of accompaniment."""
        return self.accompaniment().hasse()

    def locate(self, block: Iterable[Concept]) -> Location:
        """Is this block identified; if not, what is, just inside and just around it.

        Raises:
            InputError: a name is unknown or no caption mentions it.
        """
        return self.ring.locate(self.space.ordered(block))

    def with_captions(self, captions: Iterable[Iterable[Concept]]) -> "CaptionFamily":
        """The family with further captions, each with the average weight of those before.

        >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear"]], weights=[3, 1])
        >>> family.with_captions([["pen"]]).weights
        (0.5, 0.16666666666666666, 0.3333333333333333)
        """
        more = list(captions)
        average = 1 / len(self.captions)
        return CaptionFamily.from_captions(
            [*self.captions, *more],
            weights=[*self.weights, *(average for _ in more)],
            sizes=dict(zip(self.concepts, self.sizes, strict=True)),
            concepts=self.concepts,
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(str(name))}</th>" for name in self.concepts)
        shown = self.captions[:30]
        rows = "".join(
            f"<tr><td>{weight:.3g}</td>"
            + "".join(f"<td>{'●' if name in caption else ''}</td>" for name in self.concepts)
            + "</tr>"
            for caption, weight in zip(shown, self.weights, strict=False)
        )
        more = len(self.captions) - len(shown)
        foot = f"<p>and {more} more captions</p>" if more else ""
        return f"<table><tr><th>p(m)</th>{head}</tr>{rows}</table>{foot}"


def _weights(weights: Sequence[SupportsFloat] | None, count: int) -> list[float]:
    if weights is None:
        return [1.0] * count
    try:
        values = [float(weight) for weight in weights]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"weights are {weights!r}", rule="weights are numbers", fix="give one a caption"
        ) from error
    if len(values) != count:
        raise InputError(
            f"{len(values)} weights for {count} captions",
            rule="each caption has one weight",
            fix="give as many weights as captions",
        )
    for index, value in enumerate(values):
        if not (math.isfinite(value) and value > 0):
            raise InputError(
                f"the weight of caption {index} is {value}",
                rule="C holds the captions that occur, so weights are positive and finite",
                fix="drop the caption or correct its weight",
            )
    return values

"""C, the support of p(m): which concepts the captions of a data set mention together.

Paper: SmartCLIP, CVPR 2025, section 4: z_T = z_I * m with a binary mask m drawn from p(m).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from itertools import pairwise
from typing import Any, Protocol, SupportsFloat, cast, runtime_checkable

import networkx as nx
import numpy as np
from jaxtyping import Bool, Shaped
from scipy import sparse

from theory.concepts import Block, Concept, ConceptSpace, Sizes, as_block, distinct, in_order
from theory.errors import InputError
from theory.lattice import Accompaniment, Location, Ring

EXAMPLE = "[['bear', 'pen'], ['bear', 'chair']]"
SHOWN = 30


@runtime_checkable
class Table(Protocol):
    """A pandas DataFrame, or what looks like one; pandas itself is not needed."""

    @property
    def columns(self) -> Iterable[Concept]: ...

    def to_numpy(self) -> Shaped[np.ndarray, "..."]: ...


class CaptionFamily:
    """C = {B(m) : p(m) > 0}: the distinct captions, their weights p(m) and the concepts.

    `CaptionFamily([["bear", "pen"], ["bear", "chair"]])` makes one; `from_matrix` (NumPy, SciPy,
    pandas), `from_graph` (networkx), `from_distribution`, `from_stream` and `from_dict` make one
    from other things. Captions that occur twice are merged and their weights added.

    As a set of blocks: `len`, iteration and `in` are over the captions, `|` is the union, and two
    families are equal if they have the same captions with the same weights and the same concepts
    with the same sizes, in any order.

    Args:
        captions: each a collection of concept names; or a table or a graph, as above.
        sizes: d_k by name, 1 where silent; or one number a concept, in the order of `concepts`.
        weights: relative frequency of each caption, positive; equal by default.
        concepts: all concepts in the order wanted, also those never mentioned; by default those
            mentioned, in the order of their first mention.

    Attributes:
        space: the concepts with their sizes, mentioned or not.
        captions: the blocks, distinct and non-empty, in the order given.
        weights: p(m) of each caption, summing to 1.

    Raises:
        InputError: no caption, an empty caption, an unknown concept, a bad size or weight, or two
            names that are one to Python, such as 1 and True.

    >>> family = CaptionFamily([["bear", "pen"], ["bear", "chair"]], sizes={"bear": 2})
    >>> family.concepts, family.sizes, family.dimension
    (('bear', 'pen', 'chair'), (2, 1, 1), 4)
    >>> sorted(family.closure("pen"))
    ['bear', 'pen']
    >>> len(family), ["pen", "bear"] in family, family == CaptionFamily(family, sizes=[2, 1, 1])
    (2, True, True)
    """

    space: ConceptSpace
    captions: tuple[Block, ...]
    weights: tuple[float, ...]

    def __init__(
        self,
        captions: Iterable[Iterable[Concept]] | Table | nx.Graph | sparse.sparray | sparse.spmatrix,
        *,
        sizes: Sizes | None = None,
        weights: Sequence[SupportsFloat] | None = None,
        concepts: Iterable[Concept] | None = None,
    ) -> None:
        made = _from_table_or_graph(captions, sizes, weights, concepts)
        if made is None:
            made = _merged(cast("Iterable[Iterable[Concept]]", captions), sizes, weights, concepts)
        self.space, self.captions, self.weights = made

    @classmethod
    def from_captions(
        cls,
        captions: Iterable[Iterable[Concept]],
        *,
        sizes: Sizes | None = None,
        weights: Sequence[SupportsFloat] | None = None,
        concepts: Iterable[Concept] | None = None,
    ) -> "CaptionFamily":
        """C from a list of captions: `CaptionFamily(captions, ...)` by its long name.

        >>> CaptionFamily.from_captions([["a"], ["b"], ["a"]]).weights
        (0.6666666666666666, 0.3333333333333333)
        """
        return CaptionFamily(captions, sizes=sizes, weights=weights, concepts=concepts)

    @classmethod
    def from_matrix(
        cls,
        matrix: Shaped[np.ndarray, "..."]
        | sparse.sparray
        | sparse.spmatrix
        | Table
        | Sequence[Sequence[int]],
        *,
        concepts: Sequence[Concept] | None = None,
        sizes: Sizes | None = None,
        weights: Sequence[SupportsFloat] | None = None,
    ) -> "CaptionFamily":
        """C from a 0/1 matrix [n captions, K concepts]: dense, SciPy sparse or a pandas DataFrame.

        Args:
            matrix: entry (i, k) is 1 iff caption i mentions concept k.
            concepts: names of the K columns; by default those of a DataFrame, else 0, ..., K-1.
            sizes: d_k, 1 where silent.
            weights: relative frequency of each row, positive; equal by default.

        Raises:
            InputError: not two-dimensional, entries other than 0 and 1 (NaN among them), a row of
                zeros, or as many names as there are not columns.

        >>> import numpy as np
        >>> CaptionFamily.from_matrix(np.array([[1, 1, 0], [1, 0, 1]])).captions
        (frozenset({0, 1}), frozenset({0, 2}))
        """
        if isinstance(matrix, Table):
            concepts = list(matrix.columns) if concepts is None else concepts
            matrix = matrix.to_numpy()
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
    def from_graph(
        cls,
        graph: nx.Graph,
        *,
        captions: Iterable[Concept] | None = None,
        sizes: Sizes | None = None,
    ) -> "CaptionFamily":
        """C from a bipartite graph: a caption mentions the concepts that it is joined with.

        Args:
            graph: networkx, undirected; edges join captions with concepts.
            captions: the nodes that are captions; by default those with bipartite = 0, as
                networkx marks them.
            sizes: d_k, 1 where silent.

        Raises:
            InputError: no node is marked, or an edge joins two captions or two concepts.

        >>> graph = nx.Graph([("first", "bear"), ("first", "pen"), ("second", "bear")])
        >>> CaptionFamily.from_graph(graph, captions=["first", "second"]).concepts
        ('bear', 'pen')
        """
        if captions is None:
            captions = [node for node in graph if graph.nodes[node].get("bipartite") == 0]
        top = dict.fromkeys(in_order(captions, where="the nodes that are captions"))
        rule = "a bipartite graph joins captions with concepts"
        if not top or not all(node in graph for node in top):
            raise InputError(
                f"{len(top)} nodes of the graph are captions",
                rule=rule,
                fix="mark them by bipartite=0, or name nodes of the graph in captions=",
            )
        for left, right in graph.edges:
            if (left in top) == (right in top):
                raise InputError(
                    f"an edge joins {left!r} with {right!r}",
                    rule=rule,
                    fix="name all captions in captions=",
                )
        return cls.from_captions(
            [list(graph[node]) for node in top],
            sizes=sizes,
            concepts=[node for node in graph if node not in top],
        )

    @classmethod
    def from_dict(cls, answer: Mapping[str, object]) -> "CaptionFamily":
        """The family in what `to_dict`, of it or of a prediction, has made of it.

        >>> family = CaptionFamily([["bear", "pen"], ["bear"]], sizes=[2, 1], weights=[3, 1])
        >>> CaptionFamily.from_dict(family.to_dict()) == family
        True
        """
        if not isinstance(answer.get("captions"), list):
            raise InputError(
                f"the answer has the keys {sorted(answer)}",
                rule="a family in plain types has captions",
                fix='give {"captions": [["bear", "pen"]]}, or what to_dict returns',
            )
        return cls.from_captions(
            cast("list[list[Concept]]", answer["captions"]),
            sizes=cast("Sizes | None", answer.get("sizes")),
            weights=cast("list[float] | None", answer.get("weights")),
            concepts=cast("list[Concept] | None", answer.get("concepts")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types. Names that are text or whole numbers stay, others become their label.

        >>> CaptionFamily([[1, "1"]]).to_dict()["captions"]
        [[1, '1']]
        """
        plain = {
            name: name if type(name) in (str, int) else self.space.label(name)
            for name in self.concepts
        }
        return {
            "concepts": list(plain.values()),
            "sizes": list(self.sizes),
            "captions": [[plain[k] for k in self.space.ordered(c)] for c in self.captions],
            "weights": list(self.weights),
        }

    def __len__(self) -> int:
        return len(self.captions)

    def __iter__(self) -> Iterator[Block]:
        return iter(self.captions)

    def __contains__(self, caption: Iterable[Concept]) -> bool:
        return as_block(caption, where="the caption") in self.captions

    def __or__(self, other: "CaptionFamily") -> "CaptionFamily":
        """The captions of both, each p(m) the average of the two; sizes must agree."""
        sizes = dict(zip(self.concepts, self.sizes, strict=True))
        for name, size in zip(other.concepts, other.sizes, strict=True):
            if sizes.setdefault(name, size) != size:
                raise InputError(
                    f"{name!r} has {sizes[name]} dimensions in one family and {size} in the other",
                    rule="a concept has one size",
                    fix="give both families the same size",
                )
        return CaptionFamily(
            [*self.captions, *other.captions],
            weights=[*self.weights, *other.weights],
            sizes=sizes,
            concepts=sizes,
        )

    @property
    def _identity(self) -> tuple[dict[Concept, int], dict[Block, float]]:
        return (
            dict(zip(self.concepts, self.sizes, strict=True)),
            dict(zip(self.captions, self.weights, strict=True)),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CaptionFamily):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        return hash(frozenset(self.captions))

    def __repr__(self) -> str:
        shown = [list(self.space.ordered(caption)) for caption in self.captions[:SHOWN]]
        more = f", and {len(self) - SHOWN} more" if len(self) > SHOWN else ""
        return f"CaptionFamily({shown}{more}, sizes={list(self.sizes)})"

    def same_ring(self, other: "CaptionFamily") -> bool:
        """The same blocks are identified, whatever the captions: all closures agree.

        >>> more = [["b"], ["a", "b"], ["b", "c"], ["a", "b", "c"]]
        >>> CaptionFamily([["a", "b"], ["b", "c"]]).same_ring(CaptionFamily(more))
        True
        """
        return dict(self.ring.closures) == dict(other.ring.closures)

    @classmethod
    def from_distribution(
        cls,
        distribution: Mapping[Block, SupportsFloat],
        *,
        sizes: Sizes | None = None,
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
        sizes: Sizes | None = None,
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
                listed = in_order(caption, where=f"caption {index + 1}")
                if not listed:
                    raise InputError(
                        f"caption {index + 1} is empty",
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

    def _repr_latex_(self) -> str:
        """3.4 for this family: its captions, closures and the number of identified blocks."""

        def braces(block: Iterable[Concept]) -> str:
            names = [f"\\text{{{_latex(self.space.label(k))}}}" for k in self.space.ordered(block)]
            return r"\{" + ", ".join(names) + r"\}"

        captions = [braces(caption) for caption in self.captions[:SHOWN]]
        if len(self) > SHOWN:
            captions.append(r"\dots")
        closures = list(self.ring.closures.items())
        lines = [
            rf"\mathcal C = \{{{', '.join(captions)}\}},\quad d = {self.dimension}",
            *(
                rf"\operatorname{{cl}}(\text{{{_latex(self.space.label(k))}}}) = {braces(closure)}"
                for k, closure in closures[:SHOWN]
            ),
            *([r"\dots"] if len(closures) > SHOWN else []),
            r"\text{identified (3.4): the } A \neq \emptyset \text{ with }"
            r"\operatorname{cl}(k) \subseteq A\ \forall k \in A",
        ]
        return r"$$\boxed{\begin{array}{l}" + r" \\ ".join(lines) + r"\end{array}}$$"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(str(name))}</th>" for name in self.concepts)
        shown = self.captions[:SHOWN]
        rows = "".join(
            f"<tr><td>{weight:.3g}</td>"
            + "".join(f"<td>{'●' if name in caption else ''}</td>" for name in self.concepts)
            + "</tr>"
            for caption, weight in zip(shown, self.weights, strict=False)
        )
        more = len(self.captions) - len(shown)
        foot = f"<p>and {more} more captions</p>" if more else ""
        return f"<table><tr><th>p(m)</th>{head}</tr>{rows}</table>{foot}"


Made = tuple[ConceptSpace, tuple[Block, ...], tuple[float, ...]]


def _from_table_or_graph(
    captions: object,
    sizes: Sizes | None,
    weights: Sequence[SupportsFloat] | None,
    concepts: Iterable[Concept] | None,
) -> Made | None:
    """The family of a DataFrame, a sparse matrix, a graph or a family; None of anything else."""
    if isinstance(captions, CaptionFamily):
        weights = captions.weights if weights is None else weights
        concepts = captions.concepts if concepts is None else concepts
        sizes = (
            dict(zip(captions.concepts, captions.sizes, strict=True)) if sizes is None else sizes
        )
        return _merged(captions.captions, sizes, weights, concepts)
    if isinstance(captions, nx.Graph):
        family = CaptionFamily.from_graph(captions, sizes=sizes)
    elif isinstance(captions, Table | sparse.sparray | sparse.spmatrix):
        names = None if concepts is None else list(concepts)
        family = CaptionFamily.from_matrix(captions, concepts=names, sizes=sizes, weights=weights)
    else:
        return None
    return family.space, family.captions, family.weights


def _merged(
    captions: Iterable[Iterable[Concept]],
    sizes: Sizes | None,
    weights: Sequence[SupportsFloat] | None,
    concepts: Iterable[Concept] | None,
) -> Made:
    """Distinct captions with the sum of their weights, and the concepts in order."""
    if isinstance(captions, str | bytes) or not hasattr(captions, "__iter__"):
        raise InputError(
            f"captions is {captions!r}",
            rule="captions are a list of lists of concepts",
            fix=f"give {EXAMPLE}",
        )
    given = [in_order(caption, where=f"caption {i}") for i, caption in enumerate(captions, start=1)]
    if not given:
        raise InputError("the family has no caption", rule="C is not empty", fix=f"give {EXAMPLE}")
    listed = in_order(concepts, where="concepts") if concepts is not None else None
    names = distinct(listed or [])
    for number, caption in enumerate(given, start=1):
        for name in caption:
            if listed is not None and name not in names:
                raise InputError(
                    f"caption {number} mentions the unknown concept {name!r}",
                    rule="captions mention only the concepts listed",
                    fix="list it in concepts= or correct the name",
                )
        if not caption:
            raise InputError(
                f"caption {number} is empty",
                rule="a caption mentions at least one concept",
                fix="drop it or name a concept",
            )
        distinct(caption, names)
    merged: dict[Block, float] = {}
    for caption, weight in zip(given, _weights(weights, len(given)), strict=True):
        block = frozenset(caption)
        merged[block] = merged.get(block, 0.0) + weight
    total = math.fsum(merged.values())
    return (
        ConceptSpace.of(names, sizes),
        tuple(merged),
        tuple(weight / total for weight in merged.values()),
    )


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
                f"the weight of caption {index + 1} is {value}",
                rule="C holds the captions that occur, so weights are positive and finite",
                fix="drop the caption or correct its weight",
            )
    return values


def _latex(text: str) -> str:
    """Text with the signs that mean something to LaTeX written as themselves."""
    named = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(named.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)

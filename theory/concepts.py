"""A latent vector is a list of concept blocks: z = (z_1, ..., z_K), z_k in R^{d_k}, d = sum d_k.

Paper: SmartCLIP, CVPR 2025, section 4 (z_I is split into concepts; a mask m picks some of them).
"""

import operator
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import SupportsIndex

import numpy as np
from jaxtyping import Bool

from theory.errors import InputError

Concept = Hashable
"""The name of one concept: any hashable value."""

Sizes = Mapping[Concept, SupportsIndex] | Sequence[SupportsIndex]
"""d_k by name, or one number a concept in the order of the concepts."""

Block = frozenset[Hashable]
"""The set of concepts that a mask m opens: B(m) = {k : m_k = 1}."""


def in_order(concepts: Iterable[Concept], *, where: str) -> list[Concept]:
    """The given names in a fixed order; a bare string or a non-collection is refused by name.

    Args:
        concepts: names of concepts. Lists keep their order; sets, whose order changes from run to
            run, are sorted.
        where: what the names describe, as the error message calls it.

    Raises:
        InputError: not a collection, a bare string, or a name that cannot be hashed.

    Source: names for the concepts of SmartCLIP, CVPR 2025, section 4.

    >>> in_order({"pen", "bear"}, where="caption 1")
    ['bear', 'pen']
    """
    rule = "a block is a collection of concept names"
    if isinstance(concepts, str | bytes):
        raise InputError(f"{where} is the text {concepts!r}", rule=rule, fix=f"[{concepts!r}]")
    try:
        names = list(concepts)
        hash(tuple(names))
    except TypeError as error:
        raise InputError(
            f"{where} is {concepts!r}", rule=rule, fix="give a list or a set of hashable names"
        ) from error
    if isinstance(concepts, set | frozenset):
        names.sort(key=lambda name: (type(name).__name__, repr(name)))
    return names


def distinct(
    concepts: Iterable[Concept], names: dict[Concept, Concept] | None = None
) -> dict[Concept, Concept]:
    """`names` with the given names added, each under itself, in order of their first mention.

    Raises:
        InputError: two names that are equal to Python and yet of different kinds, such as 1 and
            True or 1 and 1.0: no set can hold both.

    Source: names for the concepts of SmartCLIP, CVPR 2025, section 4.

    >>> list(distinct(["1", 1, "1"]))
    ['1', 1]
    """
    known = {} if names is None else names
    for name in concepts:
        first = known.setdefault(name, name)
        if first is not name and _kind(first) != _kind(name):
            raise InputError(
                f"two concepts are named {first!r} and {name!r}",
                rule="Python takes them for one name",
                fix=f"write one of them as text, {str(name)!r}",
            )
    return known


def _kind(name: Concept) -> str:
    if isinstance(name, bool | np.bool_):
        return "truth"
    if isinstance(name, SupportsIndex):
        return "whole number"
    return "text" if isinstance(name, str) else type(name).__name__


def as_block(concepts: Iterable[Concept], *, where: str) -> Block:
    """The set of the given names, checked as `in_order` does.

    Source: B(m) of SmartCLIP, CVPR 2025, section 4.

    >>> as_block(["pen"], where="caption 1")
    frozenset({'pen'})
    """
    if isinstance(concepts, frozenset):
        return concepts
    return frozenset(in_order(concepts, where=where))


def union(blocks: Iterable[Block]) -> Block:
    """U(S), the union of blocks; empty if there are none.

    Source: U(S) of SmartCLIP, CVPR 2025, Theorem 4.3.

    >>> sorted(union([frozenset({1, 2}), frozenset({2, 3})]))
    [1, 2, 3]
    """
    nothing: Block = frozenset()
    return nothing.union(*blocks)


def intersection(blocks: Iterable[Block]) -> Block:
    """N(S), the intersection of blocks; empty if there are none.

    Source: N(S) of SmartCLIP, CVPR 2025, Theorem 4.3.

    >>> sorted(intersection([frozenset({1, 2}), frozenset({2, 3})]))
    [2]
    """
    given = list(blocks)
    if not given:
        return frozenset()
    return given[0].intersection(*given[1:])


@dataclass(frozen=True, kw_only=True, slots=True)
class ConceptSpace:
    """z = (z_1, ..., z_K): names and sizes of the concepts, in the order they are laid out.

    Attributes:
        concepts: K names.
        sizes: d_1, ..., d_K, the number of latent dimensions of each concept.

    Raises:
        InputError: a name occurs twice, a size is not a positive whole number, counts differ.

    >>> space = ConceptSpace(concepts=("bear", "pen"), sizes=(2, 1))
    >>> space.dimension, space.columns({"pen"}), space.columns({"bear"})
    (3, [2], [0, 1])
    """

    concepts: tuple[Concept, ...]
    sizes: tuple[int, ...]
    _position: dict[Concept, int] = field(init=False, repr=False, compare=False)
    _start: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _labels: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.concepts) != len(self.sizes):
            raise InputError(
                f"{len(self.concepts)} concepts and {len(self.sizes)} sizes",
                rule="each concept has one size",
                fix="give as many sizes as concepts",
            )
        position = {concept: index for index, concept in enumerate(self.concepts)}
        if len(position) != len(self.concepts):
            twice = next(c for i, c in enumerate(self.concepts) if position[c] != i)
            raise InputError(
                f"concept {twice!r} is listed twice",
                rule="names of concepts are distinct",
                fix="list it once",
            )
        for concept, size in zip(self.concepts, self.sizes, strict=True):
            if size < 1:
                raise InputError(
                    f"the size of {concept!r} is {size}",
                    rule="a concept has at least one latent dimension",
                    fix="give a size of 1 or more",
                )
        starts = np.cumsum([0, *self.sizes])[:-1]
        plain = Counter(map(str, self.concepts))
        labels = (str(k) if plain[str(k)] == 1 else repr(k) for k in self.concepts)
        object.__setattr__(self, "_labels", tuple(labels))
        object.__setattr__(self, "_position", position)
        object.__setattr__(self, "_start", tuple(int(start) for start in starts))

    @classmethod
    def of(cls, concepts: Iterable[Concept], sizes: Sizes | None = None) -> "ConceptSpace":
        """Concepts in the order given; d_k = `sizes[k]`, 1 where a mapping is silent.

        Raises:
            InputError: `sizes` names an unknown concept or holds something that is no whole number.

        >>> ConceptSpace.of(["bear", "pen"], {"bear": 2}).sizes
        (2, 1)
        >>> ConceptSpace.of(["bear", "pen"], [2, 1]).sizes
        (2, 1)
        """
        names = tuple(concepts)
        if sizes is not None and not isinstance(sizes, Mapping):
            if isinstance(sizes, str | bytes) or len(sizes) != len(names):
                raise InputError(
                    f"sizes is {sizes!r}",
                    rule=f"a list of sizes has one number for each of the {len(names)} concepts",
                    fix=f"give {len(names)} numbers, or sizes by name",
                )
            sizes = dict(zip(names, sizes, strict=True))
        given = dict(sizes or {})
        for concept, size in given.items():
            if concept not in names:
                raise InputError(
                    f"sizes names the unknown concept {concept!r}",
                    rule="only concepts of the family have a size",
                    fix=f"use one of {_some(names)}",
                )
            if isinstance(size, bool) or not hasattr(size, "__index__"):
                raise InputError(
                    f"the size of {concept!r} is {size!r}",
                    rule="a size is a whole number of latent dimensions",
                    fix="give 1, 2, 3, ...",
                )
        return cls(
            concepts=names, sizes=tuple(operator.index(given.get(name, 1)) for name in names)
        )

    def __len__(self) -> int:
        return len(self.concepts)

    @property
    def dimension(self) -> int:
        """d = d_1 + ... + d_K, the number of latent dimensions."""
        return sum(self.sizes)

    def position(self, concept: Concept) -> int:
        """Where `concept` stands in `concepts`.

        Raises:
            InputError: the concept is unknown.
        """
        try:
            return self._position[concept]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{concept!r} is not a concept of this space",
                rule="blocks hold known concepts",
                fix=f"use one of {_some(self.concepts)}",
            ) from error

    @property
    def labels(self) -> tuple[str, ...]:
        """Each name as text, no two alike: `str`, and `repr` where that is not enough.

        >>> ConceptSpace.of([1, "1", "pen"]).labels
        ('1', "'1'", 'pen')
        """
        return self._labels

    def label(self, concept: Concept) -> str:
        """The name as text, unlike that of any other concept."""
        return self._labels[self.position(concept)]

    def named(self, text: str) -> Concept:
        """The concept that a text names: itself, or the one that is labelled so.

        Raises:
            InputError: there is none.

        >>> ConceptSpace.of([1, 2]).named("2")
        2
        """
        if text in self._position:
            return text
        if text in self.labels:
            return self.concepts[self.labels.index(text)]
        return self.concepts[self.position(text)]

    def ordered(self, block: Iterable[Concept]) -> tuple[Concept, ...]:
        """The concepts of a block in the order of `concepts`."""
        members = as_block(block, where="the block")
        return tuple(self.concepts[i] for i in sorted(self.position(name) for name in members))

    def size(self, block: Iterable[Concept]) -> int:
        """d(B) = sum of d_k over k in B, the latent dimensions of a block."""
        return sum(self.sizes[self.position(name)] for name in as_block(block, where="the block"))

    def columns(self, block: Iterable[Concept]) -> list[int]:
        """The latent columns of a block, ascending; concepts lie in the order of `concepts`.

        Args:
            block: names of concepts.

        Returns:
            d(B) column numbers into z [N, d].

        Raises:
            InputError: a name is unknown.
        """
        found: list[int] = []
        for index in sorted(self.position(name) for name in as_block(block, where="the block")):
            start = self._start[index]
            found.extend(range(start, start + self.sizes[index]))
        return found

    def indicator(self, block: Iterable[Concept]) -> Bool[np.ndarray, " K"]:
        """The mask m of a block: m_k is true iff k is in B."""
        mask = np.zeros(len(self), dtype=bool)
        mask[[self.position(name) for name in as_block(block, where="the block")]] = True
        return mask

    def spread(self, masks: Bool[np.ndarray, "n K"]) -> Bool[np.ndarray, "n d"]:
        """Masks over concepts as masks over latent dimensions: column k repeated d_k times."""
        return np.repeat(masks, self.sizes, axis=1)


def _some(names: tuple[Concept, ...], limit: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:limit])
    return f"{shown}, ..." if len(names) > limit else shown

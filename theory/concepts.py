"""A latent vector is a list of concept blocks: z = (z_1, ..., z_K), z_k in R^{d_k}, d = sum d_k.

Paper: SmartCLIP, CVPR 2025, section 4 (z_I is split into concepts; a mask m picks some of them).
"""

import operator
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import SupportsIndex

import numpy as np
from jaxtyping import Bool

from theory.errors import InputError

Concept = Hashable
"""The name of one concept: any hashable value."""

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

    >>> in_order({"pen", "bear"}, where="caption 0")
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


def as_block(concepts: Iterable[Concept], *, where: str) -> Block:
    """The set of the given names, checked as `in_order` does.

    Source: B(m) of SmartCLIP, CVPR 2025, section 4.

    >>> as_block(["pen"], where="caption 0")
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
        object.__setattr__(self, "_position", position)
        object.__setattr__(self, "_start", tuple(int(start) for start in starts))

    @classmethod
    def of(
        cls, concepts: Iterable[Concept], sizes: Mapping[Concept, SupportsIndex] | None = None
    ) -> "ConceptSpace":
        """Concepts in the order given; d_k = `sizes[k]`, 1 where it is silent.

        Raises:
            InputError: `sizes` names an unknown concept or holds something that is no whole number.

        >>> ConceptSpace.of(["bear", "pen"], {"bear": 2}).sizes
        (2, 1)
        """
        names = tuple(concepts)
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

"""Every family up to isomorphism at small K, and the smallest with a property: conjectures, tried.

What a family promises depends on its accompaniment alone, a preorder on the concepts (3.4). Up to
renaming there are 1, 3, 9, 33, 139, 718 preorders on K = 1, 2, ..., 6 concepts, all mentioned: as
many as topologies on K points (OEIS A001930). Each is given as the family of its closures, which
generates the same ring as any other family with that accompaniment (Birkhoff). Derived here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, permutations, product
from typing import SupportsIndex

from theory.captions import CaptionFamily
from theory.concepts import Concept, Sizes, distinct, in_order
from theory.errors import InputError

LARGEST = 6

Preorder = tuple[int, ...]
"""The closures: bit j of row k says that j is in cl(k)."""


def families(
    concepts: Sequence[Concept], *, sizes: Sizes | None = None, up_to_renaming: bool = True
) -> Iterator[CaptionFamily]:
    """One family for each preorder on the concepts, those with fewer captions first.

    Args:
        concepts: K <= 6 names.
        sizes: d_k of each family.
        up_to_renaming: give one of those that differ by a renaming of the concepts; all otherwise.

    Raises:
        InputError: no concept, or more than 6.

    >>> [len(list(families(range(size)))) for size in (1, 2, 3, 4)]
    [1, 3, 9, 33]
    """
    names = list(distinct(in_order(concepts, where="concepts")))
    if not 1 <= len(names) <= LARGEST:
        raise InputError(
            f"{len(names)} concepts",
            rule=f"the search is exhaustive, from 1 to {LARGEST} concepts",
            fix="name fewer concepts",
        )
    found = _classes(len(names)) if up_to_renaming else _all_preorders(len(names))
    for preorder in sorted(found, key=lambda rows: (len(set(rows)), sum(map(int.bit_count, rows)))):
        captions = dict.fromkeys(
            tuple(name for j, name in enumerate(names) if row >> j & 1) for row in preorder
        )
        yield CaptionFamily(captions, concepts=names, sizes=sizes)


def smallest_with(
    holds: Callable[[CaptionFamily], bool],
    concepts: Sequence[Concept],
    *,
    sizes: Mapping[Concept, SupportsIndex] | None = None,
) -> CaptionFamily | None:
    """The first family over these concepts, by captions and then mentions, with a property.

    Families over fewer of the concepts, the first ones, come first. None if there is none.

    Args:
        holds: says of a family whether it is one; asked of every renaming.
        concepts: K <= 6 names, in the order in which they may be left out from the end.
        sizes: d_k by name, 1 where silent.

    >>> def pen_not_chair(family):
    ...     both = {"pen", "chair"} <= family.mentioned
    ...     return both and "pen" in alone(family) and "chair" not in alone(family)
    >>> [sorted(caption) for caption in smallest_with(pen_not_chair, ["pen", "chair"])]
    [['pen'], ['chair', 'pen']]
    """
    names = in_order(concepts, where="concepts")
    for count in range(1, len(names) + 1):
        given = names[:count]
        some = {k: size for k, size in (sizes or {}).items() if k in given}
        for family in families(given, sizes=some, up_to_renaming=False):
            if holds(family):
                return family
    return None


def alone(family: CaptionFamily) -> set[Concept]:
    """The concepts with cl(k) = {k}: the filter asked for most.

    >>> alone(CaptionFamily([["bear", "pen"], ["bear"]]))
    {'bear'}
    """
    return {k for k, closure in family.ring.closures.items() if len(closure) == 1}


def windows_beat_prefixes(family: CaptionFamily) -> bool:
    """Pairs of neighbours would identify more concepts alone than beginnings, image by image.

    Each caption, its concepts in the order of the family, is replaced by its beginnings (all
    prefixes) or by its windows (all pairs of neighbours, itself where it is shorter).

    >>> windows_beat_prefixes(CaptionFamily([[0, 1, 2, 3]]))
    True
    """
    sentences = [family.space.ordered(caption) for caption in family]
    prefixes = [s[:end] for s in sentences for end in range(1, len(s) + 1)]
    windows = [s[at : at + 2] for s in sentences for at in range(max(len(s) - 1, 1))]
    return len(alone(CaptionFamily(windows))) > len(alone(CaptionFamily(prefixes)))


def _all_preorders(size: int) -> Iterator[Preorder]:
    """Every preorder, grown one concept at a time."""
    if size == 0:
        yield ()
        return
    for rows in _all_preorders(size - 1):
        yield from _grown(rows)


def _classes(size: int) -> set[Preorder]:
    """One preorder of each class, grown from the classes with one concept less."""
    classes: set[Preorder] = {()}
    for _ in range(size):
        classes = {_canonical(grown) for rows in classes for grown in _grown(rows)}
    return classes


def _grown(rows: Preorder) -> Iterator[Preorder]:
    """The preorders with one more concept.

    What accompanies the new one is closed; those that it accompanies are the complement of a
    closed set, and what accompanies the new one accompanies each of them.
    """
    new = 1 << len(rows)
    closed = [
        bits
        for bits in range(new)
        if all(row & ~bits == 0 for k, row in enumerate(rows) if bits >> k & 1)
    ]
    for below in closed:
        for outside in closed:
            joined = [row if outside >> k & 1 else row | new for k, row in enumerate(rows)]
            if all(below & ~row == 0 for row in joined if row & new):
                yield (*joined, below | new)


def _canonical(rows: Preorder) -> Preorder:
    """The least renaming that puts concepts in order of how many they go with."""
    size = range(len(rows))
    degree = [(rows[k].bit_count(), sum(row >> k & 1 for row in rows)) for k in size]
    order = sorted(size, key=degree.__getitem__)
    alike = [list(group) for _, group in groupby(order, key=degree.__getitem__)]

    def renamed(order: list[int]) -> Preorder:
        place = {k: at for at, k in enumerate(order)}
        return tuple(sum(1 << place[j] for j in size if rows[k] >> j & 1) for k in order)

    return min(
        renamed([k for group in groups for k in group])
        for groups in product(*(permutations(group) for group in alike))
    )

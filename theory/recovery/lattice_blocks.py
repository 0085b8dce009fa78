"""The blocks to measure: those of the identified lattice, and the nearest ones outside it.

Paper: SmartCLIP, CVPR 2025, Theorem 4.3 for captions, unions and intersections; closures and the
blocks that must *not* be identified are derived here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from theory.concepts import Block, Concept, as_block
from theory.errors import InputError
from theory.prediction import Complete, predict
from theory.recovery.coordinates import Coordinates

Kind = Literal["caption", "union", "intersection", "closure", "atom", "concept", "named"]

MOST_PAIRS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class LatticeBlock:
    """A block B with the coordinates B^ that the estimated masks give it.

    Attributes:
        kind: caption, union, intersection and closure are promised; a concept entangled with
            others and an atom inside a larger closure are not; named blocks may be either.
        block: B.
        complete: how far the family promises an inverse on B: "globally", "locally", or "no", which
            means that it does not identify B.
        coordinates: B^, columns of zhat.
    """

    kind: Kind
    block: Block
    complete: Complete
    coordinates: tuple[int, ...]

    @property
    def promised(self) -> bool:
        """The family identifies B."""
        return self.complete != "no"


def lattice_blocks(
    coordinates: Coordinates, named: Iterable[Iterable[Concept]] = ()
) -> list[LatticeBlock]:
    """Every caption, pairwise union and intersection, the union of all, every closure; then the
    atoms and single concepts that no encoder needs to separate; then the named blocks.

    Blocks of one kind that agree in B and B^ are listed once. Of more than 300 pairs of captions
    those with the largest p(m) p(m') are taken.

    Raises:
        InputError: a named block is empty or names an unknown concept.
    """
    found = dict.fromkeys(_all(coordinates, named))
    return list(found)


def _all(coordinates: Coordinates, named: Iterable[Iterable[Concept]]) -> Iterator[LatticeBlock]:
    family = coordinates.family
    captions = family.captions
    prediction = predict(family)
    for index, caption in enumerate(captions):
        yield LatticeBlock(
            kind="caption",
            block=caption,
            complete="globally",
            coordinates=coordinates.intersection([index]),
        )
    pairs = list(combinations(range(len(captions)), 2))
    if len(pairs) > MOST_PAIRS:
        weights = family.weights
        pairs = sorted(pairs, key=lambda pair: -weights[pair[0]] * weights[pair[1]])[:MOST_PAIRS]
    for subset in dict.fromkeys([*pairs, tuple(range(len(captions)))]):
        if len(subset) > 1:
            yield LatticeBlock(
                kind="union",
                block=frozenset(name for index in subset for name in captions[index]),
                complete="globally",
                coordinates=coordinates.union(subset),
            )
    for pair in pairs:
        common = captions[pair[0]] & captions[pair[1]]
        if common:
            yield LatticeBlock(
                kind="intersection",
                block=common,
                complete=prediction.promise(common).complete,
                coordinates=coordinates.intersection(pair),
            )
    closures = family.ring.closures
    for concept, closure in closures.items():
        holders = [i for i, caption in enumerate(captions) if concept in caption]
        yield LatticeBlock(
            kind="closure",
            block=closure,
            complete=prediction.promise(closure).complete,
            coordinates=coordinates.intersection(holders),
        )
    for atom in family.atoms():
        if len(atom) > 1 and atom not in family.ring:
            yield LatticeBlock(
                kind="atom",
                block=atom,
                complete="no",
                coordinates=coordinates.of_block(atom),
            )
    for concept, closure in closures.items():
        if len(closure) > 1:
            yield LatticeBlock(
                kind="concept",
                block=frozenset({concept}),
                complete="no",
                coordinates=coordinates.of(concept),
            )
    for index, names in enumerate(named):
        block = as_block(names, where=f"block {index}")
        if not block:
            raise InputError(
                f"block {index} is empty",
                rule="a block holds at least one concept",
                fix="drop it or name a concept",
            )
        yield LatticeBlock(
            kind="named",
            block=block,
            complete=prediction.promise(block).complete if block in family.ring else "no",
            coordinates=coordinates.of_block(family.space.ordered(block)),
        )

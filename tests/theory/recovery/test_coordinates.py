"""Masks to coordinates, against plain sets."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.captions import CaptionFamily
from theory.recovery.coordinates import Coordinates
from theory.recovery.lattice_blocks import lattice_blocks

captions = st.lists(
    st.frozensets(st.integers(0, 4), min_size=1), min_size=1, max_size=6, unique=True
)


@settings(deadline=None, max_examples=50)
@given(captions, st.data())
def test_union_and_intersection_are_those_of_sets(
    blocks: list[frozenset[int]], data: st.DataObject
) -> None:
    family = CaptionFamily.from_captions(blocks)
    count = len(family.captions)
    opened = [data.draw(st.frozensets(st.integers(0, 5))) for _ in range(count)]
    masks = np.array([[i in row for i in range(6)] for row in opened])
    chosen = data.draw(st.lists(st.integers(0, count - 1), min_size=1, unique=True))
    coordinates = Coordinates(family=family, masks=masks)
    rows = [opened[index] for index in chosen]
    assert coordinates.union(chosen) == tuple(sorted(frozenset.union(*rows)))
    assert coordinates.intersection(chosen) == tuple(sorted(frozenset.intersection(*rows)))


@settings(deadline=None, max_examples=50)
@given(captions)
def test_exact_masks_give_every_block_its_own_dimensions(blocks: list[frozenset[int]]) -> None:
    family = CaptionFamily.from_captions(blocks)
    coordinates = Coordinates(family=family, masks=family.dimension_masks)
    for entry in lattice_blocks(coordinates):
        atoms = {atom for atom in family.atoms() if atom & entry.block}
        around = frozenset().union(*atoms)
        # Concepts never apart have the same captions, so masks cannot tell their coordinates apart.
        expected = around if entry.kind == "concept" else entry.block
        assert entry.coordinates == tuple(family.space.columns(expected))
        assert entry.promised == (entry.block in family.ring)


def test_coordinates_of_a_concept_survive_a_wrong_gate() -> None:
    family = CaptionFamily.from_captions([["a", "b"], ["a", "c"], ["a", "d"], ["b", "c"]])
    masks = family.dimension_masks.copy()
    masks[2, 0] = False
    coordinates = Coordinates(family=family, masks=masks)
    assert coordinates.of("a") == (0,)
    masks[:, 0] = False
    assert Coordinates(family=family, masks=masks).of("a") == ()

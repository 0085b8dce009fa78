"""The ring of identified blocks: closure-operator laws, lattice laws, enumeration, counting."""

from itertools import combinations, islice

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import CaptionFamily, InputError, Ring

SETTINGS = settings(deadline=None, max_examples=80)
captions = st.lists(
    st.frozensets(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=6
)


def generated(blocks: list[frozenset[int]]) -> set[frozenset[int]]:
    """Unions and intersections of the captions, closed by brute force."""
    found = set(blocks)
    while True:
        more = {a | b for a in found for b in found} | {a & b for a in found for b in found}
        if more <= found:
            return found - {frozenset()}
        found |= more


@SETTINGS
@given(captions)
def test_the_ring_is_what_unions_and_intersections_generate(blocks: list[frozenset[int]]):
    ring = Ring.from_captions(blocks)
    listed = list(ring.identified())
    assert set(listed) == generated(blocks)
    assert len(listed) == len(set(listed)) == ring.count()
    assert [len(block) for block in listed] == sorted(len(block) for block in listed)


@SETTINGS
@given(captions, st.data())
def test_around_is_a_closure_operator(blocks: list[frozenset[int]], data: st.DataObject):
    ring = Ring.from_captions(blocks)
    mentioned = sorted(ring.closures)
    small = data.draw(st.frozensets(st.sampled_from(mentioned), min_size=1))
    large = small | data.draw(st.frozensets(st.sampled_from(mentioned)))

    def close(block: frozenset[int]) -> frozenset[int]:
        return ring.locate(block).around

    assert small <= close(small)
    assert close(small) <= close(large)
    assert close(close(small)) == close(small)
    assert close(small | large) == close(small) | close(large)


@SETTINGS
@given(captions, st.data())
def test_the_nearest_blocks_are_nearest(blocks: list[frozenset[int]], data: st.DataObject):
    ring = Ring.from_captions(blocks)
    wanted = data.draw(st.frozensets(st.sampled_from(sorted(ring.closures)), min_size=1))
    place = ring.locate(wanted)
    members = generated(blocks)
    inside = [block for block in members if block <= wanted]
    around = [block for block in members if wanted <= block]
    assert place.inside == frozenset().union(*inside)
    assert place.around == frozenset.intersection(*around)
    assert place.identified == (wanted in members) == (wanted in ring)
    for concept, others in place.reasons.items():
        assert all(others <= caption for caption in blocks if concept in caption)
        assert not others & wanted


@SETTINGS
@given(captions)
def test_unions_and_intersections_stay_inside(blocks: list[frozenset[int]]):
    ring = Ring.from_captions(blocks)
    for a, b in combinations(ring.identified(), 2):
        assert (a | b) in ring
        assert not a & b or (a & b) in ring


@SETTINGS
@given(captions, st.permutations(range(6)))
def test_relabelling_relabels(blocks: list[frozenset[int]], names: list[int]):
    renamed = [frozenset(names[k] for k in block) for block in blocks]
    expected = {
        frozenset(names[k] for k in block) for block in Ring.from_captions(blocks).identified()
    }
    assert set(Ring.from_captions(renamed).identified()) == expected


@SETTINGS
@given(captions, captions)
def test_more_captions_identify_more(blocks: list[frozenset[int]], more: list[frozenset[int]]):
    before = Ring.from_captions(blocks)
    after = Ring.from_captions(blocks + more)
    assert set(before.identified()) <= set(after.identified())
    assert all(after.closure(k) <= before.closure(k) for k in before.closures)


@SETTINGS
@given(captions, st.integers(0, 5))
def test_splitting_a_concept_splits_nothing(blocks: list[frozenset[int]], chosen: int):
    """Two halves that always come together behave as the one concept did, and are one atom."""
    halves = frozenset({("half", chosen)})
    split = [block | halves if chosen in block else block for block in blocks]
    before, after = Ring.from_captions(blocks), Ring.from_captions(split)
    assert {block - halves for block in after.identified()} == set(before.identified())
    if chosen in before.closures:
        assert frozenset({chosen}) | halves <= next(a for a in after.atoms() if chosen in a)


@SETTINGS
@given(captions)
def test_merging_concepts_that_are_never_apart_loses_nothing(blocks: list[frozenset[int]]):
    """One name an atom: the same ring, block by block, and no two concepts alike any more."""
    ring = Ring.from_captions(blocks)
    name = {k: min(atom) for atom in ring.atoms() for k in atom}
    merged = Ring.from_captions({name[k] for k in block} for block in blocks)
    assert set(merged.identified()) == {
        frozenset(name[k] for k in block) for block in ring.identified()
    }
    assert merged.count() == ring.count()
    assert all(len(atom) == 1 for atom in merged.atoms())


@SETTINGS
@given(captions, st.integers(0, 5), st.integers(0, 5))
def test_merging_any_two_concepts_keeps_the_blocks_that_hold_both_or_neither(
    blocks: list[frozenset[int]], a: int, b: int
):
    """If every caption names both or neither, a block of the merged family is one of the old."""
    together = [block | {a, b} if block & {a, b} else block for block in blocks]
    merged = [block - {b} if a != b else block for block in together]
    expected = {
        block - {b} if a != b else block for block in Ring.from_captions(together).identified()
    }
    assert set(Ring.from_captions(merged).identified()) == expected


@SETTINGS
@given(captions)
def test_atoms_are_the_classes_of_the_preorder(blocks: list[frozenset[int]]):
    ring = Ring.from_captions(blocks)
    graph = ring.accompaniment()
    components = set(map(frozenset, nx.strongly_connected_components(graph)))
    assert set(ring.atoms()) == components
    assert set(graph.hasse().nodes) == components
    for j in ring.closures:
        for k in ring.closures:
            always = all(j in block for block in blocks if k in block)
            assert (graph.has_edge(j, k) or j == k) == always


@SETTINGS
@given(captions)
def test_irreducibles_generate_and_none_can_go(blocks: list[frozenset[int]]):
    ring = Ring.from_captions(blocks)
    kept = ring.irreducibles()
    assert set(Ring.from_captions(kept).identified()) == set(ring.identified())
    for block in kept:
        smaller = [other for other in ring.identified() if other < block]
        assert frozenset().union(*smaller) != block


def test_a_huge_ring_is_counted_and_listed_lazily():
    ring = Ring.from_captions([{k} for k in range(200)])
    assert ring.count() == 2**200 - 1
    assert list(islice(ring.identified(), 201))[-1] == frozenset({0, 1})
    chain = Ring.from_captions([set(range(k + 1)) for k in range(50)])
    assert chain.count() == 50


def test_listing_and_counting_stop_at_their_limits():
    ring = Ring.from_captions([{k} for k in range(12)])
    with pytest.raises(InputError, match="more than 10 blocks"):
        list(ring.identified(limit=10))
    grid = CaptionFamily.from_captions(
        [{(i, j) for i in range(a + 1) for j in range(b + 1)} for a in range(8) for b in range(8)]
    )
    assert grid.ring.count() == 12869  # the lattice paths of an 8 x 8 grid, C(16, 8), less one
    with pytest.raises(InputError, match="more than 5 steps"):
        grid.ring.count(effort=5)

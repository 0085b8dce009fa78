"""The enumeration has the known counts, and the answers are families that hold."""

from itertools import combinations, permutations

import pytest

from theory import CaptionFamily, InputError
from theory.exhaustive import identified_blocks
from theory.search import alone, families, smallest_with, windows_beat_prefixes


@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 3), (3, 9), (4, 33), (5, 139)])
def test_there_are_as_many_classes_as_topologies_up_to_homeomorphism(size: int, count: int):
    """OEIS A001930."""
    assert len(list(families(range(size)))) == count


@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 4), (3, 29), (4, 355)])
def test_there_are_as_many_preorders_as_topologies(size: int, count: int):
    """OEIS A000798; all with different rings."""
    found = [
        frozenset(f.ring.closures.items()) for f in families(range(size), up_to_renaming=False)
    ]
    assert len(found) == len(set(found)) == count


def test_every_family_of_captions_has_its_class_and_no_two_are_alike():
    """All 127 families over 3 concepts that mention each, against the 9 classes, by renaming."""
    classes = [set(map(frozenset, family.ring.closures.items())) for family in families(range(3))]
    blocks = [frozenset(c) for size in (1, 2, 3) for c in combinations(range(3), size)]
    for count in range(1, 8):
        for captions in combinations(blocks, count):
            family = CaptionFamily(captions, concepts=range(3))
            if len(family.mentioned) < 3:
                continue
            renamed = [
                {
                    frozenset((order[k], frozenset(order[j] for j in closure)))
                    for k, closure in family.ring.closures.items()
                }
                for order in permutations(range(3))
            ]
            assert sum(one in renamed for one in classes) == 1


def test_the_families_promise_what_the_exhaustive_oracle_finds():
    for family in families(range(3)):
        found = identified_blocks([[int(str(k)) for k in c] for c in family], [1, 1, 1])
        assert found == set(family.identified())


def test_the_smallest_family_with_a_property():
    def pen_not_chair(family: CaptionFamily) -> bool:
        return (
            "pen" in alone(family) and "chair" in family.concepts and ("chair" not in alone(family))
        )

    found = smallest_with(pen_not_chair, ["pen", "chair"], sizes={"chair": 2})
    assert found == CaptionFamily([["pen"], ["pen", "chair"]], sizes={"chair": 2})
    three = smallest_with(lambda family: len(alone(family)) == 3, range(4))
    assert three is not None
    assert len(three) == 3
    assert smallest_with(lambda family: len(family) > 3, range(3)) is None


def test_where_windows_beat_prefixes():
    """Windows {0,2}, {0,1}, {1,2} identify each of three concepts, prefixes the first alone."""
    found = smallest_with(windows_beat_prefixes, range(4))
    assert found is not None
    assert set(found) == {frozenset({0, 2}), frozenset({0, 1, 2})}
    assert smallest_with(windows_beat_prefixes, range(2)) is None


def test_too_large_a_search_is_refused():
    with pytest.raises(InputError, match="7 concepts"):
        list(families(range(7)))
    with pytest.raises(InputError, match="0 concepts"):
        list(families([]))

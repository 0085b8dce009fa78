"""Random families: what is drawn is what is said, and the two streams never meet."""

import doctest

import pytest

import simulators.families
from simulators.families import CAPTIONS, CONCEPTS, SIZES, is_chain, random_family
from theory import CaptionFamily
from theory.errors import InputError

DRAWN = [random_family(seed, stream="development") for seed in range(300)]


def test_sizes_are_within_bounds_and_reach_them():
    for found, bounds in (
        ([len(one.concepts) for one in DRAWN], CONCEPTS),
        ([size for one in DRAWN for size in one.sizes], SIZES),
    ):
        assert (min(found), max(found)) == bounds
    counts = [len(one.captions) for one in DRAWN]
    assert min(counts) >= CAPTIONS[0]
    assert max(counts) == CAPTIONS[1]


def test_every_concept_is_in_a_caption_and_no_caption_twice():
    for one in DRAWN:
        assert set().union(*one.captions) == set(one.concepts)
        assert len(set(map(frozenset, one.captions))) == len(one.captions)


def test_chains_and_nested_captions_come_in_their_share():
    chains = sum(map(is_chain, DRAWN))
    assert 0.1 * len(DRAWN) < chains < 0.25 * len(DRAWN)
    others = [one for one in DRAWN if not is_chain(one)]
    nested = [any(set(a) < set(b) for a in one.captions for b in one.captions) for one in others]
    assert sum(nested) > len(others) / 2


def test_a_chain_is_one():
    assert is_chain(CaptionFamily.from_captions([["a", "b"], ["a"], ["a", "b", "c"]]))
    assert not is_chain(CaptionFamily.from_captions([["a", "b"], ["b", "c"]]))


def test_a_seed_is_a_family_and_streams_differ():
    again = [random_family(seed, stream="development") for seed in range(20)]
    assert again == DRAWN[:20]
    other = [random_family(seed, stream="test") for seed in range(20)]
    assert all(one != two for one, two in zip(other, again, strict=True))


@pytest.mark.parametrize("bad", [{"seed": -1, "stream": "test"}, {"seed": 0, "stream": "train"}])
def test_what_makes_no_sense_is_refused(bad):
    with pytest.raises(Exception, match=r"families count from 0|type"):
        random_family(**bad)
    assert issubclass(InputError, Exception)


def test_examples_run():
    assert doctest.testmod(simulators.families).failed == 0

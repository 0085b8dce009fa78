"""The search for sets T_k agrees with trying every choice."""

import time
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from theory.caption_sets import Wanted

PAIRS = st.frozensets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8)


def rows(pairs: frozenset[tuple[int, int]]) -> list[frozenset[int]]:
    return [frozenset(j for i, j in pairs if i == k and j != k) for k in range(4)]


def meets(wanted: Wanted, sets: tuple[int, ...] | list[int], captions: int) -> bool:
    held = [{k for k in range(4) if sets[k] >> c & 1} for c in range(captions)]
    return (
        all(sets)
        and all(sets[i] & ~sets[j] for i in range(4) for j in wanted.apart[i])
        and all(not sets[i] & ~sets[j] for i in range(4) for j in wanted.within[i])
        and all(len(caption) <= wanted.limit for caption in held)
        and not any(block <= caption for block in wanted.forbidden for caption in held)
    )


@settings(deadline=None, max_examples=150)
@given(
    PAIRS,
    PAIRS,
    st.integers(1, 4),
    st.lists(st.frozensets(st.integers(0, 3), min_size=1, max_size=3), max_size=2),
    st.integers(1, 3),
)
def test_the_search_finds_sets_iff_there_are_some(apart, within, limit, forbidden, captions):
    wanted = Wanted(apart=rows(apart), within=rows(within), limit=limit, forbidden=forbidden)
    found = wanted.find(captions, until=time.monotonic() + 60)
    some = any(meets(wanted, sets, captions) for sets in product(range(1, 1 << captions), repeat=4))
    assert (found != "impossible") == some
    assert not some or meets(wanted, found, captions)


def test_a_search_out_of_time_decides_nothing():
    alone = [frozenset(range(40)) - {k} for k in range(40)]
    wanted = Wanted(apart=alone, within=[frozenset()] * 40, limit=40)
    looks: list[None] = []
    stop = time.monotonic() + 0.1
    assert wanted.find(6, until=stop, look=lambda: looks.append(None)) == "undecided"
    assert looks
    assert wanted.find(13, until=time.monotonic() + 60) == "undecided"

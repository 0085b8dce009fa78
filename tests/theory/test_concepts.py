"""ConceptSpace: layout, sizes and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import ConceptSpace, InputError


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
def test_columns_of_disjoint_blocks_partition_the_latents(sizes: list[int], data: st.DataObject):
    space = ConceptSpace(concepts=tuple(range(len(sizes))), sizes=tuple(sizes))
    block = data.draw(st.sets(st.sampled_from(range(len(sizes)))))
    rest = set(range(len(sizes))) - block
    assert sorted(space.columns(block) + space.columns(rest)) == list(range(space.dimension))
    assert len(space.columns(block)) == space.size(block)
    mask = space.spread(space.indicator(block)[None])[0]
    assert np.flatnonzero(mask).tolist() == space.columns(block)


@pytest.mark.parametrize(
    ("concepts", "sizes", "named"),
    [
        (["a", "b"], {"c": 1}, "'c'"),
        (["a"], {"a": 0}, "'a' is 0"),
        (["a"], {"a": -2}, "-2"),
        (["a"], {"a": True}, "True"),
        (["a", "a"], None, "'a' is listed twice"),
    ],
)
def test_a_bad_space_is_refused_by_name(concepts: list[str], sizes: dict, named: str):
    with pytest.raises(InputError, match=named):
        ConceptSpace.of(concepts, sizes)


def test_sizes_may_be_numpy_integers():
    assert ConceptSpace.of(["a"], {"a": np.int64(3)}).sizes == (3,)


def test_an_unknown_name_is_refused():
    space = ConceptSpace.of(["a", "b"])
    with pytest.raises(InputError, match="'x' is not a concept"):
        space.columns(["x"])
    with pytest.raises(InputError, match="the text 'ab'"):
        space.columns("ab")


def test_sizes_may_be_a_list():
    assert ConceptSpace.of(["a", "b"], [1, 2]).sizes == (1, 2)
    with pytest.raises(InputError, match="one number for each of the 2 concepts"):
        ConceptSpace.of(["a", "b"], [1])


def test_labels_are_text_and_differ():
    space = ConceptSpace.of([1, "1", "pen", 2])
    assert space.labels == ("1", "'1'", "pen", "2")
    assert space.named("1") == "1"
    assert space.named("2") == 2
    with pytest.raises(InputError, match="'3' is not a concept"):
        space.named("3")

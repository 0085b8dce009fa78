"""CaptionFamily: the ways to make one agree, and bad ones are refused by name."""

import json
import subprocess
import sys

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from theory import CaptionFamily, InputError, predict

families = st.lists(
    st.lists(st.integers(0, 6), min_size=1, max_size=5, unique=True), min_size=1, max_size=8
)


def test_the_contract():
    family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]], sizes={"bear": 2})
    assert family.concepts == ("bear", "pen", "chair")
    assert family.captions == (frozenset({"bear", "pen"}), frozenset({"bear", "chair"}))
    assert family.weights == (0.5, 0.5)
    assert family.sizes == (2, 1, 1)
    assert family.dimension == 4
    assert family.space.columns(["chair", "bear"]) == [0, 1, 3]
    assert family.matrix.tolist() == [[True, True, False], [True, False, True]]
    assert family.dimension_masks.tolist() == [[True] * 3 + [False], [True, True, False, True]]
    assert set(family.accompaniment().edges) == {("bear", "pen"), ("bear", "chair")}
    assert set(family.accompaniment().hasse().edges) == {
        (frozenset({"bear"}), frozenset({"pen"})),
        (frozenset({"bear"}), frozenset({"chair"})),
    }


def test_duplicates_are_merged_and_weights_added():
    family = CaptionFamily.from_captions([["a", "b"], ["c"], ["b", "a"]], weights=[1, 2, 3])
    assert family.captions == (frozenset("ab"), frozenset("c"))
    assert family.weights == pytest.approx((2 / 3, 1 / 3))


@settings(deadline=None, max_examples=60)
@given(families)
def test_all_ways_in_give_one_family(captions: list[list[int]]):
    family = CaptionFamily.from_captions(captions, concepts=range(7))
    masks = np.zeros((len(captions), 7), dtype=int)
    for row, caption in enumerate(captions):
        masks[row, caption] = 1
    assert CaptionFamily.from_matrix(masks) == family
    assert CaptionFamily.from_matrix(sparse.coo_array(masks)) == family
    assert CaptionFamily.from_matrix(masks.tolist()) == family
    p = dict(zip(family.captions, family.weights, strict=True))
    again = CaptionFamily.from_distribution(p, concepts=range(7))
    assert again.captions == family.captions
    assert again.weights == pytest.approx(family.weights)
    assert (family.sparse_matrix.toarray() == family.matrix).all()


@settings(deadline=None, max_examples=60)
@given(families)
def test_a_stream_promises_the_same(captions: list[list[int]]):
    family = CaptionFamily.from_captions(captions)
    streamed = CaptionFamily.from_stream(iter(captions))
    assert streamed.concepts == family.concepts
    assert len(streamed.captions) <= len(family.concepts)
    assert set(streamed.identified()) == set(family.identified())
    assert (predict(streamed).dependency == predict(family).dependency).all()


def test_a_matrix_is_left_as_it_was():
    matrix = sparse.csr_array(([1, 0, 1], ([0, 0, 1], [1, 0, 0])), shape=(2, 2))
    CaptionFamily.from_matrix(matrix)
    assert matrix.nnz == 3


@pytest.mark.parametrize(
    ("captions", "arguments", "named"),
    [
        ([], {}, "no caption"),
        ([["a"], []], {}, "caption 2 is empty"),
        (["ab"], {}, "caption 1 is the text 'ab'"),
        ("ab", {}, "captions is 'ab'"),
        ([["a"]], {"sizes": {"b": 1}}, "'b'"),
        ([["a"]], {"sizes": {"a": -1}}, "-1"),
        ([["a"]], {"concepts": ["b"]}, "caption 1 mentions the unknown concept 'a'"),
        ([["a"]], {"weights": [float("nan")]}, "the weight of caption 1 is nan"),
        ([["a"]], {"weights": [0]}, "the weight of caption 1 is 0"),
        ([["a"]], {"weights": [1, 1]}, "2 weights for 1 captions"),
    ],
)
def test_bad_captions_are_refused_by_name(captions: list, arguments: dict, named: str):
    with pytest.raises(InputError, match=named):
        CaptionFamily.from_captions(captions, **arguments)


@pytest.mark.parametrize(
    ("matrix", "named"),
    [
        (np.array([[1, 2]]), "the matrix holds 2"),
        (np.array([[1, np.nan]]), "the matrix holds nan"),
        (np.array([1, 0]), r"shape \(2,\)"),
        (np.array([[1, 0], [0, 0]]), "caption 2 is empty"),
        ([[1, 0], [1]], "shape"),
        (np.zeros((0, 3)), "no caption"),
        (sparse.coo_array(np.array([1, 0])), r"shape \(2,\)"),
    ],
)
def test_bad_matrices_are_refused_by_name(matrix: object, named: str):
    with pytest.raises(InputError, match=named):
        CaptionFamily.from_matrix(matrix)


def test_an_empty_stream_and_an_empty_caption_in_it_are_refused():
    with pytest.raises(InputError, match="no caption"):
        CaptionFamily.from_stream(iter([]))
    with pytest.raises(InputError, match="caption 2 is empty"):
        CaptionFamily.from_stream(iter([["a"], []]))


def test_a_concept_never_mentioned_has_no_closure():
    family = CaptionFamily.from_captions([["a"]], concepts=["a", "ghost"])
    assert family.dimension == 2
    with pytest.raises(InputError, match="no caption mentions 'ghost'"):
        family.closure("ghost")
    with pytest.raises(InputError, match="'nobody' is not a concept"):
        family.closure("nobody")


def test_sets_give_the_same_order_in_every_process():
    program = (
        "from theory import CaptionFamily as F;"
        "print(F.from_captions([{'bear','pen','chair','cup'},{'tree','pen'}]).concepts)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_wrong_types_are_refused_by_name():
    """In a process without the tests' own type checks, as users have it."""
    program = """
from theory import CaptionFamily, InputError
for captions, sizes, weights in [
    ([3], None, None), ([["a", ["b"]]], None, None), (7, None, None),
    ([["a"]], {"a": 1.5}, None), ([["a"]], {"a": float("nan")}, None), ([["a"]], {"a": "2"}, None),
    ([["a"]], None, ["x"]),
]:
    try:
        CaptionFamily.from_captions(captions, sizes=sizes, weights=weights)
    except InputError as error:
        print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    lines = told.stdout.decode().splitlines()
    named = ["caption 1 is 3", "caption 1", "captions is 7", "1.5", "nan", "'2'", "['x']"]
    for line, name in zip(lines, named, strict=True):
        assert name in line


def test_names_are_escaped_in_notebooks():
    family = CaptionFamily.from_captions([["<b>"]])
    assert "<b>" not in family._repr_html_().replace("<tr>", "")
    assert "&lt;b&gt;" in predict(family)._repr_html_()


PEN, CHAIR = ["bear", "pen"], ["bear", "chair"]


def test_a_family_is_made_directly_and_from_tables_and_graphs():
    family = CaptionFamily([PEN, CHAIR], sizes=[2, 1, 1])
    table = pd.DataFrame([[1, 1, 0], [1, 0, 1]], columns=["bear", "pen", "chair"])
    graph = nx.Graph()
    graph.add_nodes_from([1, 2], bipartite=0)
    graph.add_edges_from([(1, "bear"), (1, "pen"), (2, "bear"), (2, "chair")])
    for made in (
        CaptionFamily(table, sizes=[2, 1, 1]),
        CaptionFamily.from_matrix(table, sizes={"bear": 2}),
        CaptionFamily(graph, sizes={"bear": 2}),
        CaptionFamily.from_graph(graph, captions=[2, 1], sizes={"bear": 2}),
        CaptionFamily.from_dict(json.loads(json.dumps(family.to_dict()))),
        CaptionFamily.from_dict(predict(family).to_dict()),
        CaptionFamily(family),
    ):
        assert made == family
    with pytest.raises(InputError, match="an edge joins 1 with 'bear'"):
        CaptionFamily.from_graph(graph, captions=[2])
    with pytest.raises(InputError, match="0 nodes"):
        CaptionFamily(nx.Graph([("a", "b")]))
    with pytest.raises(InputError, match="has the keys"):
        CaptionFamily.from_dict({})


def test_a_family_is_a_set_of_captions():
    family = CaptionFamily([PEN, CHAIR], weights=[3, 1])
    assert len(family) == 2
    assert list(family) == [frozenset(PEN), frozenset(CHAIR)]
    assert ["pen", "bear"] in family
    assert ["pen"] not in family
    assert family == CaptionFamily([CHAIR, PEN], weights=[1, 3])
    assert hash(family) == hash(CaptionFamily([CHAIR, PEN]))
    assert family != CaptionFamily([CHAIR, PEN])
    assert family != CaptionFamily([PEN, CHAIR], weights=[3, 1], sizes={"pen": 2})
    assert family != [PEN, CHAIR]
    both = CaptionFamily([PEN]) | CaptionFamily([CHAIR], sizes={"chair": 2})
    assert both == CaptionFamily([PEN, CHAIR], sizes=[1, 1, 2])
    with pytest.raises(InputError, match="'pen' has 1 dimensions in one family and 2"):
        CaptionFamily([PEN]) | CaptionFamily([PEN], sizes={"pen": 2})
    assert family.same_ring(CaptionFamily([["bear"], CHAIR, PEN]))
    assert not family.same_ring(CaptionFamily([["pen"], CHAIR, PEN]))


def test_names_that_look_alike_stay_apart():
    family = CaptionFamily([[1, "1"], ["1"]])
    assert family.concepts == (1, "1")
    assert CaptionFamily.from_dict(json.loads(json.dumps(family.to_dict()))) == family
    with pytest.raises(InputError, match="two concepts are named 1 and True"):
        CaptionFamily([[1], [True]])
    with pytest.raises(InputError, match=r"two concepts are named 1 and 1\.0"):
        CaptionFamily([[1, 1.0]])
    assert CaptionFamily([[1], [np.int64(1)]]).concepts == (1,)


def test_the_latex_box_holds_the_numbers_of_the_family():
    text = CaptionFamily([["50%", "pen_2"], ["50%"]])._repr_latex_()
    assert r"\text{50\%}, \text{pen\_2}" in text
    assert r"\operatorname{cl}(\text{pen\_2}) = \{\text{50\%}, \text{pen\_2}\}" in text
    assert "d = 2" in text

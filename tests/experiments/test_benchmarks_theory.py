"""The benchmark's answers agree with their references, and its corpus is what it says."""

from experiments.benchmarks.theory import corpus, one_prediction, oracle
from theory import Ring


def test_answers_agree_with_their_references():
    assert "True" in one_prediction().note
    assert "True" in oracle().note


def test_the_corpus_ties_even_concepts_to_odd_ones():
    captions = list(corpus(3000, 40))
    assert len(captions) == 3000
    ring = Ring.from_captions(captions)
    assert ring.closure(30) == {29, 30}
    assert ring.closure(29) == {29}
    assert ring.closure(10) == {10}

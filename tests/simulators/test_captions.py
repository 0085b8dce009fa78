import itertools

import pytest
import torch
from scipy import stats

from simulators.captions import (
    Bernoulli,
    Contradicting,
    Hallucinating,
    Omitting,
    Prefixes,
    SubsetsOfSize,
    Together,
    ValueDependent,
    Weighted,
    Windows,
    full_caption,
    rare,
)
from simulators.randomness import Stream, uniforms
from theory.captions import CaptionFamily
from theory.errors import InputError

FAMILY = CaptionFamily.from_captions(
    [["a", "b"], ["b", "c"], ["c", "d"], ["a", "d"]], sizes={"b": 2}, weights=[1, 2, 3, 4]
)
PROCESSES = {
    "weighted": lambda: Weighted(FAMILY),
    "bernoulli": lambda: Bernoulli(list("abcd"), probability=0.3, sizes={"a": 2}),
    "uneven bernoulli": lambda: Bernoulli(list("abc"), probability=[0.1, 0.5, 0.9]),
    "subsets": lambda: SubsetsOfSize(list("abcde"), 3),
    "prefixes": lambda: Prefixes([["a"], ["b", "c"], ["d"], ["a"]]),
    "windows": lambda: Windows([["a"], ["b"], ["c"], ["d"]], width=2),
    "circle": lambda: Windows([["a"], ["b"], ["c"], ["d"]], width=2, circular=True),
    "full": lambda: full_caption(list("abc"), sizes={"c": 3}),
    "rare": lambda: rare(FAMILY, [["a", "b"], ["c", "d"]], weight=0.02),
    "together": lambda: Together(Bernoulli(list("abcd")), [["a", "b"]]),
    "omitting": lambda: Omitting(Weighted(FAMILY), rate=0.3),
    "omitting nothing": lambda: Omitting(Weighted(FAMILY), rate=0.0),
    "hallucinating": lambda: Hallucinating(Weighted(FAMILY), rate=0.2),
    "contradicting": lambda: Contradicting(Weighted(FAMILY), rate=0.2),
    "all at once": lambda: Contradicting(
        Hallucinating(Omitting(Weighted(FAMILY), rate=0.3), rate=0.2), rate=0.1
    ),
    "value dependent": lambda: ValueDependent(FAMILY, degree=0.7),
    "value independent": lambda: ValueDependent(FAMILY, degree=0.0),
    "chosen by value": lambda: ValueDependent(FAMILY, degree=1.0),
}
N = 40_000


def draw(process, n=N, seed=0):
    u = uniforms(n, process.uniforms, seed=seed, stream=Stream.CAPTION)
    rank = uniforms(n, 1, seed=seed, stream=Stream.LATENTS)[:, 0]
    return process.from_uniforms(u, lambda: rank), rank


@pytest.mark.parametrize("name", PROCESSES)
def test_samples_follow_the_declared_law(name):
    """Chi-square at level 1e-4 with a fixed seed."""
    process = PROCESSES[name]()
    mentions, _ = draw(process)
    counts = torch.bincount(mentions.caption, minlength=len(process.family.captions))
    assert len(counts) == len(process.family.captions)
    assert sum(process.family.weights) == pytest.approx(1)
    if len(counts) > 1:
        expected = [N * weight for weight in process.family.weights]
        assert stats.chisquare(counts.numpy(), expected).pvalue > 1e-4
    masks = process.masks(mentions)
    assert not (mentions.false & ~masks).any()


def test_the_families_are_the_ones_named():
    captions = {name: set(make().family.captions) for name, make in PROCESSES.items()}
    subsets = lambda size: {frozenset(c) for c in itertools.combinations("abcde", size)}  # noqa: E731
    assert captions["subsets"] == subsets(3)
    assert len(captions["bernoulli"]) == 15
    assert captions["prefixes"] == {frozenset("a"), frozenset("abc"), frozenset("abcd")}
    assert captions["windows"] == {frozenset("ab"), frozenset("bc"), frozenset("cd")}
    assert captions["circle"] == {*captions["windows"], frozenset("da")}
    assert captions["full"] == {frozenset("abc")}
    assert captions["rare"] == set(FAMILY.captions) == captions["contradicting"]
    assert all(("a" in block) == ("b" in block) for block in captions["together"])
    assert captions["omitting nothing"] == set(FAMILY.captions)
    assert captions["omitting"] == set(FAMILY.captions) | {frozenset(k) for k in "abcd"}
    assert captions["hallucinating"] >= {frozenset("abcd"), frozenset("abc")}


def test_repeated_sentences_add_their_weights():
    family = PROCESSES["prefixes"]().family
    law = dict(zip(family.captions, family.weights, strict=True))
    assert law[frozenset("abcd")] == pytest.approx(0.5)


def test_rare_captions_have_the_weight_asked_for():
    family = PROCESSES["rare"]().family
    law = dict(zip(family.captions, family.weights, strict=True))
    assert law[frozenset("ab")] + law[frozenset("cd")] == pytest.approx(0.02)
    assert law[frozenset("cd")] / law[frozenset("ab")] == pytest.approx(3)
    assert family.sizes == FAMILY.sizes
    assert family.concepts == FAMILY.concepts


def test_falsehoods_come_at_the_declared_rate():
    contradicting = PROCESSES["contradicting"]()
    mentions, _ = draw(contradicting)
    masks = contradicting.masks(mentions)
    share = (mentions.false.sum() / masks.sum()).item()
    assert share == pytest.approx(0.2, abs=0.01)
    hallucinating = PROCESSES["hallucinating"]()
    mentions, _ = draw(hallucinating)
    truthful = hallucinating.masks(mentions) & ~mentions.false
    known = {tuple(row) for row in FAMILY.matrix.tolist()}
    assert {tuple(row) for row in truthful.tolist()} == known
    assert mentions.false.double().sum(1).mean().item() == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("degree", [0.0, 0.5, 1.0])
def test_values_choose_the_caption_on_exactly_the_declared_region(degree):
    process = ValueDependent(FAMILY, degree=degree)
    mentions, rank = draw(process)
    first = mentions.caption < 2
    assert first[rank < degree / 2].all()
    assert not first[(rank >= degree / 2) & (rank < degree)].any()
    free = first[rank >= degree]
    assert degree == 1 or 0 < free.double().mean() < 1


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Bernoulli(list("ab"), probability=1.0), "probability"),
        (lambda: Bernoulli(range(17)), "17"),
        (lambda: SubsetsOfSize(list("abc"), 0), "size=0"),
        (lambda: Windows([["a"]], width=2), "width=2"),
        (lambda: rare(FAMILY, [["a"]], weight=0.1), "family"),
        (lambda: rare(FAMILY, FAMILY.captions, weight=0.1), "not all"),
        (lambda: Omitting(Weighted(FAMILY), rate=1.0), "rate"),
        (lambda: ValueDependent(FAMILY, degree=2.0), "degree"),
        (lambda: ValueDependent(CaptionFamily.from_captions([["a"]]), degree=1.0), "one caption"),
    ],
)
def test_bad_processes_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()

import pytest

from smartclip.audit.captioned import Captioned
from smartclip.audit.mentions import find_mentions
from smartclip.audit.samplers import inside, sampled
from smartclip.audit.vocabulary import Vocabulary
from smartclip.audit.words import read_words
from smartclip.data.sentences import Policy, family
from theory import predict

POLICIES: dict[str, Policy] = {
    "whole caption": "all",
    "prefix": "prefix",
    "windows": "window",
    "subsets": "subset",
}


def table(*texts: str, names: str):
    vocabulary = Vocabulary.of({name: [name] for name in names.split()})
    words = read_words(Captioned(None, text, ()) for text in texts)
    return {one.name: one for one in sampled(find_mentions(words, vocabulary))}


@pytest.mark.parametrize("count", [2, 3, 6, 9])
def test_a_chain_of_sentences_is_what_the_theory_says(count: int) -> None:
    """One concept a sentence: of 6, prefixes identify 1 alone, windows 4, subsets 6."""
    names = [f"w{letter}" for letter in "abcdefghi"[:count]]
    found = table(". ".join(names) + ".", names=" ".join(names))
    for name, policy in POLICIES.items():
        promised = predict(family(count, policy))
        assert found[name].alone == len(promised.alone)
        # Every pair is of the one caption, so that the share within it says the same.
        tied = sum(len(promised.family.closure(k)) - 1 for k in promised.family.concepts)
        assert found[name].tied == tied
        assert found[name].within == pytest.approx(1 - tied / (count * (count - 1)))


def test_drop_first_by_hand() -> None:
    # Texts: dog + cat + fox, and cat + fox; cat. So dog never without cat and fox, fox never
    # without cat, and cat apart from both.
    found = table("A dog. A cat and a fox.", "cat", names="dog cat fox")["drop first"]
    assert (found.alone, found.tied, found.texts) == (1, 3, 3)
    # Of the six pairs of the first caption only cat and fox without dog are seen apart.
    assert found.within == pytest.approx(2 / 6)


def test_samplers_agree_on_single_sentences() -> None:
    found = table("a dog and a cat", "a dog", names="dog cat")
    assert {(one.alone, one.tied, one.within) for one in found.values()} == {(1, 1, 0.0)}


def test_often_is_the_share_of_texts_that_are_without_the_closest_companion() -> None:
    texts = ["dog cat"] * 19 + ["dog"]
    assert (table(*texts, names="dog cat")["whole caption"].alone) == 1
    assert table(*texts, names="dog cat")["whole caption"].often == 0
    assert table(*texts, "dog", "dog", names="dog cat")["whole caption"].often == 1


def test_sets_within_one_another() -> None:
    masks = [0b001, 0b011, 0b011, 0b100]
    expected = sum(a & b == a for i, a in enumerate(masks) for j, b in enumerate(masks) if i != j)
    assert inside(masks) == expected == 4


def test_prefixes_of_long_texts_are_counted_as_those_of_short_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "A dog. A cat. A dog and a fox. Nothing. A fox, a cat. An owl."
    short = table(text, "A cat. A dog", names="dog cat fox owl")["prefix"]
    monkeypatch.setattr("smartclip.audit.samplers._LONG", 3)
    long = table(text, "A cat. A dog", names="dog cat fox owl")["prefix"]
    assert (long.alone, long.often, long.tied) == (short.alone, short.often, short.tied)
    assert long.texts == short.texts == 8

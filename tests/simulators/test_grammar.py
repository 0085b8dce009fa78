import re

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import grammar
from simulators.reading import read_scene

MENTIONS = [
    (side, attribute, value)
    for attribute, values in grammar.WORDS.items()
    for side in ([""] if attribute in ("background", "light") else grammar.SIDES)
    for value in range(len(values))
]
DISTINCT = st.lists(st.sampled_from(MENTIONS), min_size=1, max_size=14, unique_by=lambda m: m[:2])
RANKS = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30)
FORMS = st.integers(0, 3)


def concept(mention):
    return " ".join(filter(None, mention[:2]))


@settings(deadline=None, max_examples=300)
@given(DISTINCT, FORMS, RANKS)
def test_any_set_of_mentions_is_read_back(mentions, form, ranks):
    text = grammar.caption(mentions, form, grammar.Choices(ranks))
    expected = {concept(m): divmod(m[2], 2) if m[1] == "position" else (m[2],) for m in mentions}
    assert read_scene(text) == expected


@settings(deadline=None, max_examples=100)
@given(DISTINCT, FORMS, RANKS)
def test_captions_are_tidy_english(mentions, form, ranks):
    text = grammar.caption(mentions, form, grammar.Choices(ranks))
    assert not re.search(r"  | [,.;]|\ba [aeiou]", text)
    assert form == grammar.PHRASE or (text[0].isupper() and text.endswith("."))


def test_a_paragraph_is_longer_than_clip_can_read_and_a_phrase_is_short():
    said = MENTIONS[:1]
    choices = grammar.Choices([0.0])
    assert len(grammar.caption(said, grammar.PARAGRAPH, choices).split()) > 77
    assert len(grammar.caption(said, grammar.PHRASE, choices).split()) < 4


def test_fillers_say_nothing():
    assert read_scene(". ".join(grammar.FILLERS)) == {}


def test_every_synonym_is_used():
    for attribute, values in grammar.WORDS.items():
        for value, words in enumerate(values):
            side = "" if attribute in ("background", "light") else "left"
            mention = [(side, attribute, value)]
            said = [
                grammar.caption(mention, grammar.PHRASE, grammar.Choices([i / len(words) + 1e-6]))
                for i in range(len(words))
            ]
            assert all(word in text for word, text in zip(words, said, strict=True))

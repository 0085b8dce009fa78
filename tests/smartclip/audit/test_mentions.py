import numpy as np
import pytest
from scipy import sparse

from smartclip.audit.captioned import Captioned
from smartclip.audit.mentions import Mentions, find_mentions, together
from smartclip.audit.vocabulary import Vocabulary
from smartclip.audit.words import read_words
from theory.errors import InputError

NAMES = Vocabulary.of({name: [name] for name in ("dog", "cat", "shirt", "park", "polar bear")})


def mentions_of(*texts: str) -> Mentions:
    return find_mentions(read_words(Captioned(None, text, ()) for text in texts), NAMES)


def said(rows: sparse.csr_array, concepts: tuple[str, ...]) -> list[set[str]]:
    return [{concepts[k] for k in np.flatnonzero(row)} for row in rows.toarray()]


def test_captions_and_sentences_are_rows() -> None:
    found = mentions_of("A dog. It meets cats! ", "nothing", "Polar bears in a park, a dog")
    assert said(found.captions, found.concepts) == [
        {"dog", "cat"},
        set(),
        {"polar bear", "park", "dog"},
    ]
    assert said(found.sentences, found.concepts) == [
        {"dog"},
        {"cat"},
        set(),
        {"polar bear", "park", "dog"},
    ]
    assert found.caption_of.tolist() == [0, 0, 1, 2]
    assert not found.one_sentence


@pytest.mark.parametrize(
    ("text", "asserted", "denied", "hedged"),
    [
        ("a park without a dog", {"park"}, {"dog"}, set()),
        ("no dog or cat in the park", {"park"}, {"dog", "cat"}, set()),
        ("a man with no shirt, a dog", {"dog"}, {"shirt"}, set()),
        ("without a shirt in the park", {"park"}, {"shirt"}, set()),
        ("no. dog", {"dog"}, set(), set()),
        ("a dog, not really far from the park", {"dog", "park"}, set(), set()),
        ("possibly a polar bear", set(), set(), {"polar bear"}),
        ("perhaps no dog", set(), {"dog"}, set()),
        ("no dog here, but a dog there", {"dog"}, set(), set()),
        ("it isn't a dog", set(), {"dog"}, set()),
        ("neither dog nor cat", set(), {"dog", "cat"}, set()),
    ],
)
def test_what_is_denied_or_hedged_is_not_asserted(
    text: str, asserted: set[str], denied: set[str], hedged: set[str]
) -> None:
    found = mentions_of(text)
    assert said(found.captions, found.concepts) == [asserted]
    assert {name for k, name in enumerate(found.concepts) if found.denied[k]} == denied
    assert {name for k, name in enumerate(found.concepts) if found.hedged[k]} == hedged


def test_pairs_are_counted_as_the_definition_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    dense = rng.random((300, 17)) < 0.3
    rows = sparse.csr_array(dense.astype(np.int8))
    expected = dense.T.astype(int) @ dense
    assert (together(rows) == expected).all()
    monkeypatch.setattr("smartclip.audit.mentions._MOST_PAIRS", 50)  # in many small parts
    assert (together(rows) == expected).all()
    assert (together(rows, together(rows)) == 2 * expected).all()


def test_a_table_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smartclip.audit.mentions.MOST", 3)
    with pytest.raises(InputError, match="5 concepts; pairs are counted of at most 3"):
        mentions_of("a dog")

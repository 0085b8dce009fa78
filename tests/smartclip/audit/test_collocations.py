import pytest

from smartclip.audit.captioned import Captioned
from smartclip.audit.collocations import STOP_WORDS, found_vocabulary
from smartclip.audit.words import Words, read_words
from theory.errors import InputError


def words_of(texts: list[str], *, listed: bool = False) -> Words:
    return read_words(
        (Captioned(None, text, tuple(text.split(";")) if listed else ()) for text in texts),
        listed=listed,
    )


def test_words_that_belong_together_become_a_name() -> None:
    texts = ["A red fire hydrant.", "The fire hydrant, a dog", "a red dog", "fire hydrants"] * 5
    found = found_vocabulary(words_of(texts), least=5, most=100)
    assert set(found.concepts) == {"fire hydrant", "red", "dog"}
    assert found.said[("fire", "hydrant")] == found.concepts.index("fire hydrant")
    assert found.concepts[0] == "fire hydrant"  # 15 captions, the others 10


def test_names_of_three_words_are_found_in_a_second_round() -> None:
    texts = ["double decker bus", "a truck", "some bus", "one truck"] * 5 + ["dog"] * 30
    found = found_vocabulary(words_of(texts), least=5, most=100)
    assert "double decker bus" in found.concepts


def test_no_name_runs_over_a_mark_or_a_stop_word() -> None:
    texts = ["zorp, quib", "zorp and quib", "quib. Zorp"] * 10 + ["dog"] * 30
    found = found_vocabulary(words_of(texts), least=5, most=100)
    assert set(found.concepts) == {"zorp", "quib", "dog"}


def test_numbers_are_no_part_of_a_name() -> None:
    found = found_vocabulary(words_of(["two zebras", "2 zebras"] * 20), least=5, most=10)
    assert set(found.concepts) == {"two", "zebra"}


def test_rare_words_and_words_beyond_the_most_said_are_left_out() -> None:
    texts = ["dog"] * 9 + ["cat"] * 6 + ["fox"] * 4
    assert found_vocabulary(words_of(texts), least=5, most=10).concepts == ("dog", "cat")
    assert found_vocabulary(words_of(texts), least=1, most=1).concepts == ("dog",)


def test_a_word_said_often_in_one_caption_is_in_one_caption() -> None:
    with pytest.raises(InputError, match="no word is in 5 of 1 captions"):
        found_vocabulary(words_of(["dog, " * 50]), least=5, most=10)


def test_tags_are_taken_as_they_are() -> None:
    found = found_vocabulary(words_of(["Dogs;the", "Dogs"], listed=True), least=1, most=10)
    assert found.concepts == ("Dogs", "the")
    assert not found.folded


def test_places_are_no_stop_words() -> None:
    assert not {"back", "front", "two", "above", "fire"} & STOP_WORDS
    assert {"the", "with", "is", "of"} <= STOP_WORDS

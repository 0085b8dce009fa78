import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smartclip.audit.captioned import Captioned
from smartclip.audit.words import MARKS, distinct, read_words, split_words
from smartclip.data.sentences import sentences


def words_of(*texts: str):
    return read_words(Captioned(None, text, ()) for text in texts)


def test_captions_come_back_as_their_words() -> None:
    words = words_of("A bear.\nIt sits", "Ein Bär 🐻, 熊猫")
    assert len(words) == 2
    said = [
        [words.words[index] for index in words.ids[start:stop]]
        for start, stop in zip(words.starts[:-1], words.starts[1:], strict=True)
    ]
    assert said == [
        ["a", "bear", ".", "it", "sits", "\n"],
        ["ein", "bär", "🐻", ",", "熊", "猫", "\n"],
    ]
    assert words.words[: len(MARKS)] == list(MARKS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["a bear", "it is 2.5 m", "why", "Dr"]), min_size=1, max_size=5))
def test_sentences_end_where_the_sampler_cuts(parts: list[str]) -> None:
    text = ". ".join(parts) + "!"
    marks = sum(word in (".", "!", "?") for word in split_words(text))
    assert marks == len(sentences(text))


def test_a_picture_of_several_captions_has_one_number_and_one_rank() -> None:
    words = read_words(
        [
            Captioned("1.jpg", "a bear", ()),
            Captioned("2.jpg", "a pen", ()),
            Captioned("1.jpg", "x", ()),
        ]
    )
    assert words.picture.tolist() == [0, 1, 0]
    assert words.rank[0] == words.rank[2] != words.rank[1]
    assert words.names([1, 0]) == ["1.jpg", "2.jpg"]
    assert words_of("a bear", "a pen").names([1]) == ["caption 2"]


def test_ranks_depend_on_the_caption_and_not_on_the_order() -> None:
    texts = [f"bear {number}" for number in range(500)]
    there, back = words_of(*texts), words_of(*reversed(texts))
    assert there.rank.tolist() == back.rank.tolist()[::-1]
    # Spread evenly: about half are below one half.
    assert 200 < int((there.rank < 2**31).sum()) < 300


def test_repeated_captions_are_counted_once() -> None:
    assert words_of("a bear", "a bear", "a pen").distinct == 2
    numbers = np.array([3, 1, 3, 2, 1])
    assert distinct(numbers).tolist() == [1, 2, 3]


def test_a_corpus_of_nothing_has_no_captions() -> None:
    words = read_words([])
    assert len(words) == 0
    assert list(words.chunks()) == []


def test_tags_are_words_as_they_are() -> None:
    words = read_words([Captioned(None, "x", ("Polar bears", "pen"))], listed=True)
    assert words.words[len(MARKS) :] == ["Polar bears", "pen"]

from pathlib import Path

import numpy as np
import pytest

from smartclip.audit.vocabulary import Matcher, Vocabulary, fold, read_vocabulary
from theory.errors import InputError


def test_plurals_fold_and_things_of_their_own_do_not() -> None:
    pairs = {
        "men": "man", "women": "woman", "skies": "sky", "leaves": "leaf", "buses": "bus",
        "bus's": "bus", "glasses": "glasses", "left": "left", "standing": "standing",
        "stands": "stand", "grass": "grass", "tennis": "tennis", "bus": "bus", "熊": "熊",
    }  # fmt: skip
    assert {word: fold(word) for word in pairs} == pairs


def test_a_file_names_concepts_with_synonyms(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# animals\ndog: hound, puppies\n\nfire hydrant # a thing\n")
    found = read_vocabulary(path)
    assert found.concepts == ("dog", "fire hydrant")
    assert found.said == {("dog",): 0, ("hound",): 0, ("puppy",): 0, ("fire", "hydrant"): 1}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "names no concept"),
        (b"# nothing\n", "names no concept"),
        (b"dog\ndog: hound\n", "line 2 is 'dog: hound'"),
        (b"dog: hound\ncat: hounds\n", "'hounds' names 'cat' and 'dog'"),
        (b": hound\n", "line 1 is ': hound'"),
        (b"!!\n", "has at least one word"),
        (b"dog\n\xff\n", "line 2 holds characters that are not UTF-8"),
    ],
)
def test_a_wrong_file_is_one_error(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=told.replace("(", r"\(")):
        read_vocabulary(path)


def test_an_absent_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could not be read"):
        read_vocabulary(tmp_path / "absent.txt")


def found(said: dict[tuple[int, ...], int], ids: list[int]) -> list[tuple[int, int, int]]:
    places = Matcher.of(said, 10).find(np.array(ids, dtype=np.int32))
    return [(int(a), int(b), int(c)) for a, b, c in zip(*places, strict=True)]


def test_the_longest_name_wins_and_its_words_count_for_no_other() -> None:
    said = {(1,): 0, (2,): 1, (1, 2): 2, (1, 2, 3, 4): 3, (3,): 4}
    assert found(said, [1, 2, 5, 2]) == [(0, 2, 2), (3, 1, 1)]
    assert found(said, [1, 2, 3, 4, 1]) == [(0, 3, 4), (4, 0, 1)]
    # The long name breaks off: what it began with is still a name.
    assert found(said, [1, 2, 3, 5]) == [(0, 2, 2), (2, 4, 1)]
    assert found(said, [1, 1, 2]) == [(0, 0, 1), (1, 2, 2)]


def test_a_name_at_the_very_end_and_no_name_at_all() -> None:
    said = {(7, 8): 0}
    assert found(said, [8, 7]) == []
    assert found(said, [1, 7, 8]) == [(1, 0, 2)]
    assert found({}, [1, 2]) == []
    assert found(said, []) == []


def test_names_agree_with_a_search_word_by_word() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        names = {tuple(rng.integers(0, 4, rng.integers(1, 4)).tolist()) for _ in range(6)}
        said = {name: number for number, name in enumerate(sorted(names))}
        ids = rng.integers(0, 4, 30).tolist()
        expected, at = [], 0
        while at < len(ids):
            fits = [n for n in said if tuple(ids[at : at + len(n)]) == n]
            if fits:
                longest = max(fits, key=len)
                expected.append((at, said[longest], len(longest)))
                at += len(longest)
            else:
                at += 1
        assert found(said, ids) == expected


def test_two_concepts_cannot_share_a_name() -> None:
    with pytest.raises(InputError, match="a name is of one concept"):
        Vocabulary.of({"dog": ["hound"], "fox": ["hounds"]})

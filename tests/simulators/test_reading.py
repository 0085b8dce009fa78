import pytest

from simulators.reading import Unreadable, read_scene


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Right: half-moon, spotted", {"right shape": (5,), "right texture": (2,)}),
        ("The thing on the left is an arrow.", {"left shape": (4,)}),
        ("Everything is lit from an eastern lamp.", {"light": (2,)}),
        ("On a slate-grey background.", {"background": (1,)}),
        ("A storeroom of boxes and redder things.", {}),
    ],
)
def test_words_are_understood(text, expected):
    assert read_scene(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a red star",
        "left: near the top",
        "left: red; right: star; left: blue",
        "left: near the top and high up and close to the edge",
    ],
)
def test_what_makes_no_sense_is_refused(text):
    with pytest.raises(Unreadable):
        read_scene(text)

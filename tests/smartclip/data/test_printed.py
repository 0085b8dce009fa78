import pytest

from smartclip.data.printed import shown


@pytest.mark.parametrize(
    "told", ["\x1b[31m", "\ud800", "a\nb", "\u202ea", "\u2028", "\0", "\x9b31m", "a\rb"]
)
def test_nothing_that_commands_a_terminal_is_left(told: str) -> None:
    found = shown(told)
    assert found.isprintable()
    found.encode()
    assert "\\" in found


def test_what_is_long_loses_its_middle_and_words_stay() -> None:
    assert len(shown("x" * 10_000)) <= 120
    assert shown("Ein B\xe4r \U0001f43b [b]") == "Ein B\xe4r \U0001f43b [b]"


def test_no_address_is_told() -> None:
    told = "cannot identify image file <_io.BytesIO object at 0x7fda5a50a9170>"
    assert shown(told) == "cannot identify image file an open file"

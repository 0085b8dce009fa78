"""Text is read as it is written, and each file and line is named as an editor counts."""

from pathlib import Path

import pytest

from smartclip.data import written as module
from smartclip.data.examples import ImageText
from smartclip.data.readers.csv import read_csv
from smartclip.data.readers.jsonl import read_jsonl
from smartclip.data.written import normal
from theory.errors import InputError


def table(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def as_dict(data: ImageText) -> dict[str, tuple[str, ...]]:
    return {example.name: example.captions for example in data}


def test_words_typed_in_two_ways_are_one() -> None:
    assert normal("cafe\u0301") == normal("caf\xe9") == "caf\xe9"
    assert normal("\ufeff a bear \r\n") == "a bear"
    for wrong in (None, 3, True, [], b"x", "\ud800"):
        with pytest.raises(ValueError, match=r"where a text belongs|not UTF-8"):
            normal(wrong)


def test_an_unquoted_caption_keeps_its_commas(tmp_path: Path) -> None:
    rows = 'image,caption\n1.jpg,a dog, running on the beach\n2.jpg,a "big" dog, a cat\n'
    assert as_dict(read_csv(table(tmp_path / "a.csv", rows))) == {
        "1.jpg": ("a dog, running on the beach",),
        "2.jpg": ('a "big" dog, a cat',),
    }
    data = read_csv(table(tmp_path / "b.csv", "caption,image\na dog, running,1.jpg\n"))
    assert [(each.name, each.detail) for each in data.problems] == [
        ("b.csv line 2", "3 fields, and the table has 2 columns")
    ]


def test_a_quote_in_a_tsv_swallows_no_row(tmp_path: Path) -> None:
    rows = 'image\tcaption\n1.jpg\t"Stop" says a sign\n2.jpg\t"hello\n3.jpg\tbye"\n'
    assert as_dict(read_csv(table(tmp_path / "a.tsv", rows))) == {
        "1.jpg": ('"Stop" says a sign',),
        "2.jpg": ('"hello',),
        "3.jpg": ('bye"',),
    }
    quoted = 'image\tcaption\n1.jpg\t"he said ""no"""\n'
    assert as_dict(read_csv(table(tmp_path / "b.tsv", quoted))) == {"1.jpg": ('he said "no"',)}


def test_a_quote_that_is_never_closed_costs_no_other_row(tmp_path: Path) -> None:
    rows = 'image,caption\n1.jpg,"never closed\n2.jpg,A bear.\n3.jpg,"One, two."\n'
    assert as_dict(read_csv(table(tmp_path / "a.csv", rows))) == {
        "1.jpg": ('"never closed',),
        "2.jpg": ("A bear.",),
        "3.jpg": ("One, two.",),
    }


@pytest.mark.parametrize("delimiter", [";", "|", "\t", ","])
def test_the_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    rows = f"Image{delimiter} Caption\n1.jpg{delimiter}bear\n"
    assert as_dict(read_csv(table(tmp_path / "a.csv", rows))) == {"1.jpg": ("bear",)}


def test_a_table_without_a_header_loses_no_row(tmp_path: Path) -> None:
    data = read_csv(table(tmp_path / "a.csv", "1.jpg,a dog, running\n2.png,a cat\n"))
    assert as_dict(data) == {"1.jpg": ("a dog, running",), "2.png": ("a cat",)}


def test_spreadsheets_in_utf_16(tmp_path: Path) -> None:
    content = "image\tcaption\r\n1.jpg\tEin B\xe4r\r\n".encode("utf-16")
    assert as_dict(read_csv(table(tmp_path / "a.tsv", content))) == {"1.jpg": ("Ein B\xe4r",)}


def test_one_line_in_another_encoding_costs_no_other(tmp_path: Path) -> None:
    content = b"image,caption\n1.jpg,caf\xe9\n2.jpg,caf\xc3\xa9\n"
    data = read_csv(table(tmp_path / "a.csv", content))
    assert as_dict(data) == {"2.jpg": ("caf\xe9",)}
    assert [(each.name, each.detail) for each in data.problems] == [
        ("a.csv line 2", "characters that are not UTF-8")
    ]
    assert (data.problems[0].pictures, data.problems[0].captions) == (1, 1)


def test_lines_are_counted_from_1_with_those_that_are_blank(tmp_path: Path) -> None:
    data = read_jsonl(table(tmp_path / "a.jsonl", '\n{"image": "1.jpg", "text": "A."}\n\n{no\n'))
    assert [each.name for each in data.problems] == ["a.jsonl line 4"]
    rows = 'image,caption\n1.jpg,"Two\nlines."\n\nalone\n'
    data = read_csv(table(tmp_path / "a.csv", rows))
    assert [each.name for each in data.problems] == ["a.csv line 5"]
    assert as_dict(data) == {"1.jpg": ("Two\nlines.",)}


def test_absurd_lines_names_and_nesting_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    monkeypatch.setattr("smartclip.data.tables.LONGEST_LINE", 1000)
    long = '{"image": "1.jpg", "caption": "' + "x" * 5000 + '"}'
    content = f'{long}\n{{"image": "2.jpg", "caption": "A."}}\n{"[" * 900}\n'
    data = read_jsonl(table(tmp_path / "a.jsonl", content))
    assert as_dict(data) == {"2.jpg": ("A.",)}
    assert [each.name for each in data.problems] == ["a.jsonl line 1", "a.jsonl line 3"]
    assert "more than 1,000 characters" in data.problems[0].detail


def test_a_name_of_megabytes_is_shown_in_a_line(tmp_path: Path) -> None:
    data = read_csv(table(tmp_path / "a.csv", "image,caption\n" + "a" * 5_000_000 + ".jpg,A.\n"))
    assert len(data.problems[0].detail) < 300
    assert data.problems[0].fault == "wrong record"


def test_what_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        list(module.lines(tmp_path / "gone"))
    with pytest.raises(InputError, match="directory"):
        list(module.lines(tmp_path))

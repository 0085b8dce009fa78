from pathlib import Path

import pytest

from smartclip.data.examples import Example
from smartclip.data.pictures import Blob
from smartclip.data.records import Gathering, Records

EXAMPLES = [
    Example(name="a", captions=("One.", "Zwei ü."), image=Blob(path=Path("x/a.jpg"))),
    Example(
        name="b",
        captions=("Three.",),
        image=Blob(path=Path("s.tar"), offset=512, size=9, digest=b"0" * 16),
    ),
    Example(name="c", captions=("Four.",), image=Blob(path=Path("s.tar"), offset=1 << 40, size=0)),
]


def test_examples_come_back_as_they_were() -> None:
    records = Records.of(EXAMPLES)
    assert len(records) == 3
    assert list(records) == EXAMPLES
    assert [records[row] for row in (-1, 0, 1)] == [EXAMPLES[row] for row in (-1, 0, 1)]
    assert list(records[1:]) == EXAMPLES[1:]
    assert list(records.take([2, 0])) == [EXAMPLES[2], EXAMPLES[0]]
    assert list(records.captions()) == ["One.", "Zwei ü.", "Three.", "Four."]
    assert list(records[1:].captions()) == ["Three.", "Four."]
    with pytest.raises(IndexError):
        records[3]


def test_records_are_equal_by_value() -> None:
    assert Records.of(EXAMPLES) == Records.of(EXAMPLES)
    assert Records.of(EXAMPLES) != Records.of(EXAMPLES[:2])
    assert list(Records.of([])) == []


def test_captions_in_any_order_are_gathered_by_picture() -> None:
    gathering = Gathering()
    for name, caption in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("a", "5"), ("b", "6")]:
        gathering.add(name, caption)
    records = gathering.records(lambda name: Path("root") / name)
    assert {example.name: example.captions for example in records} == {
        "b": ("1", "3", "6"),
        "a": ("2", "5"),
        "c": ("4",),
    }
    assert [example.image for example in records] == [
        Blob(path=Path("root") / name) for name in "bac"
    ]
    assert len(Gathering().records(Path)) == 0


def test_many_are_gathered_in_pieces() -> None:
    count = 17_000
    gathering = Gathering()
    for number in range(count):
        gathering.add(f"{number}.jpg", f"Number {number}.")
    records = gathering.records(Path)
    assert len(records) == count
    assert records[16_500].captions == ("Number 16500.",)
    assert records == Records.of(records)

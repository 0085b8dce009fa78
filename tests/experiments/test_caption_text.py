"""Captions as people type and store them."""

import json
from pathlib import Path

import pytest

from experiments.caption_text import clean, parse_captions, parse_sizes, read_family, sized
from experiments.commands.predict import Predict
from theory import CaptionFamily, InputError

FAMILY = CaptionFamily([["bear", "pen"], ["bear", "chair"]])


def test_text_becomes_names():
    assert parse_captions(" a, b ;c;") == [["a", "b"], ["c"]]
    assert parse_captions('"salt, pepper",bear;"a ""b"" = c"') == [
        ["salt, pepper", "bear"],
        ['a "b" = c'],
    ]
    assert parse_sizes('a=2, "b=c"=3') == {"a": 2, "b=c": 3}
    assert parse_captions("\ufeffcafe\u0301;caf\u00e9") == [["caf\u00e9"], ["caf\u00e9"]]
    assert clean(" a\ufeff") == "a"


@pytest.mark.parametrize(
    ("text", "named"), [("bear=2,bear=3", "'bear' twice"), ("a", "'a'"), ('"a=2', "opens a quote")]
)
def test_bad_sizes_are_refused(text: str, named: str):
    with pytest.raises(InputError, match=named):
        parse_sizes(text)


@pytest.mark.parametrize(
    "text",
    [
        "bear,pen\nbear,chair\n",
        "bear;pen\r\nbear;chair\r\n",
        "bear\tpen\nbear\tchair",
        "\ufeffconcept 1;concept 2\nbear;pen\nbear;chair\n",
        "bear,pen,chair\n1,1,0\n1,0,1\n",
        ",bear,pen,chair\nfirst,True,True,False\nsecond,True,False,True\n",
        '"bear",  "pen"\n"bear","chair"\n',
    ],
)
def test_a_table_of_any_make_is_read(tmp_path: Path, text: str):
    path = tmp_path / "captions.csv"
    path.write_text(text, encoding="utf-8")
    assert read_family(path) == FAMILY


def test_whole_numbers_can_be_sized_and_wanted(tmp_path: Path):
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"captions": [[1, 2], [1]], "sizes": {"1": 3}}), encoding="utf-8")
    family = read_family(path)
    assert family == CaptionFamily([[1, 2], [1]], sizes={1: 3})
    assert sized(family, {"2": 2}).sizes == (1, 2)
    answer = Predict(file=path, sizes="2=2", wanted=("2",)).run()
    assert answer["sizes"] == [1, 2]
    assert answer["addition"]["wanted"] == ["2"]
    assert answer["addition"]["captions"] == [["2"]]

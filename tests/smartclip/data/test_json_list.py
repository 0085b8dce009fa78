import json
from pathlib import Path

import pytest

from smartclip.data import json_list as module
from smartclip.data.examples import Problem
from smartclip.data.json_list import json_list
from theory.errors import InputError

VALUES = [{"a": 'ü[]{}\\"'}, 12, 345678, "x]", [], [[1], {"b": None}], True, -1.5e3]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1 << 22])
@pytest.mark.parametrize("indent", [None, 2])
def test_values_come_whole_whatever_the_pieces(
    piece: int, indent: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE", piece)
    (tmp_path / "a.json").write_text(json.dumps(VALUES, indent=indent), encoding="utf-8")
    problems: list[Problem] = []
    assert list(json_list(tmp_path / "a.json", problems)) == VALUES
    assert not problems


def test_a_list_cut_short_gives_what_is_whole(tmp_path: Path) -> None:
    records = [{"image": f"{number}.jpg"} for number in range(5)]
    content = json.dumps(records)
    path = tmp_path / "a.json"
    for kept in range(len(content)):
        path.write_text(content[:kept])
        problems: list[Problem] = []
        if kept < content.index("}") + 1:
            with pytest.raises(InputError, match=r"a\.json could not be read"):
                list(json_list(path, problems))
            continue
        found = list(json_list(path, problems))
        assert found == records[: len(found)]
        assert [(each.name, each.fault) for each in problems] == [("a.json", "cut")]
        assert f"after {len(found)} records" in problems[0].detail


@pytest.mark.parametrize("content", ["", "{}", "7", "[", "[}", '["unclosed'])
def test_what_is_no_list_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match="one JSON list"):
        list(json_list(tmp_path / "a.json", []))


def test_an_empty_list_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(" [ ] ")
    assert list(json_list(tmp_path / "a.json", [])) == []


def test_a_value_that_never_ends_is_not_read_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE", 8)
    monkeypatch.setattr(module, "_LARGEST", 64)
    (tmp_path / "a.json").write_text('[1, "' + "x" * 1000)
    problems: list[Problem] = []
    assert list(json_list(tmp_path / "a.json", problems)) == [1]
    assert problems[0].fault == "cut"

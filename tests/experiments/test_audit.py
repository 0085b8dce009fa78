import json
import re
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.commands.audit import Audit
from theory.errors import InputError

CAPTIONS = "a dog, a leash\n" * 12 + "a dog\n" * 3 + "A cat. A cat with <b>fur</b>, no dog.\n" * 11


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    path = tmp_path / "captions.txt"
    path.write_text(CAPTIONS)
    return path


def test_the_findings_are_printed_and_returned(
    captions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = Audit(captions=(captions,), least=3).run()
    assert result["identified_alone"] == 1
    (first, *_) = result["never_apart"]["listed"]
    assert (first["concept"], first["with"], first["captions"]) == ("leash", "dog", 12)
    assert [one["mentions"] for one in result["advice"]["captions"]] == [["fur"], ["leash"]]
    assert json.loads(json.dumps(result)) == result
    printed = capsys.readouterr().out
    assert re.search(r"leash +│ dog +│ +12 │ +0 │", printed)
    assert "identified alone" in printed
    assert "Add a caption that mentions leash and not dog: 12 pictures" in printed


def test_json_goes_to_the_standard_output_alone(
    captions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["audit", str(captions), "--json", "-"])
    told = capsys.readouterr()
    assert json.loads(told.out)["captions"] == 26
    assert "identified alone" in told.err


def test_json_goes_to_a_file(captions: Path, tmp_path: Path) -> None:
    main(["audit", str(captions), "--json", str(tmp_path / "found.json")])
    assert json.loads((tmp_path / "found.json").read_text())["captions"] == 26


def test_the_page_holds_everything_and_needs_nothing(
    captions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("a leash\na leash, a dog\n" * 12)
    page = tmp_path / "page.html"
    result = Audit(captions=(captions,), against=other, html=page).run()
    assert result["html"] == str(page)
    assert result["comparison"]["cuts"] == [
        {"concept": "leash", "other": "dog", "mentions": 24, "exceptions": 12}
    ]
    text = page.read_text()
    for told in ("Never apart", "Samplers", "Advice", "Compared", "<td>leash</td>", "image/png"):
        assert told in text
    assert text.count("data:image/png;base64,") == 3
    # One file: no address, no script or style of elsewhere.
    assert not re.search(r"""(?:src|href)=["'](?!data:)|@import|https?://""", text)
    assert "Compared" in capsys.readouterr().out


def test_captions_cannot_write_into_the_page(tmp_path: Path) -> None:
    rows = [
        {"caption": "x", "tags": ["<script>alert(1)</script>", "\x1b[31mred", "$x_", "熊"]}
    ] * 12
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    Audit(captions=(path,), tags="tags", html=tmp_path / "page.html").run()
    text = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "no captions"),
        (["absent.txt"], "does not exist"),
        (["a.txt", "--html", "page.pdf"], "a page is HTML"),
        (["a.txt", "--wanted", "horse"], "the wanted concept 'horse'"),
        (["a.txt", "--against", "absent.txt"], "absent.txt does not exist"),
        (["a.txt", "--least", "100"], "no word is in 100 of 26 captions"),
    ],
)
def test_bad_input_is_one_line(
    captions: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(captions.parent)
    captions.rename("a.txt")
    with pytest.raises(SystemExit) as stopped:
        main(["audit", *options])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert told in lines[0]


def test_two_sources_of_concepts_are_refused(captions: Path) -> None:
    with pytest.raises(InputError, match="concepts come from one of them"):
        Audit(captions=(captions,), vocabulary=captions, tags="tags").run()

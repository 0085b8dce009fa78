"""`smartclip predict`: what it prints, what it returns, what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from experiments.commands.predict import Predict
from theory import InputError


def test_the_example_is_explained(capsys: pytest.CaptureFixture[str]):
    answer = Predict().run()
    told = " ".join(capsys.readouterr().out.split())
    assert answer["alone"] == ["bear"]
    assert answer["entangled"] == {"pen": ["bear"], "chair": ["bear"]}
    assert answer["why"]["pen"] == "the only caption that mentions it (1) also mentions bear"
    assert answer["addition"]["captions"] == [["pen", "chair"]]
    assert answer["addition"]["optimal"]
    assert "only with bear" in told
    assert "3.3 intersection" in told
    assert json.loads(json.dumps(answer)) == answer


def test_flags_reach_the_theory():
    command = tyro.cli(
        Predict,
        args=[
            *("--captions", "a,b,c; a,b"),
            *("--sizes", "a=2"),
            *("--drop", "C5", "--drop", "C4"),
            *("--wanted", "a", "--wanted", "b"),
            *("--max-caption-length", "1"),
        ],
    )
    answer = command.run()
    assert answer["sizes"] == [2, 1, 1]
    assert answer["dropped"] == ["C4", "C5"]
    assert answer["conditions"] == ["C1", "C2", "C3"]
    assert answer["addition"]["wanted"] == ["a", "b"]
    assert answer["addition"]["captions"] == [["a"], ["b"]]


def test_dropping_full_support_loses_every_block(capsys: pytest.CaptureFixture[str]):
    answer = Predict(drop=("C2",)).run()
    told = " ".join(capsys.readouterr().out.split())
    assert answer["identified"] == []
    assert len(answer["lost"]) == 4
    assert "Lost without C2: {bear}" in told


def test_files(tmp_path: Path):
    listed = tmp_path / "captions.json"
    listed.write_text('[["a", "b"], ["b"]]')
    full = tmp_path / "full.json"
    full.write_text('{"captions": [["a", "b"], ["b"]], "sizes": {"a": 3}, "weights": [1, 3]}')
    rows = tmp_path / "captions.csv"
    rows.write_text("a, b\n\nb\n")
    answers = [Predict(file=path).run() for path in (listed, full, rows)]
    assert all(answer["captions"] == [["a", "b"], ["b"]] for answer in answers)
    assert answers[1]["sizes"] == [3, 1]
    assert answers[1]["weights"] == [0.25, 0.75]


def test_markup_in_names_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]):
    Predict(captions="[red],a;[/red]").run()
    told = capsys.readouterr().out
    assert "[red]" in told
    assert "[/red]" in told


def test_a_large_family_is_told_in_short(capsys: pytest.CaptureFixture[str]):
    captions = ";".join(f"c{i},c{(i + 1) % 60}" for i in range(60))
    answer = Predict(captions=captions).run()
    assert answer["identified"] is None
    assert len(answer["alone"]) == 60
    assert "More than 40 blocks" in capsys.readouterr().out


def test_the_figure_is_written(tmp_path: Path):
    path = tmp_path / "figure.png"
    Predict(captions="a,b;b,c;c", figure=path).run()
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (Predict(captions="a,b;;c"), "caption 2 is empty"),
        (Predict(captions=""), "caption 1 is empty"),
        (Predict(captions="a", sizes="b=2"), "unknown concept 'b'"),
        (Predict(captions="a", sizes="a=0"), "'a' is 0"),
        (Predict(captions="a", sizes="a"), "--sizes holds 'a'"),
        (Predict(captions="a", wanted=("x",)), "'x' is not a concept"),
        (Predict(captions="a,b", max_caption_length=0), "max_length is 0"),
        (Predict(captions="a", file=Path("x.json")), "both --captions and --file"),
        (Predict(file=Path("missing.json")), "missing.json cannot be read"),
        (Predict(captions="a", figure=Path("figure.svg")), "a figure named figure.svg"),
    ],
)
def test_bad_input_is_refused_by_name(command: Predict, named: str):
    with pytest.raises(InputError, match=named):
        command.run()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "is not JSON"),
        ("3", "something else than captions"),
        ("{}", "something else than captions"),
        ('{"captions": [["a"]], "size": {"a": 2}}', "something else than captions"),
        ('[["a"], ["b", null]]', "caption 2 of"),
        ('["ab"]', "caption 1 of"),
        ('{"captions": [["a"]], "sizes": [1]}', "wrong form"),
        ('{"captions": [["a"]], "weights": 1}', "wrong form"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, named: str):
    path = tmp_path / "captions.json"
    path.write_text(text)
    with pytest.raises(InputError, match=named):
        Predict(file=path).run()


def test_a_prediction_needs_no_torch():
    """Torch takes seconds to import, and the theory does without."""
    program = (
        "import sys; from experiments.cli import main;"
        "main(['predict', '--captions', 'bear,pen;bear']);"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

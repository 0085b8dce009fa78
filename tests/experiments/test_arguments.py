"""No value of any option of any command gives a traceback, whatever it is."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import experiments.commands
from experiments.cli import main
from experiments.commands.command import Command
from experiments.datasets import datasets
from experiments.registry import kinds
from theory.errors import InputError

NUMBERS = (
    "",
    "-1",
    "0",
    "1",
    "-0",
    "1e400",
    "nan",
    "-inf",
    "1_000",
    "٣",
    "³",
    "1.5",
    "0x10",
    "ten",
)
LARGE = ("9" * 30, "-" + "9" * 30, "1" + "0" * 4400)
TEXTS = (
    "",
    " ",
    ";",
    ",",
    "=",
    '"',
    "a=",
    "a=nan",
    "a,b;b=2",
    "\x1b[31m",
    "[/b]a",
    "\udcff",
    "ä" * 300,
)
PATHS = (".", "folder", "/dev/null", "/proc/self/mem", "missing/parent/x", "file", "file/x", "~")
PARENTS = ("none.csv", "x" * 5000, "a\tb", "-", "--", "http://nowhere")
VALUES = (*NUMBERS, *LARGE, *TEXTS, *PATHS, *PARENTS)
# What is written is written into the folder of the test.
WRITTEN = {"--out", "--json", "--picture", "--figure", "--cache", "--runs"}


def lines() -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Words of each command, and its options."""
    found = []
    for kind in kinds(experiments.commands, Command):
        options = _options(kind)
        if kind.words() == ("train",):
            found += [
                ((*kind.words(), name), options + _options(data))
                for name, data in datasets().items()
            ]
        elif kind.words() == ("verify",):
            found.append((kind.words(), options + _options(datasets()["vectors"])))
        else:
            found.append((kind.words(), options))
    return found


def _options(kind: Any) -> tuple[str, ...]:
    return tuple(f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(kind))


LINES = lines()


@st.composite
def drawn(draw: st.DrawFn) -> list[str]:
    words, options = draw(st.sampled_from(LINES))
    line = [*words]
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(options))
        shown = [value for value in VALUES if name not in WRITTEN or not value.startswith("/")]
        line += draw(st.sampled_from([[name], *([name, value] for value in shown)]))
    if draw(st.booleans()):
        line.append(draw(st.sampled_from(VALUES)))
    return line


def settled(
    dataset: Any, names: Any, root: Path, *, seed: int, steps: int | None = None, **_: Any
) -> None:
    """In the place of training: all that is refused before the first step."""
    dataset.config(seed)
    for name in names:
        dataset.method(name, steps)
    nothing()


def nothing(*_: Any, **__: Any) -> Any:
    raise InputError("nothing is run here", rule="work is left out", fix="run it")


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Heavy work is left out at its seams."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("image,caption\nnone.png,A bear.\n")
    monkeypatch.setattr("experiments.run.train_and_measure", settled)
    for seam in (
        "experiments.harness.run_study",
        "experiments.commands.bench.measured",
        "smartclip.data.emoji.EmojiData.load",
        "smartclip.data.hub.open_hub",
        "simulators.SceneWorld.sample",
        "simulators.export.export",
    ):
        monkeypatch.setattr(seam, nothing)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def tried(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = None
    try:
        main(line)
    except SystemExit as stopped:
        code = stopped.code
    told = capsys.readouterr().err
    assert code in (0, 1, 2, None), line
    if code == 2:
        assert len([each for each in told.splitlines() if each.startswith("smartclip: ")]) == 1
        assert "\x1b" not in told
    assert "Traceback" not in told


@pytest.mark.faults
@pytest.mark.usefixtures("stubbed")
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(line=drawn())
def test_any_line_is_answered(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    tried(line, capsys)


@pytest.mark.faults
@pytest.mark.usefixtures("stubbed")
def test_every_value_of_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for words, options in LINES:
        for name in options:
            for value in VALUES:
                if name in WRITTEN and value.startswith("/"):
                    continue
                try:
                    tried([*words, name, value], capsys)
                except Exception as error:  # noqa: BLE001  (each is told below)
                    wrong.append(f"{' '.join(words)} {name} {value[:40]!r}: {error!r:.200}")
    assert not wrong, "\n".join(wrong)


def test_the_commands_are_all_tried() -> None:
    words = {" ".join(words) for words, _ in LINES}
    assert {"predict", "verify", "study", "bench", "data audit", "train vectors"} <= words
    assert sum(len(options) for _, options in LINES) > 100

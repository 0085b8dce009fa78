"""The command line as a person meets it: every refusal is one line on stderr and exit code 2."""

import errno
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

import experiments.commands
from experiments.cli import main, one_line
from experiments.commands.command import Command
from experiments.registry import kinds

CAPTIONS = "bear,pen;bear,chair"
TINY = ("verify", "--captions", "a,b;b", "--steps", "30", "--device", "cpu", "--seed", "3")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Run a command that has to be refused, and give the one line it prints."""

    def run(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr().err
        assert stopped.value.code == 2
        assert told.startswith("smartclip: ")
        assert told.endswith("\n")
        assert told.count("\n") == 1
        return told

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run of `smartclip verify`, with what `--json` wrote beside it."""
    root = tmp_path_factory.mktemp("runs")
    main([*TINY, "--out", str(root), "--json", str(root / "answer.json")])
    return root


def run_folder(root: Path) -> Path:
    (folder,) = root.glob("vectors-ours-*")
    return folder


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["predict", "--captions", CAPTIONS, "--wanted", "lamp"], "'lamp' is not a concept"),
        (["predict", "--captions", CAPTIONS, "--sizes", "lamp=2"], "unknown concept 'lamp'"),
        (["predict", "--captions", "bear;;pen"], "caption 2 is empty"),
        (["predict", "--captions", ""], "caption 1 is empty"),
        (["predict", "--captions", CAPTIONS, "--sizes", "bear=-1"], "the size of 'bear' is -1"),
        (["predict", "--captions", CAPTIONS, "--seconds", "nan"], "--seconds nan"),
        (["predict", "--captions", CAPTIONS, "--seconds", "-1"], "--seconds -1.0"),
        (["verify", "--captions", "bear;;pen"], "caption 2 is empty"),
        (["verify", "--captions", CAPTIONS, "--sizes", "bear=-1"], "the size of 'bear' is -1"),
        (["verify", "--steps", "0"], "steps = 0"),
        (["verify", "--dimensions", "0"], "dimensions = 0"),
        (["verify", "--dimensions", "-2"], "dimensions = -2"),
        (["train", "vectors", "--method", "klip"], "method 'klip'; the methods are ours"),
        (["train", "digits", "--beside", "klip"], "method 'klip'; the methods are ours"),
        (["train", "pairs", "--workers", "0"], "--workers 0"),
        (["train", "pairs", "--beside", "clip"], "one method at a time"),
        (["train", "vectors", "--beside", "clip"], "one method at a time"),
        (["study", "nothing"], "study 'nothing'"),
        (["study", "identification", "--only", "no masks"], "method 'no masks'"),
        (["study", "identification", "--workers", "0"], "0 workers"),
        (["verify", "--dependence", "nan"], "dependence=nan"),
        (["verify", "--seed", "-1"], "seed=-1 is negative"),
        (["verify", "--device", "abacus"], "device 'abacus'"),
        (["train", "digits", "--device", "abacus"], "device 'abacus'"),
        (["bench", "nothing"], "benchmark 'nothing'"),
        (["data", "audit", "--source", "none.csv", "--layout", "csv"], "none.csv"),
    ],
)
def test_bad_values_are_named(
    arguments: list[str],
    told: str,
    refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    assert told in refused(*arguments)


@pytest.mark.parametrize("text", ["[]", '{"captions": []}'], ids=["list", "object"])
def test_an_empty_family_is_refused(text: str, refused, tmp_path: Path):
    file = tmp_path / "captions.json"
    file.write_text(text)
    assert "the family has no caption" in refused("predict", "--file", file)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            [],
            "Expected one of {audit, bench, data, demo, evaluate, export, predict, study, train, "
            "verify}",
        ),
        (["trian"], "Unrecognized options: trian; Available subcommands: audit, bench"),
        (["train"], "Expected one of {digits, emoji, pairs, scenes, vectors}"),
        (["predict", "--captoins", "a"], "perhaps you meant --captions"),
        (["verify", "--seed", "x"], "Error parsing --seed"),
        (["predict", "--drop", "C7"], "invalid choice 'C7'"),
        (["predict", "--captions"], "Missing value for argument '--captions'"),
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_a_wrong_command_line_is_one_line(
    arguments: list[str],
    told: str,
    terminal: bool,
    refused,
    monkeypatch: pytest.MonkeyPatch,
):
    # On a terminal tyro draws coloured boxes, as wide as the terminal.
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    line = refused(*arguments)
    assert told in line
    assert "--help" in line
    assert not set(line) & set("\x1b│─╭")


def test_a_box_of_one_paragraph_is_kept():
    assert one_line("╭─ Title ──╮\n│ all there is │\n╰──────────╯\n") == "all there is"


def test_the_full_cache_disk_is_told(refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "smartclip.data.cache.shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000)
    )
    line = refused("data", "emoji", "--cache", tmp_path / "cache")
    assert "1 MB free" in line
    assert "this needs" in line
    assert "--cache" in line


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_may_not_be_written_is_told(refused, tmp_path: Path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "cannot be written" in refused("data", "emoji", "--cache", locked)


def test_a_cache_that_is_a_file_is_told(refused, tmp_path: Path):
    (tmp_path / "cache").write_text("not a folder")
    assert "cannot be written" in refused("data", "emoji", "--cache", tmp_path / "cache")


def test_without_npm_the_line_says_what_to_install(
    refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    line = refused("data", "emoji", "--cache", tmp_path / "cache")
    assert "npm was not found" in line
    assert "install Node.js" in line


def test_a_disk_that_fills_up_leaves_the_old_result(
    refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    old = tmp_path / "answer.json"
    old.write_text("old")
    monkeypatch.setattr("theory.storage.os.fsync", full)
    line = refused("predict", "--captions", CAPTIONS, "--json", old)
    assert f"answer.json could not be written ({os.strerror(errno.ENOSPC)})" in line
    assert [path.name for path in tmp_path.iterdir()] == ["answer.json"]
    assert old.read_text() == "old"


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_an_unreadable_checkpoint_is_named(
    content: bytes | None, refused, finished: Path, tmp_path: Path
):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    path = run_folder(tmp_path) / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-10] if content is None else content)
    line = refused(*TINY, "--out", tmp_path)
    assert "checkpoint.safetensors cannot be read as a checkpoint" in line
    assert "delete it to start again" in line


def test_predict_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    main(["predict", "--captions", CAPTIONS, "--json", str(tmp_path / "out.json")])
    answer = json.loads((tmp_path / "out.json").read_text())
    assert answer["alone"] == ["bear"]
    assert answer["entangled"] == {"pen": ["bear"], "chair": ["bear"]}
    assert answer["why"]["chair"] == "the only caption that mentions it (2) also mentions bear"
    told = capsys.readouterr()
    assert "only with bear" in " ".join(told.out.split())
    assert told.err == ""


def test_verify_leaves_everything_in_the_run_folder(finished: Path):
    folder = run_folder(finished)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("tensorboard/")} == {
        ".lock",
        "config.json",
        "versions.json",
        "metrics.jsonl",
        "checkpoint.safetensors",
        "cost.json",
        "result.json",
        "report.html",
        *(
            f"figures/{name}.png"
            for name in ("blocks", "dependency", "jacobian", "masks", "training")
        ),
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["options"]["captions"] == "a,b;b"
    assert config["training"]["seed"] == 3
    assert sum(phase["steps"] for phase in config["method"]["phases"]) == 30
    versions = json.loads((folder / "versions.json").read_text())
    assert {"torch", "numpy", "python", "smartclip-testbed"} <= versions.keys()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 30
    result = json.loads((folder / "result.json").read_text())
    answer = json.loads((finished / "answer.json").read_text())
    assert answer.pop("report").endswith("report.html")
    assert answer == result
    assert result["prediction"]["alone"] == ["b"]
    assert len(result["recovery"]["blocks"]) > 0


def test_the_same_command_gives_the_same_numbers(finished: Path, tmp_path: Path):
    main([*TINY, "--out", str(tmp_path)])
    first, second = run_folder(finished), run_folder(tmp_path)
    assert first.name == second.name
    for name in ("result.json", "config.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    # safetensors keeps a header whose order may vary; the weights are what has to agree.
    assert weights(first).keys() == weights(second).keys()
    for name, tensor in weights(first).items():
        assert tensor.equal(weights(second)[name]), name


def test_a_finished_run_is_shown_again_without_training(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def trained(*_: object) -> None:
        raise AssertionError

    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr("smartclip.train.loop._step", trained)
    main([*TINY, "--out", str(tmp_path)])
    results = [(run_folder(root) / "result.json").read_bytes() for root in (finished, tmp_path)]
    assert results[0] == results[1]


def test_the_report_needs_nothing_but_itself(finished: Path):
    class Links(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[str] = []
            self.tags: set[str] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.add(tag)
            self.asked += [value or "" for name, value in attrs if name in ("src", "href")]

    page = (run_folder(finished) / "report.html").read_text()
    links = Links()
    links.feed(page)
    assert "img" in links.tags
    assert not links.tags & {"script", "link", "iframe"}
    assert all(value.startswith("data:image/png;base64,") for value in links.asked)
    assert "url(" not in page
    assert json.loads((finished / "answer.json").read_text())["recovery"]["verdict"] in page


def test_the_module_is_the_command():
    """The only test here that pays for a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "experiments.cli", "predict", "--captions", "bear;;pen"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "smartclip: caption 2 is empty; a caption mentions at least one concept: "
        "drop it or name a concept\n"
    )


def weights(folder: Path):
    from smartclip.train.checkpoint import read_checkpoint

    return read_checkpoint(folder / "checkpoint.safetensors")[1]


@pytest.mark.parametrize(
    "arguments", [["demo"], ["bench", "theory"], ["predict", "--captions", CAPTIONS]]
)
def test_a_command_of_one_process_refuses_torchrun_once(
    arguments: list[str], refused, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert "on 2 processes" in refused(*arguments)
    monkeypatch.setenv("RANK", "1")
    for told in (arguments, ["verify", "--no-such-flag"]):
        with pytest.raises(SystemExit) as stopped:
            main(told)
        assert stopped.value.code == 2
        assert capsys.readouterr().err == ""


def test_every_training_command_joins_the_processes_of_torchrun():
    joining = {one.words() for one in kinds(experiments.commands, Command) if one.joins}
    assert joining == {("train",), ("verify",)}


WITHOUT_TORCH = """
import sys
from experiments.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"torch", "open_clip", "sklearn", "matplotlib", "pandas"} & set(sys.modules)
print("heavy:", *sorted(heavy))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("train", "digits", "--help"),
        ("train", "digits", "--sede", "3"),
        ("train", "vectors", "--method", "klip"),
        ("study", "nothing"),
        ("bench", "nothing"),
        ("data", "audit", "--help"),
        ("predict", "--captions", CAPTIONS),
        ("predict", "--captions", CAPTIONS, "--json", "-"),
    ],
    ids=" ".join,
)
def test_what_trains_nothing_answers_without_torch(arguments: tuple[str, ...]):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1].strip() == "heavy:", done.stdout + done.stderr


def test_json_goes_to_standard_output(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    main(["predict", "--captions", CAPTIONS, "--json", str(tmp_path / "out.json")])
    people = capsys.readouterr().out
    main(["predict", "--captions", CAPTIONS, "--json", "-"])
    told = capsys.readouterr()
    assert told.out == (tmp_path / "out.json").read_text()
    assert told.err == people


def test_what_is_not_usable_is_told_to_programs_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "t.csv").write_text("image,caption\nnone.png,A bear.\n")
    with pytest.raises(SystemExit) as stopped:
        main(["data", "audit", str(tmp_path / "t.csv"), "--json", "-"])
    told = capsys.readouterr()
    assert stopped.value.code == 1
    assert json.loads(told.out)["usable"] == 0
    assert "holds nothing usable" in told.err


def test_what_the_system_refuses_is_one_line(refused, monkeypatch: pytest.MonkeyPatch):
    def run(self: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "some/file")

    monkeypatch.setattr("experiments.commands.predict.Predict.run", run)
    assert "some/file: Permission denied" in refused("predict")


def test_a_figure_of_a_prediction_needs_no_torch(tmp_path: Path):
    written = ["--figure", str(tmp_path / "p.png"), "--json", str(tmp_path / "p.json")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "predict", "--captions", CAPTIONS, *written],
        capture_output=True,
        text=True,
    )
    heavy = done.stdout.splitlines()[-1]
    assert heavy.startswith("heavy:")
    assert "matplotlib" in heavy
    assert not {"torch", "open_clip"} & {*heavy.split()}
    assert (tmp_path / "p.png").exists()
    assert (tmp_path / "p.json").exists()

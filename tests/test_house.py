"""The house rules that no other test would notice being broken."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from experiments.cli import main

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("theory", "simulators", "smartclip", "experiments")
# Made by running things, and never committed.
MADE_HERE = {"runs", "cache", "dist", "__pycache__"}
HIDDEN_BUT_COMMITTED = {".ci", ".gitignore", ".pre-commit-config.yaml"}

# Tests named after what they are about where that is not one module of their layer.
NAMED_AFTER_SOMETHING_ELSE = {
    "tests/simulators/test_conditions.py": "the conditions of theory, tried on worlds",
    "tests/theory/recovery/test_beside.py": "an oracle and a null, beside_known of controls",
    "tests/theory/test_examples.py": "the examples in all docstrings of the layer",
    "tests/theory/symbolic/test_catalogue.py": "generators whose truth is known by hand",
    "tests/theory/recovery/metrics/test_two_processes.py": "metrics gathered by two processes",
    "tests/experiments/test_benchmarks_theory.py": "experiments/benchmarks/theory.py",
    "tests/experiments/test_arguments.py": "any value of any option",
    "tests/experiments/test_full_disk.py": "a disk that fills up while training",
    "tests/experiments/test_interrupt.py": "Ctrl-C at any moment",
    "tests/experiments/test_golden.py": "the losses of a few steps of our method, written down",
    "tests/smartclip/data/test_every_picture.py": "one invariant over all readers",
    "tests/smartclip/data/test_folders.py": "folders of pictures, whatever the layout",
    "tests/smartclip/train/test_checkpoint_faults.py": "checkpoints that were damaged",
    "tests/smartclip/train/test_devices.py": "a training step on pretended CUDA tensors",
    "tests/smartclip/train/test_distributed.py": "loss and training over several processes",
}


def walk(folder: Path) -> Iterator[Path]:
    """The files that a commit could hold."""
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in HIDDEN_BUT_COMMITTED
        if hidden or path.name in MADE_HERE or path.suffix == ".egg-info":
            continue
        if path.is_dir():
            yield from walk(path)
        else:
            yield path


FILES = tuple(walk(ROOT))
PYTHON = tuple(path for path in FILES if path.suffix == ".py")


def texts() -> Iterator[tuple[str, str]]:
    for path in FILES:
        if path.suffix not in (".png", ".npz", ".pyc"):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_layers_hold():
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(command), "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = re.findall(r"^(.+?) KEPT", done.stdout, re.MULTILINE)
    assert kept == ["Folders are layers", "The theory needs no torch outside theory.recovery"]


def test_files_say_what_they_are():
    assert len(PYTHON) > 100
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in PYTHON
        if path.relative_to(ROOT).parts[0] in (*LAYERS, "install.py")
        and (module := tree(path)).body
        and not ast.get_docstring(module)
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        (
            "no package registry: a machine's own settings say where packages come from",
            r"pypi\.org|pythonhosted\.org|registry\.(npmjs|yarnpkg)|npm\.pkg\.github"
            r"|anaconda\.org|download\.pytorch\.org|index[-]url\b",
        ),
        ("nothing outside the project", r"\.\./shared\b|\b(DESIGN|THEORY|PEERS)\.md\b"),
        ("no path of one machine", r"(?<![\w.}~/-])/(?:root|work|tmp|home|Users|opt)/\w"),
    ],
)
def test_no_text_names(rule: str, pattern: str):
    found = [
        f"{name}: {match.group()}" for name, text in texts() for match in re.finditer(pattern, text)
    ]
    assert found == [], rule


def pickled(module: ast.Module) -> Iterator[int]:
    """Lines that import or read a pickle."""
    unsafe = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for node in ast.walk(module):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(name.partition(".")[0] in unsafe for name in names):
            yield node.lineno
        if not isinstance(node, ast.Call):
            continue
        given = {
            word.arg: word.value.value
            for word in node.keywords
            if isinstance(word.value, ast.Constant)
        }
        called = ast.unparse(node.func)
        if (
            given.get("allow_pickle") is True
            or called.endswith("read_pickle")
            or (called == "torch.load" and given.get("weights_only") is not True)
        ):
            yield node.lineno


def test_nothing_loads_a_pickle():
    found = [f"{path.relative_to(ROOT)}:{line}" for path in PYTHON for line in pickled(tree(path))]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "torch.load('x')",
        "torch.load('x', weights_only=False)",
        "np.load('x', allow_pickle=True)",
        "pandas.read_pickle('x')",
    ],
)
def test_a_pickle_would_be_seen(line: str):
    assert list(pickled(ast.parse(line))) == [1]


def test_tests_mirror_modules():
    """tests/<layer>/.../test_x.py is about a module or a package x of that layer."""
    names = {
        layer: {path.stem for path in (ROOT / layer).rglob("*.py")}
        | {path.name for path in (ROOT / layer).rglob("*") if path.is_dir()}
        for layer in LAYERS
    }
    strangers = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        name = path.relative_to(ROOT).as_posix()
        layer = path.relative_to(ROOT / "tests").parts[0]
        if layer in LAYERS and path.stem.removeprefix("test_") not in names[layer]:
            strangers.append(name)
    assert sorted(strangers) == sorted(NAMED_AFTER_SOMETHING_ELSE)


def test_the_lock_holds_versions_only():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    wrong = [
        line
        for line in pins
        if not re.fullmatch(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==[\w.!]+(\s*;.*)?", line)
    ]
    assert wrong == []
    assert not [line for line in pins if line.startswith(("nvidia-", "cuda-", "triton"))]
    locked = {line.partition("==")[0].partition("[")[0] for line in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *(line for extra in extras for line in extra)]
    names = {re.match(r"[\w.-]+", line).group().lower().replace("_", "-") for line in asked}
    assert names - locked == {project["name"]}  # an extra may hold another


def test_the_console_command_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["smartclip"].partition(":")
    assert getattr(importlib.import_module(module), function) is main


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_commands_of_the_readme_exist(capsys: pytest.CaptureFixture[str]):
    named = re.findall(r"(?:`|\$ )smartclip ((?:[a-z]+ ?)+)((?: ?--[a-z-]+)*)", readme())
    assert len(named) >= 5
    for words, flags in set(named):
        with pytest.raises(SystemExit) as stopped:
            main([*words.split(), "--help"])
        told = capsys.readouterr().out
        assert stopped.value.code == 0, words
        assert all(flag in told for flag in flags.split()), words


def test_the_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        text = (ROOT / name).read_text()
        named = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
        assert named, name
        assert named <= targets, name


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_alone_lists_every_target():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^([a-z]+):", makefile, re.MULTILINE):
        assert re.search(rf"^{target}\s+\w", done.stdout, re.MULTILINE), target


def test_the_code_of_the_readme_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", readme(), re.MULTILINE | re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    with torch.random.fork_rng(devices=[]):
        for block in blocks:
            exec(block, names)


def test_the_files_that_the_readme_links_exist():
    linked = re.findall(r"\]\((?!https?://|#)([^)#]+)", readme())
    linked += re.findall(r'src="(?!https?://)([^"]+)"', readme())
    assert linked
    assert [name for name in linked if not (ROOT / name).exists()] == []

"""Ctrl-C at any moment, imports included: one line, and exit code 130."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import cli

# The interrupt comes from inside: at the import of a module, or at a step of training.
INTERRUPTED = """
import os, signal, sys
from experiments.cli import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    "module",
    [
        "tyro",
        "rich",
        "numpy",
        "numpy._core._multiarray_umath",
        "theory",
        "experiments.commands.predict",
        "scipy",
        "networkx",
    ],
)
def test_an_interrupted_import_is_one_line(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, "predict"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "smartclip: stopped\n")


def test_the_module_of_the_command_imports_little() -> None:
    """Before `main` runs, an interrupt cannot be caught."""
    told = "import sys; import experiments.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    loaded = {*done.stdout.split()}
    assert "experiments.cli" in loaded
    assert not loaded & {"tyro", "numpy", "rich", "theory", "torch", "experiments.commands"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["predict"], "smartclip: stopped\n"),
        (["verify"], "smartclip: stopped; the same command goes on from where it was saved last\n"),
        (["train", "vectors"], "smartclip: stopped; the same command goes on from where it was"),
    ],
)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, ImportError])
def test_what_resumes_says_so(
    arguments: list[str],
    told: str,
    kind: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Some libraries make an ImportError of an interrupt."""

    def run(command: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise kind("initialization failed") from error

    monkeypatch.setattr(cli, "_run", run)
    monkeypatch.setattr(cli.atexit, "register", lambda *_: None)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 130
    assert capsys.readouterr().err.startswith(told)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_another_kind_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: object) -> None:
        raise ImportError("no such module")

    monkeypatch.setattr(cli, "_run", run)
    with pytest.raises(ImportError, match="no such"):
        cli.main(["predict"])


STUDY = """
import os, signal, sys, threading, time
from pathlib import Path
import experiments.studies.identification as module
from experiments.cli import main

kind = module.Identification
def measure(self, case, runs):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(600)
kind.measure = measure
def interrupt():
    while not [*Path(sys.argv[1]).iterdir()]:
        time.sleep(0.05)
    if sys.argv[2] == "all":
        os.killpg(0, signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
main(["study", "identification", "--size", "smoke", "--out", sys.argv[1] + "/../page.md"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["all", "first"])
def test_workers_of_a_study_end_without_a_word(whom: str, tmp_path: Path) -> None:
    (tmp_path / "started").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STUDY, str(tmp_path / "started"), whom],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=120,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("smartclip: stopped; the same command goes on")

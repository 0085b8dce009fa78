"""Make `.venv` beside this file and install the project into it: `python install.py`.

`make` calls this; it needs only Python and its standard library. It says what it is doing, and a
second call without changes does nothing. Versions come from `requirements.lock`.

Torch is the one package with several builds. A machine with an NVIDIA GPU gets a CUDA build, any
other machine a CPU build, which is smaller by gigabytes:

1. a CPU build that this machine's own pip settings offer (a local wheel, a company index);
2. else the CPU build from PyTorch's index, through `uv --torch-backend=cpu`;
3. else the default build, which also runs without a GPU.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
UV = BIN / ("uv.exe" if os.name == "nt" else "uv")
LOCK = ROOT / "requirements.lock"
READY = VENV / ".ready"
SUPPORTED = ((3, 11), (3, 13))


class InstallError(Exception):
    """A step of the installation that failed, with what to do about it."""


def say(message: str) -> None:
    print(f"[install] {message}", flush=True)


def succeeds(*command: "str | Path", quiet: bool = False) -> bool:
    """Run a command; True if it succeeded. `quiet` hides what it prints."""
    sink = subprocess.DEVNULL if quiet else None
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, stdout=sink, stderr=sink).returncode == 0  # noqa: S603


def must(*command: "str | Path", fix: str) -> None:
    """Run a command that has to succeed."""
    if not succeeds(*command):
        raise InstallError(f"this failed: {' '.join(map(str, command))}\n          {fix}")


def fingerprint() -> str:
    """What the installation depends on: the lock, the project file, this script."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (LOCK, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def has_nvidia_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None and succeeds("nvidia-smi", "-L", quiet=True)


def locked_version(package: str) -> str:
    found = re.search(rf"^{package}==([^\s;]+)", LOCK.read_text(), flags=re.MULTILINE)
    if found is None:
        raise InstallError(f"requirements.lock does not name {package}; run `make lock`.")
    return found.group(1)


def make_environment() -> None:
    low, high = SUPPORTED
    if not low <= sys.version_info[:2] <= high:
        raise InstallError(
            f"Python {sys.version.split()[0]} is not supported; use {low[0]}.{low[1]} to "
            f"{high[0]}.{high[1]}, for example `make PYTHON=python3.12 demo`."
        )
    if not PYTHON.exists():
        say(f"making {VENV.name} with Python {sys.version.split()[0]}")
        must(
            sys.executable, "-m", "venv", VENV,
            fix="On Debian and Ubuntu the module is in the package python3-venv.",
        )  # fmt: skip
    if not UV.exists():
        say("fetching uv, the package installer")
        must(
            PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv",
            fix="Is there a network, and a package index that pip can reach?",
        )  # fmt: skip


def install_torch() -> None:
    pip_install = (UV, "pip", "install", "--python", PYTHON)
    version = locked_version("torch")
    if sys.platform == "darwin" or has_nvidia_gpu():
        say(f"torch {version}: this machine's own build (a large download where there is a GPU)")
        backend = ("--torch-backend=auto",) if sys.platform != "darwin" else ()
        if succeeds(*pip_install, *backend, f"torch=={version}"):
            return
        must(*pip_install, f"torch=={version}", fix="Is there a network and enough disk space?")
        return

    say(f"torch {version}: no NVIDIA GPU here, looking for a CPU build")
    if succeeds(
        PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        f"torch=={version}+cpu", quiet=True,
    ):  # fmt: skip
        return
    if succeeds(*pip_install, "--torch-backend=cpu", f"torch=={version}", "torchvision"):
        return
    say("no CPU build could be reached; taking the default build (several GB, runs on a CPU too)")
    must(*pip_install, f"torch=={version}", fix="Is there a network and enough disk space?")


def main() -> None:
    started = time.monotonic()
    if READY.exists() and READY.read_text() == fingerprint():
        return
    make_environment()
    install_torch()
    say("installing the locked packages (a minute or two the first time)")
    must(
        UV, "pip", "install", "--python", PYTHON, "--requirement", LOCK,
        fix="Is there a network and enough disk space?",
    )  # fmt: skip
    must(
        UV, "pip", "install", "--python", PYTHON, "--quiet", "--no-deps", "--editable", ROOT,
        fix="Please report this with the lines above.",
    )  # fmt: skip
    READY.write_text(fingerprint())
    say(f"ready after {time.monotonic() - started:.0f} s; next: make demo, make test, make lab")


if __name__ == "__main__":
    try:
        main()
    except InstallError as error:
        sys.exit(f"[install] {error}")

"""Make `.venv` beside this file and install the project into it: `python install.py`.

`make` calls this; it needs only Python and its standard library. It says what it is doing, and a
second call without changes does nothing. Versions come from `requirements.lock`.

Torch is the one package with several builds. A machine with an NVIDIA GPU gets a CUDA build, any
other machine a CPU build, which is smaller by gigabytes:

1. a CPU build that this machine's own pip settings offer (a local wheel, a company index);
2. else the CPU build from PyTorch's index, through `uv --torch-backend=cpu`;
3. else the default build, which also runs without a GPU.

Two things change that. Where the Python that calls this has torch and torchvision already, with
CUDA on a machine with an NVIDIA GPU, `.venv` uses those and fetches neither. And with
`--wheels FOLDER` nothing is fetched at all: what that Python has is used, and the rest comes from
the folder, which `--fill-wheels FOLDER` fills on a machine with a network.
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
LEAST_TORCH = (2, 9)
# What pip needs to install the project itself.
BUILD = (
    "hatchling",
    "editables",
    "packaging",
    "pathspec",
    "pluggy",
    "tomlkit",
    "trove-classifiers",
)
# Built with torch, or for it.
TORCH = re.compile(r"(torch|torchvision|nvidia-[a-z0-9-]+|triton)==")
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


def python_with_torch() -> "Path | None":
    """Where the packages of this Python lie, if torch is one of them and can be used."""
    asked = (
        "import torch, pathlib; from importlib.metadata import version; version('torchvision'); "
        "print(torch.__version__, torch.version.cuda, pathlib.Path(torch.__file__).parents[1])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        return None
    version, cuda, folder = done.stdout.strip().split(" ", 2)
    recent = tuple(map(int, version.split(".")[:2])) >= LEAST_TORCH
    fits = cuda != "None" or not has_nvidia_gpu()
    return Path(folder) if recent and fits else None


def borrow(packages: Path) -> None:
    """Let `.venv` see another Python's packages, behind its own."""
    say("using the torch of the Python that runs this")
    pattern = "Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages"
    (site,) = VENV.glob(pattern)
    (site / "borrowed.pth").write_text(f"{packages}\n")


def install_from_wheels(wheels: Path) -> None:
    """Without a network: from a folder, and from what the Python that runs this has."""
    if not PYTHON.exists():
        say(f"making {VENV.name} from {wheels}, without a network")
        must(sys.executable, "-m", "venv", "--without-pip", VENV, fix="Is there enough space?")
    packages = python_with_torch()
    if packages is None:
        raise InstallError(
            f"{wheels} holds no torch, and {sys.executable} has none that can be used.\n"
            f"          Call make with one that has torch {LEAST_TORCH[0]}.{LEAST_TORCH[1]} or "
            "later and torchvision: `make PYTHON=... WHEELS=... gpu`."
        )
    borrow(packages)
    pip = (sys.executable, "-m", "pip", "--python", PYTHON, "--disable-pip-version-check")
    # What builds the project comes first, since it may not be fetched for the build alone.
    for wanted in (BUILD, ("--no-build-isolation", "--editable", f"{ROOT}[test]")):
        must(
            *pip, "install", "--quiet", "--no-index", "--find-links", wheels, *wanted,
            fix=f"Fill {wheels} again: `make wheels` on a machine with a network.",
        )  # fmt: skip


def locked_without_torch() -> list[str]:
    return [line for line in LOCK.read_text().splitlines() if not TORCH.match(line)]


def fill_wheels(wheels: Path) -> None:
    """Every locked package but torch, for this Python and this kind of machine, into a folder."""
    make_environment()
    wheels.mkdir(parents=True, exist_ok=True)
    wanted = wheels / "wanted.txt"
    locked = locked_without_torch()
    wanted.write_text("\n".join([*locked, *BUILD]))
    say(f"fetching {len(locked)} packages into {wheels}")
    must(
        PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--dest", wheels, "--requirement", wanted,
        fix="Is there a network and enough disk space?",
    )  # fmt: skip
    wanted.unlink()
    say(f"{wheels} holds {len([*wheels.iterdir()])} wheels; there: make WHEELS={wheels} gpu")


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


def install_from_network() -> None:
    make_environment()
    packages = python_with_torch() if has_nvidia_gpu() else None
    if packages is not None:
        borrow(packages)
        wanted = VENV / "wanted.txt"
        wanted.write_text("\n".join(locked_without_torch()))
        locked = ("--no-deps", "--requirement", wanted)
    else:
        install_torch()
        locked = ("--requirement", LOCK)
    say("installing the locked packages (a minute or two the first time)")
    must(
        UV, "pip", "install", "--python", PYTHON, *locked,
        fix="Is there a network and enough disk space?",
    )  # fmt: skip
    must(
        UV, "pip", "install", "--python", PYTHON, "--quiet", "--no-deps", "--editable", ROOT,
        fix="Please report this with the lines above.",
    )  # fmt: skip


def main() -> None:
    started = time.monotonic()
    match sys.argv[1:]:
        case ["--fill-wheels", folder]:
            fill_wheels(Path(folder))
            return
        case ["--wheels", folder]:
            wheels = Path(folder)
        case _:
            wheels = None
    if READY.exists() and READY.read_text() == fingerprint():
        return
    if wheels is not None:
        install_from_wheels(wheels)
    else:
        install_from_network()
    READY.write_text(fingerprint())
    say(f"ready after {time.monotonic() - started:.0f} s; next: make demo, make test, make lab")


if __name__ == "__main__":
    try:
        main()
    except InstallError as error:
        sys.exit(f"[install] {error}")

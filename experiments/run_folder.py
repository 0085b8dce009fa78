"""The folder of a run: its settings, versions, seed, metrics, results and figures.

The name is a function of the settings, so the same command finds the same folder: it continues
there if it was killed, and shows the finished result if it was not.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from theory.errors import InputError
from theory.storage import write_atomically

PROJECT = "smartclip-testbed"
VERSIONS = "versions.json"
RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder that holds one run."""

    path: Path

    @classmethod
    def open(cls, root: Path, name: str, settings: dict[str, Any]) -> "RunFolder":
        """`root/name-xxxxxxxx`, with the settings and the versions written into it.

        Args:
            root: where runs are kept.
            name: what the run is, for people.
            settings: everything the result depends on, in plain JSON types.
        """
        text = json.dumps(settings, sort_keys=True, default=str)
        folder = cls(root / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}")
        folder.write_json("config.json", settings)
        folder.write_json(VERSIONS, provenance())
        return folder

    def write_json(self, name: str, value: Any) -> Path:
        """Write plain JSON types to `name`, whole or not at all."""
        return write_json(self.path / name, value)

    def figure(self, name: str) -> Path:
        """Where the figure `name` belongs."""
        return self.path / "figures" / f"{name}.png"


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote.

    Raises:
        InputError: it cannot be read, or is no object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} could not be read ({error})",
            rule="a run folder has its settings and results as JSON",
            fix="run the command that wrote it again",
        ) from error
    return found if isinstance(found, dict) else {}


def provenance() -> dict[str, Any]:
    """What ran: the commit, the libraries that the project asks for, threads and machine.

    `commit` is None outside a git checkout; `changed` says whether files differed from it.
    """
    found: dict[str, Any] = {PROJECT: version(PROJECT)}
    for line in requires(PROJECT) or []:
        if "extra ==" not in line:
            package = re.split(r"[^\w.-]", line, maxsplit=1)[0]
            with suppress(PackageNotFoundError):
                found[package] = version(package)
    commit = _git("rev-parse", "HEAD")
    torch = sys.modules.get("torch")
    return found | {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "commit": commit,
        "changed": None if commit is None else bool(_git("status", "--porcelain")),
        "threads": os.cpu_count() if torch is None else torch.get_num_threads(),
    }


def _git(*arguments: str) -> str | None:
    """What git says of the checkout that this file is tracked in; None without one."""
    here = Path(__file__)
    git = shutil.which("git")
    if git is None:
        return None
    known = (git, "-C", str(here.parent))
    try:
        for command in (("ls-files", "--error-unmatch", here.name), arguments):
            done = subprocess.run(  # noqa: S603  (git itself, with words from this file)
                [*known, *command], capture_output=True, text=True, timeout=20, check=True
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def write_json(path: Path, value: Any) -> Path:
    """Write plain JSON types, whole or not at all, the same bytes for the same value."""
    with write_atomically(path) as temporary:
        temporary.write_text(json_text(value))
    return path


def json_text(value: Any) -> str:
    """Plain JSON types for people and programs, the same text for the same value."""
    return json.dumps(value, indent=2, sort_keys=True, default=str) + "\n"

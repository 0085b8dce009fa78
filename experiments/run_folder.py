"""The folder of a run: its settings, versions, seed, metrics, results and figures.

The name is a function of the settings, so the same command finds the same folder: it continues
there if it was killed, and shows the finished result if it was not.
"""

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from theory.errors import InputError
from theory.storage import write_atomically

PACKAGES = ("smartclip-testbed", "torch", "numpy", "scipy", "scikit-learn", "open-clip-torch")
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
        folder.write_json(
            "versions.json",
            {package: version(package) for package in PACKAGES}
            | {"python": platform.python_version(), "machine": platform.machine()},
        )
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


def write_json(path: Path, value: Any) -> Path:
    """Write plain JSON types, whole or not at all, the same bytes for the same value."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")
    return path

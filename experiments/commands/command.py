"""What every `smartclip` command has in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Command(ABC):
    """A command is its own configuration: its fields are the flags, `run` does the work."""

    json: Path | None = None
    """Write the machine-readable result to this file."""

    @abstractmethod
    def run(self) -> dict[str, Any]:
        """Do the work, print for people, return what `--json` writes (plain JSON types)."""

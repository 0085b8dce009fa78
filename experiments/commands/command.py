"""What every `smartclip` command has in common."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Command(ABC):
    """A command is its own configuration: its fields are the flags, `run` does the work."""

    joins: ClassVar[bool] = False
    """Whether several processes of torchrun do it together."""

    json: Path | None = None
    """Write the machine-readable result to this file."""

    @abstractmethod
    def run(self) -> dict[str, Any]:
        """Do the work, print for people, return what `--json` writes (plain JSON types)."""

    def refuse_company(self) -> None:
        """Of several processes, each would do the work of one and write over the others.

        Raises:
            InputError: torchrun started more than one, and this command does not join them. The
                first process says so; the others leave.
        """
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        if processes == 1 or self.joins:
            return
        if os.environ.get("RANK", "0") != "0":
            raise SystemExit(2)
        raise InputError(
            f"{type(self).__name__.lower()} on {processes} processes",
            rule="of the commands only train and verify join the processes of torchrun",
            fix="run it without torchrun",
        )

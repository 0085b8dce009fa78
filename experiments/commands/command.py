"""What every `smartclip` command has in common."""

import os
import re
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.run_folder import json_text, write_json
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Command(ABC):
    """A command is its own configuration: its fields are the flags, `run` does the work.

    Its name says what is typed: `Predict` is `smartclip predict`, `DataAudit` is `smartclip data
    audit`. It stands in a module of this folder, and nothing else has to name it.
    """

    joins: ClassVar[bool] = False
    """Whether several processes of torchrun do it together."""

    resumes: ClassVar[bool] = False
    """Whether the same command goes on where it was stopped."""

    json: Path | None = None
    """Write the machine-readable result to this file; - is standard output."""

    @abstractmethod
    def run(self) -> dict[str, Any]:
        """Do the work, print for people, return what `--json` writes (plain JSON types)."""

    @property
    def pipes(self) -> bool:
        """Whether the machine-readable result goes to standard output."""
        return self.json == Path("-")

    def answer(self, result: dict[str, Any]) -> None:
        """Write the machine-readable result where it was asked for."""
        if self.pipes:
            sys.stdout.write(json_text(result))
        elif self.json is not None:
            write_json(self.json, result)

    def code(self, result: dict[str, Any]) -> int:
        """What the process exits with."""
        return 0

    @classmethod
    def words(cls) -> tuple[str, ...]:
        """What is typed after `smartclip`."""
        return tuple(word.lower() for word in re.findall("[A-Z][a-z0-9]*", cls.__name__))

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
            f"{' '.join(self.words())} on {processes} processes",
            rule="of the commands only train and verify join the processes of torchrun",
            fix="run it without torchrun",
        )

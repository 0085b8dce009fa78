"""`pytest -m gpu`: what failed, one line each."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from experiments.benchmarks.gpu.part import Part, Row

ROOT = Path(__file__).parents[4]
# A test that needs no device and stands beside those that do.
TOY = "tests/smartclip/train/test_phases.py"


class DeviceTests(Part):
    """The tests that need a GPU."""

    name: ClassVar[str] = "tests"
    title: ClassVar[str] = "Tests that need a GPU"
    order: ClassVar[int] = 1
    limit: ClassVar[int] = 110

    def rows(self) -> Iterator[Row]:
        asked = [TOY] if self.pretend else ["-m", "gpu"]
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-rf"]
        done = subprocess.run(  # noqa: S603 -- pytest
            [*command, *asked], cwd=ROOT, capture_output=True, text=True
        )
        for line in done.stdout.splitlines():
            if line.startswith(("FAILED", "ERROR")):
                yield {"result": line}
        print(done.stdout, file=sys.stderr)
        last = done.stdout.strip().splitlines() or [done.stderr.strip()[-300:]]
        yield {"result": re.sub(r"^=+ | =+$", "", last[-1])}
        if done.returncode:
            raise SystemExit(done.returncode)

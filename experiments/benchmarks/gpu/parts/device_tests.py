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
    limit: ClassVar[int] = 150

    def rows(self) -> Iterator[Row]:
        asked = [TOY] if self.pretend else ["-m", "gpu"]
        command = [sys.executable, "-m", "pytest", "-v", "--tb=short", "-n", "2", *asked]
        passed = 0
        with subprocess.Popen(  # noqa: S603 -- pytest
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
        ) as worker:
            assert worker.stdout is not None
            for line in worker.stdout:
                print(line, end="", file=sys.stderr)  # the log has the reasons
                if found := re.search(r"\b(PASSED|FAILED|ERROR|SKIPPED)\b.* (tests/\S+)", line):
                    result, name = found.groups()
                    if result == "PASSED":
                        passed += 1
                    else:
                        yield {"result": result.lower(), "test": name}
        yield {"result": f"{passed} passed", "test": ""}
        if worker.returncode:
            raise SystemExit(worker.returncode)

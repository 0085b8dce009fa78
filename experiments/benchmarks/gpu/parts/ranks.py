"""Two processes on two GPUs compute what one does: the distributed tests on NCCL."""

import subprocess
import sys
from collections.abc import Iterator
from typing import ClassVar

import torch

from experiments.benchmarks.gpu.part import Part, Row
from experiments.benchmarks.gpu.parts.device_tests import ROOT

TEST = "tests/smartclip/train/test_distributed.py"


class Ranks(Part):
    """Needs two GPUs."""

    name: ClassVar[str] = "ranks"
    title: ClassVar[str] = "Two NCCL ranks"
    order: ClassVar[int] = 7
    limit: ClassVar[int] = 120

    def rows(self) -> Iterator[Row]:
        if torch.cuda.device_count() < 2:
            yield {"result": "not run: there are no two GPUs"}
            return
        command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-m", "gpu", TEST]
        done = subprocess.run(  # noqa: S603 -- pytest
            command, cwd=ROOT, capture_output=True, text=True
        )
        yield {"result": done.stdout.strip().splitlines()[-1]}

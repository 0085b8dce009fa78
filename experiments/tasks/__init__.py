"""What a trained model is judged by, one task a file. They list themselves."""

import sys

from experiments.registry import kinds
from experiments.tasks.task import Task


def tasks() -> dict[str, type[Task]]:
    """Name -> task.

    >>> "retrieval" in tasks()
    True
    """
    return {one.name: one for one in kinds(sys.modules[__name__], Task)}

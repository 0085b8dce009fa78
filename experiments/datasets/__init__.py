"""The data sets, one file each. They list themselves: a new file here is a new data set."""

import sys

from experiments.datasets.dataset import Dataset
from experiments.registry import kinds


def datasets() -> dict[str, type[Dataset]]:
    """Name -> data set."""
    return {one.name: one for one in kinds(sys.modules[__name__], Dataset)}

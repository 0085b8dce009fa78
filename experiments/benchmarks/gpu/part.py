"""A part of the GPU benchmark: a question, and rows that answer it one after another."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import torch

Row = dict[str, Any]


class Part(ABC):
    """One question.

    Args:
        pretend: toy sizes, on the CPU.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """On the page."""
    order: ClassVar[int]
    """What is lost least if the machine is taken away comes last."""
    limit: ClassVar[int]
    """Seconds after which the part is stopped; its rows so far are kept."""

    def __init__(self, *, pretend: bool) -> None:
        self.pretend = pretend
        self.device = torch.device("cpu" if pretend else "cuda")

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Rows of plain values, with units in their names."""

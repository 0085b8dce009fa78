"""A task: data in a public layout, a model -> scores, each query apart, with the protocol.

A task is one file in this folder with one subclass of `Task`; nothing else has to name it. The
formulas stand in `smartclip.evaluate`; here stand the layouts, what is asked, and how it is told.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np

    from smartclip.evaluate.comparison import Difference
    from smartclip.evaluate.embedder import Embedder


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the data of a task lie.

    Attributes:
        path: file or folder, as the data set is published.
        pictures: folder of the pictures, if it is not where the layout expects it.
        split: of layouts that have several.
        format: of captions, where the path does not tell.
    """

    path: Path
    pictures: Path | None = None
    split: str | None = None
    format: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One number with what it is the mean of.

    Attributes:
        values: of each query, from 0 to 1.
        groups: of each query, those that are not independent together; None if each stands alone.
        chance: expected without looking; None where it is not known.
    """

    values: "np.ndarray"
    groups: Sequence[object] | None = None
    chance: float | None = None

    def interval(self) -> "Difference":
        """The mean with a bootstrap interval over groups."""
        from smartclip.evaluate.comparison import paired_difference

        return paired_difference(self.values, 0 * self.values, groups=self.groups)

    def beside(self, other: "Score") -> "Difference":
        """This minus another on the same queries, with a paired bootstrap interval."""
        from smartclip.evaluate.comparison import paired_difference

        return paired_difference(self.values, other.values, groups=self.groups)


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A score against a setting.

    Attributes:
        title: what is scored.
        setting: what is on the x axis.
        at: its values.
        lines: label -> the score at each.
    """

    title: str
    setting: str
    at: list[float]
    lines: dict[str, list[float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a task says of one model.

    Attributes:
        protocol: split, captions, prompt, precision, crop, context and all else that the numbers
            depend on.
        scores: by name.
        numbers: values that are no mean over queries, such as a median rank.
        curves: by name.
    """

    protocol: dict[str, Any]
    scores: dict[str, Score]
    numbers: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        scores = {}
        for name, score in self.scores.items():
            found = score.interval()
            scores[name] = {
                "value": found.mean,
                "low": found.low,
                "high": found.high,
                "level": found.level,
                "queries": len(score.values),
                "groups": found.groups,
                "chance": score.chance,
            }
        return {
            "protocol": self.protocol,
            "scores": scores,
            "numbers": self.numbers,
            "curves": {
                name: {"setting": curve.setting, "at": curve.at, "lines": curve.lines}
                for name, curve in self.curves.items()
            },
        }


class Task(ABC):
    """One way to judge a model."""

    name: ClassVar[str]
    """On the command line."""
    told: ClassVar[str]
    """What it asks, and of which data, in a line."""

    @abstractmethod
    def measure(self, embedder: "Embedder", place: Place) -> Outcome:
        """Ask one model.

        Raises:
            InputError: data that are not there, or not in a layout of this task.
        """


def fraction(part: int, whole: int) -> str:
    """`3 of 4`, and in the protocol how much of a data set was used."""
    return f"{part:,} of {whole:,}"

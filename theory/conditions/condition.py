"""What a condition is, and the list of all of them: each file of this package adds its own."""

from dataclasses import dataclass
from typing import Literal

Cost = Literal["purity", "completeness", "counts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One assumption: its name, what it says, and what is lost without it.

    Attributes:
        name: C1, C2, ...
        title: a few words.
        latex: the assumption in LaTeX.
        meaning: the assumption in words.
        without: what happens where it does not hold, in words.
        costs: what `theory.prediction.predict` no longer promises without it: *purity* (no block is
            kept from others), *completeness* (a caption may lose what it mentions), *counts* (an
            intersection may have too few coordinates). Empty where the other conditions suffice.
        source: where it is from.

    >>> from theory.conditions import CONDITIONS
    >>> CONDITIONS["C5"].title, sorted(CONDITIONS["C5"].costs)
    ('budget', ['counts'])
    """

    name: str
    title: str
    latex: str
    meaning: str
    without: str
    costs: frozenset[Cost]
    source: str

    def _repr_latex_(self) -> str:
        return f"$\\text{{{self.name} ({self.title}): }} {self.latex}$"


CONDITIONS: dict[str, Condition] = {}


def register(condition: Condition) -> Condition:
    """Add a condition to `CONDITIONS`; called once in the file of each condition.

    >>> CONDITIONS["C4"].name
    'C4'
    """
    assert condition.name not in CONDITIONS, f"two conditions are called {condition.name}"
    CONDITIONS[condition.name] = condition
    return condition

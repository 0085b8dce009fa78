"""A table of a study's page."""

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(rows: Sequence[Mapping[Any, object]]) -> str:
    """The rows in Markdown under the keys of the first.

    >>> print(markdown([{"k": 1, "R2": 0.9}, {"k": 2, "R2": 0.8}]))
    | k | R2 |
    |:--|:--|
    | 1 | 0.9 |
    | 2 | 0.8 |
    """
    titles = list(rows[0])
    head = [_line(titles), "|" + ":--|" * len(titles)]
    return "\n".join([*head, *(_line(list(row.values())) for row in rows)])


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"

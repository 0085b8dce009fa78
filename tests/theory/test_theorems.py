"""The statements are complete, and each names a function that exists."""

import importlib
from pathlib import Path

import pytest

from theory.conditions import CONDITIONS
from theory.theorems import STATEMENTS, Statement


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_names_conditions_and_a_function(statement: Statement):
    assert set(statement.hypotheses) <= set(CONDITIONS)
    assert all((statement.latex, statement.conclusion, statement.sketch, statement.source))
    parts = statement.function.split(".")
    found = importlib.import_module(".".join(parts[:2]))
    for part in parts[2:]:
        found = getattr(found, part)
    assert callable(found)


def test_the_statements_are_numbered_and_found_by_number():
    assert list(STATEMENTS) == [f"3.{number}" for number in range(1, 12)]
    assert STATEMENTS[3.4] is STATEMENTS["3.4"]
    with pytest.raises(KeyError):
        STATEMENTS[4.2]


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_is_proved_in_the_docs(statement: Statement):
    text = (Path(__file__).parents[2] / "docs" / "theory.md").read_text()
    assert f"## {statement.number} " in text

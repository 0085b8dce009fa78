"""Every example in the docstrings of `theory/` runs."""

import doctest
import importlib
import pkgutil

import pytest

import theory

MODULES = ["theory"] + [
    f"theory.{module.name}" for module in pkgutil.iter_modules(theory.__path__) if not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0 or name in {"theory"}

"""Every example in the docstrings of `theory/` runs."""

import doctest
import importlib
import pkgutil

import pytest

import theory

MODULES = ["theory"] + [
    module.name for module in pkgutil.walk_packages(theory.__path__, "theory.") if not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0 or name == "theory" or name.startswith("theory.recovery.")

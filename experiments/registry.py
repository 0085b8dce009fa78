"""Things that list themselves: every module of a package that defines one of a kind.

A data set, a command or a study is one file in its folder. Nothing else has to name it: this looks
into the folder.
"""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

Kind = TypeVar("Kind")


def modules(package: ModuleType) -> list[str]:
    """Full names of the modules in a package, in order."""
    return sorted(
        f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)
    )


def kinds(package: ModuleType, kind: type[Kind]) -> list[type[Kind]]:
    """The concrete subclasses of `kind` that the modules of a package define, in their order.

    >>> import experiments.commands
    >>> from experiments.commands.command import Command
    >>> "Predict" in [one.__name__ for one in kinds(experiments.commands, Command)]
    True
    """
    return [
        one for name in modules(package) for one in of_module(importlib.import_module(name), kind)
    ]


def of_module(module: ModuleType, kind: type[Kind]) -> list[type[Kind]]:
    """The concrete subclasses of `kind` that a module defines, not those that it imports."""
    return [
        one
        for one in vars(module).values()
        if inspect.isclass(one)
        and issubclass(one, kind)
        and one.__module__ == module.__name__
        and not inspect.isabstract(one)
    ]

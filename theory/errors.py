"""The one error a user sees: what was given, the rule it breaks, and how to mend it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Raised = TypeVar("Raised", bound=BaseException)


class InputError(ValueError):
    """Bad input, told in one line: the input, the rule, the fix.

    Every layer raises it; the command line prints it on stderr and exits with 2, without a
    traceback.

    >>> raise InputError("caption 2 is empty", rule="a caption mentions a concept", fix="drop it")
    Traceback (most recent call last):
        ...
    theory.errors.InputError: caption 2 is empty; a caption mentions a concept: drop it
    """

    def __init__(self, given: str, *, rule: str, fix: str) -> None:
        super().__init__(f"{given}; {rule}: {fix}")
        self.given = given
        self.rule = rule
        self.fix = fix

    def __reduce__(self) -> "tuple[Callable[..., Any], tuple[Any, ...]]":
        return as_sent(self)


def refuse_broken_rules(settings: object, rules: Mapping[str, tuple[bool, str]]) -> None:
    """The first attribute of `settings` that breaks its rule is an `InputError`.

    Args:
        settings: has the attributes that `rules` names.
        rules: attribute -> whether its rule holds, and the rule in words.
    """
    for name, (holds, rule) in rules.items():
        if not holds:
            raise InputError(
                f"{name} = {getattr(settings, name)!r}", rule=f"{name} is {rule}", fix="change it"
            )


def as_sent(error: BaseException) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """What `__reduce__` of an exception returns whose `__init__` does not take its `args`.

    Python rebuilds an exception from another process as `kind(*args)`. Where that is no call of
    `__init__`, the error of one case breaks the whole pool of processes.
    """
    return _received, (type(error), error.args, dict(vars(error)))


def _received(kind: type[Raised], args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Raised:
    """The exception as it was raised, without a second call of its `__init__`."""
    error = kind.__new__(kind, *args)
    # The builtin base keeps fields of its own, such as the code of a SystemExit.
    builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    builtin.__init__(error, *args)
    vars(error).update(attributes)
    return error

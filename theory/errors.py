"""The one error a user sees: what was given, the rule it breaks, and how to mend it."""

from collections.abc import Mapping


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

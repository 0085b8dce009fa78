"""The one error a user sees: what was given, the rule it breaks, and how to mend it."""


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

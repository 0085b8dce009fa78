"""Scenes of handwritten digits, drawn and not read."""

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Where
from theory.errors import InputError


def _read(where: Where) -> ImageText:
    if where.path is not None:
        raise InputError(
            f"the path {where.path} for digits",
            rule="digits are drawn, not read",
            fix="leave the path out; exported digits have the format world",
        )
    from smartclip.data.drawn import read_digits  # imports torch

    return read_digits()


FORMAT = Format(
    name="digits",
    told="drawn scenes of handwritten digits; no path",
    read=_read,
    looks=lambda _: False,
    made=True,
    takes=(),
)

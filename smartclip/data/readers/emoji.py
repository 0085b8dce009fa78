"""Emoji of two vendors, fetched into a cache."""

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Where


def _read(where: Where) -> ImageText:
    from smartclip.data.drawn import read_emoji  # imports torch

    return read_emoji(where.path)


FORMAT = Format(
    name="emoji",
    told="emoji of two vendors; the path is the cache folder",
    read=_read,
    looks=lambda _: False,
    made=True,
    takes=(),
)

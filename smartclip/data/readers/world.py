"""A simulated world that `smartclip data export` wrote."""

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Where


def _read(where: Where) -> ImageText:
    from smartclip.data.drawn import read_world  # imports torch

    return read_world(where.given)


FORMAT = Format(
    name="world",
    told="what `smartclip data export` wrote",
    read=_read,
    looks=lambda glance: "family.json" in glance.names,
    over=("webdataset", "parquet"),
    takes=(),
)

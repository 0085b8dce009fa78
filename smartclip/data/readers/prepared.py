"""Shards that `smartclip data prepare` wrote."""

from smartclip.data.layout import Format, Glance
from smartclip.data.prepared import FORMAT as NAME
from smartclip.data.prepared import INDEX, read_prepared
from smartclip.data.written import head


def _looks(glance: Glance) -> bool:
    return (glance.path / INDEX).is_file() and NAME in head(glance.path / INDEX)


FORMAT = Format(
    name="prepared",
    told="shards of `smartclip data prepare`, with index and checksums",
    read=lambda where: read_prepared(where.given),
    looks=_looks,
    over=("webdataset", "parquet"),
    takes=(),
)

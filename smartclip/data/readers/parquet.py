"""Parquet files whose rows hold pictures, or name them."""

from smartclip.data.layout import Format, Glance
from smartclip.data.parquet import files_in, read_parquet


def _looks(glance: Glance) -> bool:
    if glance.is_folder:
        return bool(files_in(glance.path)) and not glance.holds("metadata.*")
    return glance.ends(".parquet")


FORMAT = Format(
    name="parquet",
    told="a .parquet, or a folder of them",
    read=lambda where: read_parquet(where.given, where.pictures, split=where.split),
    looks=_looks,
    takes=("pictures", "split"),
)

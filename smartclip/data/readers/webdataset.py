"""WebDataset-format shards."""

from smartclip.data.layout import Format
from smartclip.data.shards import read_shards

FORMAT = Format(
    name="webdataset",
    told="a .tar, or a folder of them",
    read=lambda where: read_shards(where.given, split=where.split),
    looks=lambda glance: glance.ends(".tar") or glance.holds("*.tar"),
    over=("parquet",),  # img2dataset writes a table of addresses beside each shard
    takes=("split",),
)

"""The folder that img2dataset writes with its default `output_format=files`."""

from smartclip.data.beside import read_texts
from smartclip.data.layout import Format, Glance


def _has_folders(glance: Glance) -> bool:
    return any(name.isdigit() and (glance.path / name).is_dir() for name in glance.names)


# 00000/ with 000000000.jpg, .txt and .json; beside it 00000.parquet and 00000_stats.json, which
# list the addresses of the pictures and not the pictures.
FORMAT = Format(
    name="img2dataset",
    told="img2dataset's folders 00000, 00001 ... with .jpg, .txt and .json",
    read=lambda where: read_texts(where.given, where.pictures, records=True),
    looks=lambda glance: glance.holds("*_stats.json") and _has_folders(glance),
    over=("parquet",),
)

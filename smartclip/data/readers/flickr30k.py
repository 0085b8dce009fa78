"""Flickr30k (Young et al., TACL 2014): five captions a picture, in any of its three layouts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Glance
from smartclip.data.rows import Row, rows
from smartclip.data.tables import Pair, as_list, below, collected, numbered_lines
from smartclip.data.written import head, not_a_table
from theory.errors import InputError

_NAMES = ("results_20130124.token", "results.csv", "flickr_annotations_30k.csv")
_FOLDERS = ("flickr30k-images", "flickr30k_images", "images", "Images")
_TOKEN = re.compile(r"[^\t]+#\d+\t")


def read_flickr30k(path: Path, root: Path | None = None) -> ImageText:
    """Captions, five a picture, in any of three layouts.

    - `results_20130124.token`: `1000092795.jpg#0`, a tab, the caption (Flickr8k's too);
    - `results.csv`: `image_name| comment_number| comment`;
    - `flickr_annotations_30k.csv`: `raw` (a JSON list of captions), ..., `filename`, ...

    Args:
        path: the table, or a folder with one of them.
        root: folder of the pictures; `flickr30k-images` or the like beside the table by default.
    """
    if path.is_dir():
        tokens = sorted(each.name for each in path.glob("*.token*"))
        found = [path / name for name in (*_NAMES, *tokens) if (path / name).exists()]
        if not found:
            raise InputError(
                f"{path} lacks a table of Flickr30k",
                rule="the captions are in one of " + ", ".join(_NAMES),
                fix="check the path",
            )
        path = found[0]
    first = next((line for _, line in numbered_lines(path)), "").rstrip("\r\n")
    beside = (path.parent / name for name in _FOLDERS)
    locate = below(root or next((each for each in beside if each.is_dir()), path.parent))
    if first.startswith("image_name|") or first.count("|") >= 2:
        told = (
            (at, line) for at, line in numbered_lines(path) if not line.startswith("image_name")
        )
        return collected(path, told, _bars, locate)
    if _TOKEN.match(first):
        return collected(path, numbered_lines(path), _token, locate)
    if {"raw", "filename"} <= set(first.split(",")):
        return collected(path, rows(path, ("filename",), ("raw",)), _annotated, locate)
    raise not_a_table(path, "its first line is none of Flickr30k's")


def _token(line: str) -> Iterator[Pair]:
    which, tab, caption = line.partition("\t")
    if not tab:
        raise ValueError("it has no tab between picture and caption")
    yield which.rpartition("#")[0], caption


def _bars(line: str) -> Iterator[Pair]:
    parts = line.split("|", 2)
    if len(parts) < 3:
        raise ValueError("it has not two bars between picture, number and caption")
    yield parts[0].strip(), parts[2]


def _annotated(row: Row) -> Iterator[Pair]:
    name, raw = row.read()
    for caption in as_list(json.loads(raw)) or [None]:
        yield name, caption


def _looks(glance: Glance) -> bool:
    if glance.is_folder:
        bars = "results.csv" in glance.names and "|" in head(glance.path / "results.csv")
        return bars or "flickr_annotations_30k.csv" in glance.names or glance.holds("*.token*")
    line = glance.first_line
    annotated = {"raw", "filename", "sentids"} <= set(line.split(","))
    tokens = glance.ends(".token", ".token.txt", ".txt") and _TOKEN.match(line) is not None
    return tokens or (glance.ends(".csv") and (line.startswith("image_name|") or annotated))


FORMAT = Format(
    name="flickr30k",
    told="Flickr30k's .token, results.csv or flickr_annotations_30k.csv",
    read=lambda where: read_flickr30k(where.given, where.pictures),
    looks=_looks,
)

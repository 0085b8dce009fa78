"""Data sets that are a folder in a layout of their own: Flickr30k, Urban1k, DOCCI, an image folder.

The layouts are those in which each is given out; where there are several, each is known.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText, Problem
from smartclip.data.records import Gathering
from smartclip.data.tables import Pair, collected, lines, not_a_table, read_csv, read_jsonl
from theory.errors import InputError

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def read_flickr30k(path: Path, root: Path | None = None) -> ImageText:
    """Flickr30k's captions, five a picture, in any of its three layouts.

    - `results_20130124.token`: `1000092795.jpg#0`, a tab, the caption;
    - `results.csv`: `image_name| comment_number| comment`;
    - `flickr_annotations_30k.csv`: `raw` (a JSON list of captions), ..., `filename`, ...

    Args:
        path: the table, or a folder with one of them.
        root: folder of the pictures; `flickr30k-images` or the like beside the table by default.
    """
    if path.is_dir():
        names = ("results_20130124.token", "results.csv", "flickr_annotations_30k.csv")
        path = _first(path, [path / name for name in names], "a table of Flickr30k")
    head = next(lines(path), "").strip()
    if "|" in head:
        pairs = _bars
    elif "#" in head and "\t" in head:
        pairs = _token
    elif {"raw", "filename"} <= set(head.split(",")):
        pairs = None
    else:
        raise not_a_table(path, "its first line is none of Flickr30k's")
    folder = root or _beside(path, ("flickr30k-images", "flickr30k_images", "images"))

    def locate(name: str) -> Path:
        return folder / name

    if pairs is not None:
        records = (line for line in lines(path) if not line.startswith("image_name|"))
        return collected(path, records, pairs, locate)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return collected(path, csv.DictReader(file, strict=True), _annotated, locate)
    except (OSError, csv.Error) as error:
        raise not_a_table(path, str(error)) from error


def _token(line: str) -> Iterator[Pair]:
    which, caption = line.split("\t", 1)
    yield which.rpartition("#")[0], caption


def _bars(line: str) -> Iterator[Pair]:
    name, _, caption = line.split("|", 2)
    yield name.strip(), caption


def _annotated(row: dict[str, str]) -> Iterator[Pair]:
    for caption in json.loads(row["raw"]):
        yield row["filename"], caption


def read_urban1k(folder: Path, root: Path | None = None) -> ImageText:
    """Urban1k (Long-CLIP, ECCV 2024): `image/1.jpg` and `caption/1.txt`, a thousand of each.

    Args:
        folder: holds `image` and `caption`.
        root: folder of the pictures, if it is elsewhere.
    """
    if not (folder / "caption").is_dir():
        raise InputError(
            f"{folder} has no folder `caption`",
            rule="Urban1k is the folders `image` and `caption`",
            fix="give the folder that holds both",
        )
    return _with_texts(folder, root or folder / "image", folder / "caption")


def read_docci(folder: Path, root: Path | None = None, *, split: str | None = None) -> ImageText:
    """DOCCI (Onoe et al., ECCV 2024): `docci_descriptions.jsonlines` and the folder `images`.

    Args:
        folder: that of both, or the table itself.
        root: folder of the pictures, if it is elsewhere.
        split: `train`, `test`, `qual_dev` or `qual_test`; all by default.
    """
    path = folder
    if folder.is_dir():
        found = sorted([*folder.glob("*descriptions*.jsonlines"), *folder.glob("*.jsonlines")])
        path = _first(folder, found, "DOCCI's descriptions (.jsonlines)")
    pictures = root or path.parent / "images"

    def pairs(line: str) -> Iterator[Pair]:
        record = json.loads(line)
        if split in (None, record["split"]):
            yield record["image_file"], record["description"]

    data = collected(path, lines(path), pairs, lambda name: pictures / name)
    if not (data.examples or data.problems):
        raise InputError(
            f"{path} has no picture" + ("" if split is None else f" in the split {split!r}"),
            rule="a split holds pictures",
            fix="choose train, test, qual_dev or qual_test",
        )
    return data


def read_folder(folder: Path, root: Path | None = None) -> ImageText:
    """Pictures with one table (`metadata.csv`, any single CSV, TSV or JSONL), or a `.txt` each.

    Args:
        folder: of the pictures, and of folders of pictures.
        root: folder that the names in the table start from, if it is elsewhere.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is no folder", rule="an image folder is one", fix="check the path"
        )
    tables = [path for kind in ("csv", "tsv", "jsonl") for path in sorted(folder.glob(f"*.{kind}"))]
    named = [path for path in tables if path.stem == "metadata"]
    if len(tables) > 1 and len(named) != 1:
        raise InputError(
            f"{folder} holds the tables {', '.join(path.name for path in tables)}",
            rule="the captions are in one of them",
            fix="give the path of that one, with its format",
        )
    if not tables:
        return _with_texts(folder, root or folder, folder)
    table = (named or tables)[0]
    return (read_jsonl if table.suffix == ".jsonl" else read_csv)(table, root or folder)


def _with_texts(source: Path, pictures: Path, captions: Path) -> ImageText:
    """Each text with the picture of the same name; texts and pictures alone are problems."""
    images = {
        path.relative_to(pictures).with_suffix("").as_posix(): path
        for path in _sorted(pictures)
        if path.suffix.lower() in PICTURES
    }
    gathering = Gathering()
    problems: list[Problem] = []
    for path in _sorted(captions):
        if path.suffix != ".txt":
            continue
        key = path.relative_to(captions).with_suffix("").as_posix()
        image = images.pop(key, None)
        try:
            caption = path.read_text(encoding="utf-8-sig").strip()
        except (OSError, ValueError) as error:
            problems.append(Problem(name=key, fault="wrong record", detail=repr(error)))
            continue
        if image is None:
            detail = f"no picture beside {path.name}"
            problems.append(Problem(name=key, fault="missing", detail=detail))
        elif not caption:
            problems.append(Problem(name=key, fault="no caption", detail=f"{path.name} is empty"))
        else:
            gathering.add(image.relative_to(pictures).as_posix(), caption)
    for key in images:
        problems.append(Problem(name=key, fault="no caption", detail="no text beside the picture"))
    examples = gathering.records(lambda name: pictures / name)
    if not (examples or problems):
        raise InputError(
            f"{source} holds neither pictures nor texts",
            rule="a picture and its text have the same name",
            fix="check the path",
        )
    return ImageText(source=str(source), examples=examples, problems=tuple(problems))


def _sorted(folder: Path) -> list[Path]:
    """Files below a folder; numbers in their order, 2 before 10."""

    def key(path: Path) -> Any:
        return path.parent, not path.stem.isdigit(), path.stem.zfill(20), path.suffix

    return sorted((path for path in folder.rglob("*") if path.is_file()), key=key)


def _first(folder: Path, paths: list[Path], what: str) -> Path:
    for path in paths:
        if path.exists():
            return path
    raise InputError(f"{folder} lacks {what}", rule="the captions are there", fix="check the path")


def _beside(path: Path, names: tuple[str, ...]) -> Path:
    return next(
        (path.parent / name for name in names if (path.parent / name).is_dir()), path.parent
    )

"""Captions in one table beside folders of pictures: CSV, JSONL, COCO, Karpathy, ShareGPT4V.

A file that is no table at all is an error. A single record that is wrong is left out, with its
name and the reason; whether the pictures exist and open is what `smartclip.data.audit` looks at.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from smartclip.data.examples import Example, ImageText, Problem, is_inside
from smartclip.data.pictures import Blob
from theory.errors import InputError

Pair = tuple[str, str]
"""File name of a picture and one caption of it."""


def read_csv(path: Path, root: Path | None = None) -> ImageText:
    """A CSV with the columns `image` and `caption`; a picture in several rows has several captions.

    Args:
        path: the table, UTF-8.
        root: folder of the pictures; that of the table by default.
    """
    rows = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        columns = rows.fieldnames or ()
        records = list(rows)
    except csv.Error as error:
        raise _not_a_table(path, str(error)) from error
    if not {"image", "caption"} <= set(columns):
        raise InputError(
            f"{path} has the columns {', '.join(columns)}",
            rule="the table names pictures and captions",
            fix="give it the columns image,caption",
        )
    return _collected(
        path, records, lambda row: [(row["image"], row["caption"])], (root or path.parent).joinpath
    )


def read_jsonl(path: Path, root: Path | None = None) -> ImageText:
    """One JSON object a line: `image`, and `caption` or a list `captions`.

    Args:
        path: the table, UTF-8.
        root: folder of the pictures; that of the table by default.
    """
    lines = [line for line in _text(path).split("\n") if line.strip()]
    if not lines:
        raise _not_a_table(path, "it is empty")

    def pairs(line: str) -> Iterator[Pair]:
        record = json.loads(line)
        several = record["captions"] if "captions" in record else [record["caption"]]
        for caption in several:
            yield record["image"], caption

    return _collected(path, lines, pairs, (root or path.parent).joinpath)


def read_coco(path: Path, root: Path) -> ImageText:
    """COCO captions: `images` with `id` and `file_name`, `annotations` with `image_id`, `caption`.

    Args:
        path: such as `annotations/captions_val2017.json`.
        root: folder of the pictures, such as `val2017`.
    """
    table = _json(path)
    try:
        names = {image["id"]: image["file_name"] for image in table["images"]}
        notes = list(table["annotations"])
    except (KeyError, TypeError) as error:
        raise _not_a_table(path, f"COCO captions have images and annotations: {error}") from error
    return _collected(
        path, notes, lambda note: [(names[note["image_id"]], note["caption"])], root.joinpath
    )


def read_karpathy(path: Path, root: Path, *, split: str | None = None) -> ImageText:
    """Karpathy's JSON for COCO and Flickr30k: `images` with `filename`, `sentences`, `split`.

    Args:
        path: such as `dataset_coco.json`, `dataset_flickr30k.json`.
        root: folder of the pictures; COCO's entries name a folder inside it (`filepath`).
        split: `train`, `val`, `test` or `restval`; all by default.
    """
    table = _json(path)
    try:
        images = [image for image in table["images"] if split in (None, image["split"])]
    except (KeyError, TypeError) as error:
        raise _not_a_table(path, f"Karpathy's JSON has images with a split: {error}") from error
    if not images:
        raise InputError(
            f"{path} has no image in the split {split!r}",
            rule="a split holds images",
            fix="choose train, val, test or restval",
        )

    def pairs(image: dict[str, Any]) -> Iterator[Pair]:
        folder = f"{image['filepath']}/" if image.get("filepath") else ""
        for sentence in image["sentences"]:
            yield folder + image["filename"], sentence["raw"]

    return _collected(path, images, pairs, root.joinpath)


def read_sharegpt4v(path: Path, root: Path, *, roots: dict[str, Path] | None = None) -> ImageText:
    """ShareGPT4V's JSON: a list of `image` and `conversations`; the first answer is the caption.

    Args:
        path: such as `share-captioner_coco_lcs_sam_1246k_1107.json`.
        root: the folder that the names start from, such as `data`.
        roots: a folder that takes the place of the start of a name, such as
            `{"sam/images": Path("sa1b")}`.
    """
    table = _json(path)
    if not isinstance(table, list):
        raise _not_a_table(path, "ShareGPT4V's JSON is a list")
    places = sorted((roots or {}).items(), key=lambda item: -len(item[0]))

    def pairs(record: dict[str, Any]) -> Iterator[Pair]:
        answers = [turn["value"] for turn in record["conversations"] if turn["from"] == "gpt"]
        yield record["image"], answers[0]

    def locate(name: str) -> Path:
        for start, folder in places:
            if name.startswith(f"{start}/"):
                return folder / name.removeprefix(f"{start}/")
        return root / name

    return _collected(path, table, pairs, locate)


def _collected(
    path: Path,
    records: Iterable[Any],
    pairs: Callable[[Any], Iterable[Pair]],
    locate: Callable[[str], Path],
) -> ImageText:
    """Gather the captions of each picture, and what is wrong with single records."""
    captions: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for number, record in enumerate(records):
        where = f"{path.name} record {number}"
        try:
            found = list(pairs(record))
        except (KeyError, TypeError, IndexError, ValueError) as error:
            problems.append(Problem(name=where, fault="wrong record", detail=repr(error)))
            continue
        for name, caption in found:
            if not isinstance(name, str) or not isinstance(caption, str):
                detail = "name and caption are text"
                problems.append(Problem(name=where, fault="wrong record", detail=detail))
            elif not is_inside(name):
                detail = f"{name!r} lies outside the folder of pictures"
                problems.append(Problem(name=where, fault="outside", detail=detail))
            elif not caption.strip():
                problems.append(Problem(name=where, fault="no caption", detail=name))
            else:
                captions.setdefault(name, []).append(caption.strip())
    examples = [
        Example(name=name, captions=tuple(several), image=Blob(path=locate(name)))
        for name, several in captions.items()
    ]
    return ImageText(source=str(path), examples=tuple(examples), problems=tuple(problems))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise _not_a_table(path, str(error)) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise _not_a_table(path, str(error)) from error


def _not_a_table(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} could not be read ({why})",
        rule="captions are read from one table",
        fix="check the path and the format",
    )

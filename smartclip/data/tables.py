"""Captions in one table beside folders of pictures: CSV, JSONL, COCO, Karpathy, ShareGPT4V ...

A file that is no table at all is an error. A single record that is wrong is left out, with its
name and the reason; whether the pictures exist and open is what `smartclip.data.audit` looks at.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText, Problem, is_inside
from smartclip.data.json_list import json_list
from smartclip.data.records import Gathering, Locate
from theory.errors import InputError

Pair = tuple[str, str]
"""File name of a picture and one caption of it."""


NAMES = ("image", "file_name", "filename", "filepath", "path")
"""What tables call the column of picture files."""

CAPTIONS = ("caption", "captions", "text", "description", "title")
"""What tables call the column of captions."""


def read_csv(path: Path, root: Path | None = None) -> ImageText:
    """A CSV or TSV of pictures and captions; a picture in several rows has several captions.

    Args:
        path: the table, UTF-8, with a column of each of `NAMES` and `CAPTIONS`.
        root: folder of the pictures; that of the table by default.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            tabs = path.suffix == ".tsv"
            rows = csv.DictReader(file, delimiter="\t" if tabs else ",", strict=True)
            columns = rows.fieldnames or ()
            name = next((column for column in NAMES if column in columns), None)
            caption = next((column for column in CAPTIONS if column in columns), None)
            if name is None or caption is None:
                raise InputError(
                    f"{path} has the columns {', '.join(columns)}",
                    rule="the table names pictures and captions",
                    fix="give it the columns image,caption",
                )
            return collected(
                path, rows, lambda row: [(row[name], row[caption])], _below(root or path.parent)
            )
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise not_a_table(path, str(error)) from error


def read_jsonl(path: Path, root: Path | None = None) -> ImageText:
    """One JSON object a line: a picture file and a caption, or a list of captions.

    Args:
        path: the table, UTF-8, with a key of each of `NAMES` and `CAPTIONS`.
        root: folder of the pictures; that of the table by default.
    """

    def pairs(line: str) -> Iterator[Pair]:
        record = json.loads(line)
        name = next(record[key] for key in NAMES if key in record)
        told = next(record[key] for key in CAPTIONS if key in record)
        for caption in told if isinstance(told, list) else [told]:
            yield name, caption

    data = collected(path, lines(path), pairs, _below(root or path.parent))
    if not (data.examples or data.problems):
        raise not_a_table(path, "it is empty")
    return data


def read_coco(path: Path, root: Path) -> ImageText:
    """COCO captions: `images` with `id` and `file_name`, `annotations` with `image_id`, `caption`.

    Args:
        path: such as `annotations/captions_val2017.json`.
        root: folder of the pictures, such as `val2017`.
    """
    table = read_json(path)
    try:
        names = {image["id"]: image["file_name"] for image in table["images"]}
        notes = list(table["annotations"])
    except (KeyError, TypeError) as error:
        raise not_a_table(path, f"COCO captions have images and annotations: {error}") from error
    return collected(
        path, notes, lambda note: [(names[note["image_id"]], note["caption"])], _below(root)
    )


def read_karpathy(path: Path, root: Path, *, split: str | None = None) -> ImageText:
    """Karpathy's JSON for COCO and Flickr30k: `images` with `filename`, `sentences`, `split`.

    Args:
        path: such as `dataset_coco.json`, `dataset_flickr30k.json`.
        root: folder of the pictures; COCO's entries name a folder inside it (`filepath`).
        split: `train`, `val`, `test` or `restval`; all by default.
    """
    table = read_json(path)
    try:
        images = [image for image in table["images"] if split in (None, image["split"])]
    except (KeyError, TypeError) as error:
        raise not_a_table(path, f"Karpathy's JSON has images with a split: {error}") from error
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

    return collected(path, images, pairs, _below(root))


def read_sharegpt4v(path: Path, root: Path, *, roots: dict[str, Path] | None = None) -> ImageText:
    """ShareGPT4V's JSON: a list of `image` and `conversations`; the first answer is the caption.

    Args:
        path: such as `share-captioner_coco_lcs_sam_1246k_1107.json`.
        root: the folder that the names start from, such as `data`.
        roots: a folder that takes the place of the start of a name, such as
            `{"sam/images": Path("sa1b")}`.
    """
    places = sorted((roots or {}).items(), key=lambda item: -len(item[0]))
    cut: list[Problem] = []

    def pairs(record: dict[str, Any]) -> Iterator[Pair]:
        answers = [turn["value"] for turn in record["conversations"] if turn["from"] == "gpt"]
        yield record["image"], answers[0]

    def locate(name: str) -> Path:
        for start, folder in places:
            if name.startswith(f"{start}/"):
                return folder / name.removeprefix(f"{start}/")
        return root / name

    data = collected(path, json_list(path, cut), pairs, locate)
    return replace(data, problems=(*data.problems, *cut))


def collected(
    path: Path,
    records: Iterable[Any],
    pairs: Callable[[Any], Iterable[Pair]],
    locate: Locate,
) -> ImageText:
    """Gather the captions of each picture, and what is wrong with single records.

    Args:
        path: the table, for names.
        records: of the table, read one at a time.
        pairs: of a record; it may raise what a wrong record makes it raise.
        locate: the file of a picture, from its name.
    """
    gathering = Gathering()
    problems: list[Problem] = []
    for number, record in enumerate(records):
        where = f"{path.name} record {number}"
        try:
            found = list(pairs(record))
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
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
                gathering.add(name, caption.strip())
    return ImageText(source=str(path), examples=gathering.records(locate), problems=tuple(problems))


def lines(path: Path) -> Iterator[str]:
    """The lines of a text that hold something."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from (line for line in file if line.strip())
    except (OSError, ValueError) as error:
        raise not_a_table(path, str(error)) from error


def read_json(path: Path) -> Any:
    """The value in a JSON file; one `InputError` if there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise not_a_table(path, str(error)) from error


def not_a_table(path: Path, why: str) -> InputError:
    """The error that says that a file cannot be read as a table of captions."""
    return InputError(
        f"{path} could not be read ({why})",
        rule="captions are read from one table",
        fix="check the path and the format",
    )


def _below(root: Path) -> Locate:
    return lambda name: root / name

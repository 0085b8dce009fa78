"""DOCCI (Onoe et al., ECCV 2024): long descriptions of pictures."""

from collections.abc import Iterator
from pathlib import Path

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format
from smartclip.data.tables import Pair, below, collected, field, numbered_lines, parsed
from theory.errors import InputError

_NAMES = ("docci_descriptions.jsonlines", "docci_descriptions.jsonl")


def read_docci(path: Path, root: Path | None = None, *, split: str | None = None) -> ImageText:
    """`docci_descriptions.jsonlines` and the folder `images`.

    Args:
        path: the table, or the folder that holds it.
        root: folder of the pictures; `images` beside the table by default.
        split: `train`, `test`, `qual_dev` or `qual_test`; all by default.
    """
    if path.is_dir():
        found = [path / name for name in _NAMES if (path / name).exists()]
        if not found:
            raise InputError(
                f"{path} lacks DOCCI's descriptions",
                rule=f"the captions are in {_NAMES[0]}",
                fix="check the path",
            )
        path = found[0]
    others: list[str] = []

    def records() -> Iterator[tuple[str, str]]:
        for place, line in numbered_lines(path):
            if split is not None and f'"{split}"' not in line and '"split"' in line:
                others.append(_file(line))
            else:
                yield place, line

    def pairs(line: str) -> Iterator[Pair]:
        record = parsed(line)
        name = field(record, ("image_file",), "picture")
        yield name, field(record, ("description",), "caption")

    images = path.parent / "images"
    folder = root or (images if images.is_dir() else path.parent)
    data = collected(path, records(), pairs, below(folder), elsewhere=others)
    if not (data.examples or data.problems) or (split is not None and not data.examples):
        raise InputError(
            f"{path} has no picture" + ("" if split is None else f" in the split {split!r}"),
            rule="a split holds pictures",
            fix="choose train, test, qual_dev or qual_test",
        )
    return data


def _file(line: str) -> str:
    """The picture of a record of another split, as far as it can be read."""
    try:
        return str(field(parsed(line), ("image_file",), "picture"))
    except (ValueError, RecursionError):
        return ""


FORMAT = Format(
    name="docci",
    told="a folder with docci_descriptions.jsonlines and images",
    read=lambda where: read_docci(where.given, where.pictures, split=where.split),
    looks=lambda glance: (
        glance.holds("docci_*.jsonl*")
        or (glance.ends(".jsonlines", ".jsonl") and '"image_file"' in glance.first_line)
    ),
    takes=("pictures", "split"),
)

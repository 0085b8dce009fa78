"""Multi30k (Elliott et al., 2016): a caption a line; line i of every file is of picture i."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from smartclip.data.examples import ImageText
from smartclip.data.layout import Format, Glance, Where
from smartclip.data.splits import of_split
from smartclip.data.tables import below, collected, numbered_lines
from smartclip.data.written import not_a_table
from theory.errors import InputError

_FILE = re.compile(r"(?P<split>.+?)(?:\.(?P<number>\d))?\.(?P<language>[a-z]{2})\.gz")
_LARGEST = 1 << 28


def read_multi30k(source: Path, root: Path | None = None, *, split: str | None = None) -> ImageText:
    """`train.1.en.gz` ... `train.5.en.gz`, or `train.en.gz`; pictures named in another list.

    The names of the pictures stand in `train.txt` or `train_images.txt`, which are given out apart;
    without them the pictures are `train 1`, `train 2`, ..., and none of them is there.

    Args:
        source: one file, or the folder of those of one language.
        root: folder of Flickr30k's pictures; that of the captions by default.
        split: of a folder with several, such as `train`.
    """
    folder = source if source.is_dir() else source.parent
    files = _files(folder) if source.is_dir() else [source]
    if source.is_dir():
        files = of_split(files, split, source)
        languages = sorted({_parts(file)["language"] for file in files})
        if len(languages) > 1:
            raise InputError(
                f"{source} holds captions in {', '.join(languages)}",
                rule="captions of one language are read at a time",
                fix="give the path of one file",
            )
    elif split is not None:
        raise InputError(
            f"the split {split!r} of {source}", rule="it is one file", fix="leave --split out"
        )
    root = root or folder
    listed: dict[str, list[str]] = {}

    def records() -> Iterator[tuple[str, tuple[str, str]]]:
        for file in files:
            name = _parts(file)["split"]
            if name not in listed:
                listed[name] = _names(folder, name)
            for number, line in enumerate(_unpacked(file), 1):
                names = listed[name]
                picture = names[number - 1] if number <= len(names) else f"{name} {number}"
                yield f"{file.name} line {number}", (picture, line)

    return collected(source, records(), lambda pair: [pair], below(root))


def _unpacked(file: Path) -> list[str]:
    try:
        with gzip.open(file) as stream:
            content = stream.read(_LARGEST + 1)
    except (OSError, EOFError, ValueError) as error:
        raise not_a_table(file, error) from error
    if len(content) > _LARGEST:
        raise not_a_table(file, f"it unpacks to more than {_LARGEST >> 20} MB")
    return content.decode(errors="surrogateescape").removesuffix("\n").split("\n")


def _names(folder: Path, split: str) -> list[str]:
    """The pictures of a split, in the order of its lines, if their list is there."""
    for name in (f"{split}_images.txt", f"{split}.txt"):
        for place in (folder, folder.parent / "image_splits", folder.parent):
            if (place / name).is_file():
                return [line.split("#")[0].strip() for _, line in numbered_lines(place / name)]
    return []


def _parts(file: Path) -> dict[str, str]:
    found = _FILE.fullmatch(file.name)
    if found is None:
        raise not_a_table(file, "a file of Multi30k is called train.1.en.gz or train.en.gz")
    return found.groupdict()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.gz") if _FILE.fullmatch(path.name))


def _looks(glance: Glance) -> bool:
    if glance.is_folder:
        return glance.holds("*.gz") and bool(_files(glance.path))
    return _FILE.fullmatch(glance.path.name) is not None


def _from(where: Where) -> ImageText:
    return read_multi30k(where.given, where.pictures, split=where.split)


FORMAT = Format(
    name="multi30k",
    told="Multi30k's captions, a line each: train.1.en.gz ... train.5.en.gz",
    read=_from,
    looks=_looks,
    takes=("pictures", "split"),
)

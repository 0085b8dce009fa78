"""Every layout that image-text data come in, by name, and which one a path has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smartclip.data.drawn import read_digits, read_emoji, read_world
from smartclip.data.examples import ImageText
from smartclip.data.folders import read_docci, read_flickr30k, read_folder, read_urban1k
from smartclip.data.parquet import read_parquet
from smartclip.data.prepared import FORMAT, INDEX, read_prepared
from smartclip.data.shards import read_shards
from smartclip.data.tables import (
    read_coco,
    read_csv,
    read_jsonl,
    read_karpathy,
    read_sharegpt4v,
)
from theory.errors import InputError

_HEAD = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """What a reader is told.

    Attributes:
        path: the table, file or folder; None where data are drawn.
        pictures: folder of the pictures, if it is not where the format expects it.
        roots: ShareGPT4V's image roots: a folder that takes the place of the start of a name.
        split: of formats that have several.
    """

    path: Path | None
    pictures: Path | None = None
    roots: dict[str, Path] | None = None
    split: str | None = None

    @property
    def given(self) -> Path:
        """The path, which most formats need."""
        if self.path is None:
            raise InputError(
                "no path", rule="this format is read from a path", fix="give it before --format"
            )
        return self.path

    @property
    def beside(self) -> Path:
        """Folder of the pictures: as told, or that of the table."""
        return self.pictures or self.given.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One layout.

    Attributes:
        told: what it looks like, in a line.
        read: its reader.
        takes: which of `pictures`, `roots`, `split` it uses.
    """

    told: str
    read: Callable[[Where], ImageText]
    takes: tuple[str, ...] = ("pictures",)


FORMATS: dict[str, Format] = {
    "prepared": Format(
        told="shards of `smartclip data prepare`, with index and checksums",
        read=lambda where: read_prepared(where.given),
        takes=(),
    ),
    "webdataset": Format(
        told="a .tar, or a folder of them",
        read=lambda where: read_shards(where.given),
        takes=(),
    ),
    "parquet": Format(
        told="a .parquet, or a folder of them",
        read=lambda where: read_parquet(where.given, where.pictures),
    ),
    "csv": Format(
        told="a CSV or TSV with the columns image,caption",
        read=lambda where: read_csv(where.given, where.pictures),
    ),
    "jsonl": Format(
        told="a JSON object a line with image and caption or captions",
        read=lambda where: read_jsonl(where.given, where.pictures),
    ),
    "folder": Format(
        told="a folder of pictures with one table, or with a .txt each",
        read=lambda where: read_folder(where.given, where.pictures),
    ),
    "coco": Format(
        told="COCO captions, captions_val2017.json",
        read=lambda where: read_coco(where.given, where.beside),
    ),
    "karpathy": Format(
        told="Karpathy's dataset_coco.json, dataset_flickr30k.json",
        read=lambda where: read_karpathy(where.given, where.beside, split=where.split),
        takes=("pictures", "split"),
    ),
    "flickr30k": Format(
        told="Flickr30k's .token, results.csv or flickr_annotations_30k.csv",
        read=lambda where: read_flickr30k(where.given, where.pictures),
    ),
    "sharegpt4v": Format(
        told="ShareGPT4V's JSON list of conversations",
        read=lambda where: read_sharegpt4v(where.given, where.beside, roots=where.roots),
        takes=("pictures", "roots"),
    ),
    "urban1k": Format(
        told="a folder with image and caption",
        read=lambda where: read_urban1k(where.given, where.pictures),
    ),
    "docci": Format(
        told="a folder with docci_descriptions.jsonlines and images",
        read=lambda where: read_docci(where.given, where.pictures, split=where.split),
        takes=("pictures", "split"),
    ),
    "world": Format(
        told="what `smartclip data export` wrote",
        read=lambda where: read_world(where.given),
        takes=(),
    ),
    "emoji": Format(
        told="emoji of two vendors; the path is the cache folder",
        read=lambda where: read_emoji(where.path),
        takes=(),
    ),
    "digits": Format(
        told="drawn scenes of handwritten digits; no path",
        read=lambda where: _digits(where),
        takes=(),
    ),
}


def read(
    path: Path | None,
    name: str | None = None,
    *,
    pictures: Path | None = None,
    roots: dict[str, Path] | None = None,
    split: str | None = None,
) -> ImageText:
    """A data set in any of `FORMATS`.

    Args:
        path: the table, file or folder.
        name: of the format; found by `detect` if none is given.
        pictures: folder of the pictures, if it is not where the format expects it.
        roots: ShareGPT4V's image roots.
        split: of Karpathy's JSON and of DOCCI.

    Raises:
        InputError: no such format, an option that it does not have, or what its reader raises.
    """
    if name is None:
        name = detect(Where(path=path).given)
    if name not in FORMATS:
        raise InputError(
            f"the format {name!r}",
            rule="the formats are " + ", ".join(FORMATS),
            fix="choose one of them",
        )
    for option, value in (("pictures", pictures), ("roots", roots), ("split", split)):
        if value and option not in FORMATS[name].takes:
            raise InputError(
                f"{option} for {name}",
                rule=f"{name} is {FORMATS[name].told}",
                fix=f"leave {option} out",
            )
    where = Where(path=path, pictures=pictures, roots=roots or None, split=split)
    return FORMATS[name].read(where)


def detect(path: Path) -> str:
    """The one format that a path has.

    Raises:
        InputError: there is nothing there, or nothing tells which format it is.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist", rule="data lie at a path", fix="check it")
    found = _of_folder(path) if path.is_dir() else _of_file(path)
    if found is None:
        raise InputError(
            f"{path} looks like none of the formats",
            rule="the formats are " + ", ".join(FORMATS),
            fix="say which with --format",
        )
    return found


def _of_folder(path: Path) -> str | None:
    if (path / INDEX).is_file() and FORMAT in _head(path / INDEX):
        return "prepared"
    if (path / "family.json").is_file():
        return "world"
    for kind, name in (("tar", "webdataset"), ("parquet", "parquet"), ("jsonlines", "docci")):
        if any(path.glob(f"*.{kind}")):
            return name
    if (path / "caption").is_dir() and (path / "image").is_dir():
        return "urban1k"
    if any(path.glob("*.token")) or (path / "flickr_annotations_30k.csv").is_file():
        return "flickr30k"
    return "folder"


def _of_file(path: Path) -> str | None:
    ending = path.suffix.lower()
    if ending == ".json":
        head = _head(path).lstrip()
        if head.startswith("["):
            return "sharegpt4v" if '"conversations"' in head else None
        if '"sentences"' in head:
            return "karpathy"
        return "coco" if '"file_name"' in head or '"annotations"' in head else None
    if ending == ".csv":
        line = _head(path).partition("\n")[0]
        bars = line.startswith("image_name|")
        annotated = {"raw", "filename", "sentids"} <= set(line.strip().split(","))
        return "flickr30k" if bars or annotated else "csv"
    return {
        ".tar": "webdataset",
        ".parquet": "parquet",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".jsonlines": "docci",
        ".token": "flickr30k",
    }.get(ending)


def _head(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(_HEAD)


def _digits(where: Where) -> ImageText:
    if where.path is not None:
        raise InputError(
            f"the path {where.path} for digits",
            rule="digits are drawn, not read",
            fix="leave the path out; exported digits have the format world",
        )
    return read_digits()

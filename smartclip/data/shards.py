"""WebDataset-format shards: tar files in which `00042.jpg` and `00042.txt` are one example.

Nothing is unpacked. The headers of each shard are read once, and a picture is then a few bytes at
an offset, so examples can be shuffled over all shards and a run resumes at any of them.
Format: the name up to the first dot of its last part is the key, the rest the kind. Beyond it, a
picture and a caption that agree up to the last dot are one example (`photo.v2.jpg` beside
`photo.v2.txt`), parts of an example need not lie next to each other, and a part that comes again
begins another example of the same key.
"""

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from smartclip.data.archive import members
from smartclip.data.examples import Example, ImageText, Problem, is_inside
from smartclip.data.pictures import ENDINGS, Blob, Fault
from smartclip.data.printed import shown
from smartclip.data.records import Records
from smartclip.data.splits import of_split
from smartclip.data.tables import as_list
from smartclip.data.written import LONGEST_NAME, normal
from theory.errors import InputError

PICTURES = tuple(ending.removeprefix(".") for ending in sorted(ENDINGS))
_TEXTS = ("txt", "json", "caption")
_PACKED = ("tar.gz", "tgz", "tar.bz2", "tar.xz", "tar.zst")
_LARGEST_TEXT = 1 << 24
_T = TypeVar("_T")


def read_shards(source: Path, *, split: str | None = None) -> ImageText:
    """Examples of one `.tar`, or of all in a folder in the order of their names.

    Captions come from `txt` (one) and `json` (`caption` or `captions`). A shard of several that
    cannot be read is a problem of the data set, as a wrong record is.

    Args:
        source: the shard or the folder.
        split: of a folder with several, `train-0000.tar` and so on; `all` for all of them.

    Raises:
        InputError: there is no shard, or none is an uncompressed tar archive.
    """
    problems: list[Problem] = []
    shards = of_split(files_of(source, "tar"), split, source)
    if source.is_dir():
        packed = [path for kind in _PACKED for path in sorted(source.glob(f"*.{kind}"))]
        detail = "a compressed shard; it has to be unpacked first"
        problems += [
            Problem(name=path.name, fault="not read", detail=detail, pictures=0) for path in packed
        ]
    examples = Records.of(readable(shards, _shard, problems))
    if not (examples or problems):
        raise InputError(
            f"{source} holds no pictures and no captions in words",
            rule="a shard holds 00042.jpg beside 00042.txt",
            fix="check the path",
        )
    return ImageText(source=str(source), examples=examples, problems=tuple(problems))


def files_of(source: Path, kind: str, found: list[Path] | None = None) -> list[Path]:
    """The file itself, or the files of a folder with this ending, by name."""
    files = (found or sorted(source.glob(f"*.{kind}"))) if source.is_dir() else [source]
    if not files:
        raise InputError(
            f"{source} holds no .{kind} file",
            rule="a data set has at least one file",
            fix="check the path; compressed shards have to be unpacked first",
        )
    return files


def readable(
    files: list[Path],
    read: Callable[[Path], Iterator[_T | Problem]],
    problems: list[Problem],
) -> Iterator[_T]:
    """What all files hold; the problems join the others. All files broken is an error."""
    broken = 0
    for file in files:
        try:
            for found in read(file):
                if isinstance(found, Problem):
                    problems.append(found)
                else:
                    yield found
        except InputError as error:
            broken += 1
            if broken == len(files):
                raise
            problems.append(
                Problem(name=file.name, fault="corrupt", detail=error.given, pictures=0)
            )


@dataclass(slots=True)
class _Sample:
    """The members of one example, by kind."""

    key: str
    order: int
    parts: dict[str, Blob] = field(default_factory=dict)


def _shard(shard: Path) -> Iterator[Example | Problem]:
    try:
        with shard.open("rb") as file:
            found: list[tuple[str, Blob]] = []
            lost: set[str] = set()
            for member in _members(shard, file, lost):
                if isinstance(member, Problem):
                    yield member
                else:
                    found.append(member)
            for sample in _samples(found):
                yield from _read(shard, file, sample, lost)
    except (OSError, tarfile.TarError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"{shard} could not be read ({why})",
            rule="a shard is an uncompressed tar archive",
            fix="check the path; compressed shards have to be unpacked first",
        ) from error


def _members(shard: Path, file: BinaryIO, lost: set[str]) -> Iterator[tuple[str, Blob] | Problem]:
    """Name and place of each plain file; what is cut or lies outside becomes a problem.

    `lost` gets the keys of pictures that such a problem is about.
    """
    length = shard.stat().st_size
    for member in members(shard, file):
        if isinstance(member, Problem):
            yield member
            continue
        last = member.name.rpartition("/")[2]
        if member.isdir() or last.startswith(".") or "__MACOSX/" in member.name:
            continue
        name = f"{shard.name}: {shown(member.name)}"
        fault: Fault | None = None
        detail = ""
        if not member.isfile():
            fault, detail = "wrong record", "not a plain file"
        elif not is_inside(member.name):
            fault, detail = "outside", "its path leaves the shard"
        elif member.offset_data + member.size > length:
            fault, detail = "cut", "the shard ends inside it"
        elif len(member.name) > LONGEST_NAME or not _is_text(member.name):
            size = len(member.name)
            fault, detail = "wrong record", f"its name of {size:,} characters is none for a file"
        if fault is None:
            yield member.name, Blob(path=shard, offset=member.offset_data, size=member.size)
            continue
        is_picture = _kind(last) in PICTURES
        if is_picture:
            lost.add(member.name.rpartition(".")[0])
        yield Problem(
            name=name,
            fault=fault,
            detail=detail,
            pictures=int(is_picture),
            captions=int(_kind(last) == "txt"),
        )


def _is_text(name: str) -> bool:
    try:
        normal(name)
    except ValueError:
        return False
    return True


def _samples(found: list[tuple[str, Blob]]) -> list[_Sample]:
    """Members put together by the last dot; `0002.seg.png` is only another kind of a `0002`."""
    by_key: dict[str, list[_Sample]] = {}
    for order, (name, blob) in enumerate(found):
        _put(by_key, order, name.rpartition(".")[0] or name, _kind(name), blob)
    samples: list[_Sample] = []
    for key, same in by_key.items():
        folder, slash, last = key.rpartition("/")
        first = f"{folder}{slash}{last.partition('.')[0]}"
        for number, sample in enumerate(same, 1):
            kinds = sample.parts.keys()
            whole = kinds & set(PICTURES) and kinds & set(_TEXTS)
            if not whole and first != key and first in by_key:
                continue
            if number > 1:
                sample.key = f"{key} #{number}"
            samples.append(sample)
    return sorted(samples, key=lambda sample: sample.order)


def _put(samples: dict[str, list[_Sample]], order: int, key: str, kind: str, blob: Blob) -> None:
    """Into the last example of the key, or a new one if that has such a part already."""
    known = samples.setdefault(key, [])
    if not known or kind in known[-1].parts:
        known.append(_Sample(key, order))
    known[-1].parts[kind] = blob


def _read(
    shard: Path, file: BinaryIO, sample: _Sample, told: set[str]
) -> Iterator[Example | Problem]:
    """The example, or why it is none; pictures beside its first are told as doubled."""
    name = f"{shard.name}: {sample.key}"
    images = [blob for kind, blob in sample.parts.items() if kind in PICTURES]
    for _ in images[1:]:
        detail = "another picture of the same example"
        yield Problem(name=name, fault="doubled", detail=detail)
    captions: list[str] = []
    wrong: list[Problem] = []
    for kind, blob in sample.parts.items():
        if kind not in _TEXTS:
            continue
        try:
            captions += _captions(_content(file, blob), kind)
        except (ValueError, RecursionError) as error:
            wrong.append(
                Problem(
                    name=name,
                    fault="wrong record",
                    detail=_why(error),
                    pictures=0,
                    captions=int(kind != "json"),
                )
            )
    kept = tuple(dict.fromkeys(captions))
    if images and kept:
        yield Example(name=name, captions=kept, image=images[0])
        yield from wrong
        return
    # One of the problems counts the picture, unless its own loss was told already.
    lost = int(sample.key not in told)
    if images and not wrong:
        detail = "neither txt nor json has one"
        wrong.append(Problem(name=name, fault="no caption", detail=detail))
    elif not images and (kept or wrong or "txt" in sample.parts):
        detail = "no picture beside the caption"
        wrong.insert(0, Problem(name=name, fault="missing", detail=detail, captions=len(kept)))
    for number, problem in enumerate(wrong):
        yield replace(problem, pictures=lost if number == 0 else 0)


def _captions(content: bytes, kind: str) -> list[str]:
    """Those of a text, or of a JSON object; none where it has none."""
    if kind != "json":
        told = [content.decode("utf-8-sig")]
    else:
        record = json.loads(content)
        if not isinstance(record, dict):
            return []
        told = as_list(record.get("captions", record.get("caption")))
    return [text for text in (normal(each) for each in told if each is not None) if text]


def _content(file: BinaryIO, blob: Blob) -> bytes:
    """A few bytes of the shard that is open already."""
    if blob.length() > _LARGEST_TEXT:
        raise ValueError(f"a caption of {blob.length():,} bytes")
    file.seek(blob.offset)
    return file.read(blob.length())


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "its text is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error.msg}, character {error.pos + 1})"
    return "it is nested too deep" if isinstance(error, RecursionError) else shown(error)


def _kind(name: str) -> str:
    return name.rpartition(".")[2].lower()

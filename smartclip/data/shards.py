"""WebDataset-format shards: tar files in which `00042.jpg` and `00042.txt` are one example.

Nothing is unpacked. The headers of each shard are read once, and a picture is then a few bytes at
an offset, so examples can be shuffled over all shards and a run resumes at any of them.
Format: the name up to the first dot of its last part is the key, the rest the kind; the members of
an example lie next to each other.
"""

import itertools
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from smartclip.data.examples import Example, ImageText, Problem, is_inside
from smartclip.data.pictures import Blob
from smartclip.data.records import Records
from theory.errors import InputError

PICTURES = ("jpg", "jpeg", "png", "webp")
_BLOCK = 512
_LARGEST_TEXT = 1 << 24


def read_shards(source: Path) -> ImageText:
    """Examples of one `.tar`, or of all in a folder in the order of their names.

    Captions come from `txt` (one) and `json` (`caption` or `captions`). A shard of several that
    cannot be read is a problem of the data set, as a wrong record is.

    Raises:
        InputError: there is no shard, or none is an uncompressed tar archive.
    """
    problems: list[Problem] = []
    shards = files_of(source, "tar")
    examples = Records.of(readable(shards, _shard, problems))
    return ImageText(source=str(source), examples=examples, problems=tuple(problems))


def files_of(source: Path, kind: str) -> list[Path]:
    """The file itself, or the files of a folder with this ending, by name."""
    files = sorted(source.glob(f"*.{kind}")) if source.is_dir() else [source]
    if not files:
        raise InputError(
            f"{source} holds no .{kind} file",
            rule="a data set has at least one file",
            fix="check the path; compressed shards have to be unpacked first",
        )
    return files


def readable(
    files: list[Path],
    read: Callable[[Path], Iterator[Example | Problem]],
    problems: list[Problem],
) -> Iterator[Example]:
    """The examples of all files; the others join the problems. All files broken is an error."""
    broken = 0
    for file in files:
        try:
            for found in read(file):
                if isinstance(found, Example):
                    yield found
                else:
                    problems.append(found)
        except InputError as error:
            broken += 1
            if broken == len(files):
                raise
            problems.append(Problem(name=file.name, fault="corrupt", detail=error.given))


def _shard(shard: Path) -> Iterator[Example | Problem]:
    try:
        with shard.open("rb") as file:
            members: list[tuple[str, str, Blob]] = []
            for found in _members(shard, file):
                if isinstance(found, Problem):
                    yield found
                else:
                    members.append(found)
            for key, together in itertools.groupby(members, key=lambda member: member[0]):
                yield _example(shard, file, key, {kind: blob for _, kind, blob in together})
    except (OSError, tarfile.TarError) as error:
        raise InputError(
            f"{shard} could not be read ({error})",
            rule="a shard is an uncompressed tar archive",
            fix="check the path; compressed shards have to be unpacked first",
        ) from error


def _members(shard: Path, file: BinaryIO) -> Iterator[tuple[str, str, Blob] | Problem]:
    """Key, kind and place of each plain file; what is cut or lies outside becomes a problem."""
    length = shard.stat().st_size
    with tarfile.open(fileobj=file, mode="r:") as tar:
        try:
            for member in tar:
                tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  # kept, all of them
                name = f"{shard.name}: {member.name}"
                if member.isdir():
                    continue
                if not member.isfile():
                    yield Problem(name=name, fault="wrong record", detail="not a plain file")
                elif not is_inside(member.name):
                    detail = "its path leaves the shard"
                    yield Problem(name=name, fault="outside", detail=detail)
                elif member.offset_data + member.size > length:
                    yield Problem(name=name, fault="cut", detail="the shard ends inside it")
                else:
                    folder, _, last = member.name.rpartition("/")
                    key, _, kind = last.partition(".")
                    blob = Blob(path=shard, offset=member.offset_data, size=member.size)
                    yield f"{folder}/{key}" if folder else key, kind.lower(), blob
            file.seek(max(0, length - _BLOCK))
            if any(file.read(_BLOCK)):  # a whole archive ends in empty blocks
                detail = "the end of the archive is missing"
                yield Problem(name=shard.name, fault="cut", detail=detail)
        except tarfile.ReadError as error:
            yield Problem(name=shard.name, fault="cut", detail=str(error))


def _example(shard: Path, file: BinaryIO, key: str, parts: dict[str, Blob]) -> Example | Problem:
    name = f"{shard.name}: {key}"
    images = [parts[kind] for kind in PICTURES if kind in parts]
    if not images:
        return Problem(name=name, fault="missing", detail="no picture beside the caption")
    try:
        captions = [_read(file, parts["txt"]).decode()] if "txt" in parts else []
        if "json" in parts:
            record = json.loads(_read(file, parts["json"]))
            told = record.get("captions", record.get("caption", []))
            captions += told if isinstance(told, list) else [told]
        kept = tuple(dict.fromkeys(caption.strip() for caption in captions if caption.strip()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Problem(name=name, fault="wrong record", detail=repr(error))
    if not kept:
        return Problem(name=name, fault="no caption", detail="neither txt nor json has one")
    return Example(name=name, captions=kept, image=images[0])


def _read(file: BinaryIO, blob: Blob) -> bytes:
    """A few bytes of the shard that is open already."""
    if blob.length() > _LARGEST_TEXT:
        raise ValueError(f"a caption of {blob.length():,} bytes")
    file.seek(blob.offset)
    return file.read(blob.length())

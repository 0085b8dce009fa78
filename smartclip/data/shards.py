"""WebDataset-format shards: tar files in which `00042.jpg` and `00042.txt` are one example.

Nothing is unpacked. The headers of each shard are read once, and a picture is then a few bytes at
an offset, so examples can be shuffled over all shards and a run resumes at any of them.
Format: the name up to the first dot of its last part is the key, the rest the kind; the members of
an example lie next to each other.
"""

import itertools
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from smartclip.data.examples import Example, ImageText, Problem, is_inside
from smartclip.data.pictures import Blob
from theory.errors import InputError

PICTURES = ("jpg", "jpeg", "png", "webp")
_BLOCK = 512


def read_shards(source: Path) -> ImageText:
    """Examples of one `.tar`, or of all in a folder in the order of their names.

    Captions come from `txt` (one) and `json` (`caption` or `captions`).

    Raises:
        InputError: there is no shard, or a file is no uncompressed tar archive.
    """
    shards = sorted(source.glob("*.tar")) if source.is_dir() else [source]
    if not shards:
        raise InputError(
            f"{source} holds no .tar file",
            rule="a data set has at least one shard",
            fix="check the path; compressed shards have to be unpacked first",
        )
    examples: list[Example] = []
    problems: list[Problem] = []
    for shard in shards:
        for found in _shard(shard):
            (examples if isinstance(found, Example) else problems).append(found)  # pyright: ignore
    return ImageText(source=str(source), examples=tuple(examples), problems=tuple(problems))


def _shard(shard: Path) -> Iterator[Example | Problem]:
    members: list[tuple[str, str, Blob]] = []
    for found in _members(shard):
        if isinstance(found, Problem):
            yield found
        else:
            members.append(found)
    for key, together in itertools.groupby(members, key=lambda member: member[0]):
        yield _example(shard, key, {kind: blob for _, kind, blob in together})


def _members(shard: Path) -> Iterator[tuple[str, str, Blob] | Problem]:
    """Key, kind and place of each plain file; what is cut or lies outside becomes a problem."""
    try:
        length = shard.stat().st_size
        with shard.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            try:
                for member in tar:
                    name = f"{shard.name}: {member.name}"
                    if member.isdir():
                        continue
                    if not member.isfile():
                        yield Problem(name=name, fault="wrong record", detail="not a plain file")
                    elif not is_inside(member.name):
                        yield Problem(
                            name=name, fault="outside", detail="its path leaves the shard"
                        )
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
    except (OSError, tarfile.TarError) as error:
        raise InputError(
            f"{shard} could not be read ({error})",
            rule="a shard is an uncompressed tar archive",
            fix="check the path; compressed shards have to be unpacked first",
        ) from error


def _example(shard: Path, key: str, parts: dict[str, Blob]) -> Example | Problem:
    name = f"{shard.name}: {key}"
    images = [parts[kind] for kind in PICTURES if kind in parts]
    if not images:
        return Problem(name=name, fault="missing", detail="no picture beside the caption")
    try:
        captions = [parts["txt"].read().decode()] if "txt" in parts else []
        if "json" in parts:
            record = json.loads(parts["json"].read())
            captions += record["captions"] if "captions" in record else [record["caption"]]
        kept = tuple(dict.fromkeys(caption.strip() for caption in captions if caption.strip()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Problem(name=name, fault="wrong record", detail=repr(error))
    if not kept:
        return Problem(name=name, fault="no caption", detail="neither txt nor json has one")
    return Example(name=name, captions=kept, image=images[0])

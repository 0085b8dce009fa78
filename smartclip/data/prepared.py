"""Shards that SmartCLIP writes: any data set in one layout that opens in seconds and checks itself.

    000000.tar       WebDataset: `000000042.jpg`, `.txt` (the first caption), `.json` (all of them)
    000000.parquet   a row an example: name, captions, offset and size of its picture, its digest
    ...
    index.json       shards with bytes, examples and digests; what was left out, counted
    left_out.jsonl   one line for each picture that was left out, and why

Anything that reads WebDataset reads the tar files. `read_prepared` reads the Parquet beside them,
so nobody has to walk through the tars; a picture is checked against its digest whenever it is read.
"""

import hashlib
import io
import itertools
import json
import re
import tarfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from rich.console import Console
from rich.progress import track

from smartclip.data.examples import Example, ImageText, Problem
from smartclip.data.hub import HubStream
from smartclip.data.pictures import PictureError, decode, digest, kind, measure
from smartclip.data.printed import shown
from smartclip.data.records import SCHEMA, Records
from smartclip.data.written import head
from theory.errors import InputError
from theory.storage import write_atomically

FORMAT = "smartclip shards 1"
INDEX = "index.json"
LEFT_OUT = "left_out.jsonl"
_PLAN = "plan.json"
_QUALITY = 95
_MOST = 1 << 53
_AHEAD = 64
_OURS = re.compile(r"(\d{6}\.(tar|parquet)|index\.json|left_out\.jsonl|plan\.json)")
_HALF = re.compile(r"\." + _OURS.pattern + r"\.\w{8}")  # as `write_atomically` names them
_PIECE = 1 << 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What was written.

    Attributes:
        folder: of the shards.
        shards: how many.
        examples: how many, in all of them.
        image_bytes: of their pictures.
        left_out: how many pictures could not be used, by fault.
        reused: shards that an earlier, interrupted run had finished.
    """

    folder: Path
    shards: int
    examples: int
    image_bytes: int
    left_out: Counter[str]
    reused: int


def prepare(
    data: ImageText | HubStream,
    folder: Path,
    *,
    per_shard: int = 2000,
    shorter_side: int | None = None,
    skip: bool = False,
    workers: int = 2,
) -> Prepared:
    """Write a data set as shards; go on where an interrupted call with the same data stopped.

    A shard appears under its name when it is whole. Equal data give equal bytes.

    Args:
        data: from a reader, or streamed.
        folder: made if it does not exist.
        per_shard: examples in one shard.
        shorter_side: pictures with more pixels along their shorter side are made smaller and kept
            as JPEG; by default every file is kept as it is.
        skip: leave out pictures that cannot be used, and count them; without it the first such
            picture is an error.
        workers: threads that read and check pictures.

    Raises:
        InputError: a picture cannot be used, the folder holds something else or cannot be written.
    """
    if per_shard < 1 or (shorter_side is not None and shorter_side < 16):
        raise InputError(
            f"per_shard={per_shard}, shorter_side={shorter_side}",
            rule="a shard has at least 1 example, a picture at least 16 pixels",
            fix="give larger numbers",
        )
    if data.problems and not skip:
        first = data.problems[0]
        raise InputError(
            f"{len(data.problems):,} records that cannot be used, first {shown(first.name)} "
            f"({first.fault}: {first.detail})",
            rule="nothing is left out unasked",
            fix="mend them, or leave them out with --skip",
        )
    _refuse_input(folder, data.source)
    settings = {"per_shard": per_shard, "shorter_side": shorter_side, "skip": skip}
    _begin(folder, {"source": data.source, **settings, "data": data.fingerprint()})
    shards: list[dict[str, Any]] = []
    problems = list(data.problems)
    reused = 0
    console = Console(stderr=True)
    for number in track(
        itertools.count(),
        description="writing shards",
        total=-(-len(data) // per_shard) if isinstance(data, ImageText) else None,
        console=console,
        transient=True,
        disable=not console.is_terminal,  # else a bar is an empty line
    ):
        name, start = f"{number:06d}", number * per_shard
        entry = _finished(folder, name, deep=True)
        if entry is not None and isinstance(data, ImageText):
            # The same names may be of other pictures by now.
            rows = data.part(start, start + per_shard)
            if entry.get("pictures") != _digest_of_pictures(rows, workers):
                entry = None
        if entry is None:
            rows = data.part(start, start + per_shard)
            if not rows:
                break
            _refuse_foreign(folder, name)
            entry = _write(folder, name, rows, start, settings, workers)
        else:
            reused += 1
        problems += entry.pop("left_out")
        shards.append(entry)
    left_out = Counter(problem.fault for problem in problems)
    with write_atomically(folder / LEFT_OUT) as path:
        path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in problems))
    index = {
        "format": FORMAT,
        "source": data.source,
        "examples": sum(shard["examples"] for shard in shards),
        "captions": sum(shard["captions"] for shard in shards),
        "image_bytes": sum(shard["image_bytes"] for shard in shards),
        "left_out": dict(left_out),
        "shorter_side": shorter_side,
        "shards": shards,
    }
    with write_atomically(folder / INDEX) as path:
        path.write_text(json.dumps(index, indent=1), encoding="utf-8")
    return Prepared(
        folder=folder,
        shards=len(shards),
        examples=index["examples"],
        image_bytes=index["image_bytes"],
        left_out=left_out,
        reused=reused,
    )


def read_prepared(folder: Path) -> ImageText:
    """The examples of a folder that `prepare` wrote; their pictures check themselves when read.

    A shard that is missing or is not what was written is a problem of the data set.

    Raises:
        InputError: there is no index, or no whole shard.
    """
    index = read_index(folder)
    tables: list[pa.Table] = []
    problems: list[Problem] = []
    for shard in index["shards"]:
        tar, rows = folder / shard["name"], folder / shard["rows"]
        table = _table(rows) if _digest_of(rows) == shard["rows_digest"] else None
        fault = _fault(tar, shard["bytes"])
        if fault is not None or table is None:
            changed = Problem(name=rows.name, fault="changed", detail="not the rows written")
            lost = {"pictures": shard["examples"], "captions": shard["captions"]}
            problems.append(replace(fault or changed, **lost))
            continue
        path = pa.repeat(pa.scalar(str(tar), pa.large_string()), len(table))
        tables.append(table.append_column("path", path).select(SCHEMA.names))
    if not tables:
        raise InputError(
            f"{folder} has no whole shard ({problems[0].name}: {problems[0].detail})"
            if problems
            else f"{folder} has no shard",
            rule="an index names the shards beside it",
            fix="write them again with `smartclip data prepare`",
        )
    return ImageText(
        source=str(folder), examples=Records(pa.concat_tables(tables)), problems=tuple(problems)
    )


def _table(rows: Path) -> pa.Table | None:
    """The rows of a shard; None if they are not such rows."""
    try:
        table = parquet.read_table(rows)
        fields = [field for field in SCHEMA if field.name != "path"]
        return table.select([field.name for field in fields]).cast(pa.schema(fields))
    except (OSError, ValueError, LookupError, pa.ArrowException):
        return None


def read_index(folder: Path) -> dict[str, Any]:
    """`index.json` of a prepared folder; one `InputError` if it is none."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise ValueError(f"the format {index['format']!r}")
        for shard in index["shards"]:
            for key in ("name", "rows", "digest", "rows_digest"):
                if not isinstance(shard[key], str):
                    raise ValueError(f"a shard without a {key}")
            if {"/", "\\"} & set(shard["name"] + shard["rows"]):
                raise ValueError(f"the shard {shard['name']!r} outside the folder")
            for key in ("bytes", "examples", "captions"):
                if type(shard[key]) is not int or not 0 <= shard[key] < _MOST:
                    raise ValueError(f"a shard whose {key} are no count")
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(
            f"{folder / INDEX} could not be read ({shown(error)})",
            rule=f'a prepared folder has an index of the format "{FORMAT}"',
            fix="write it with `smartclip data prepare`; an interrupted call goes on",
        ) from error
    return index


def verify(folder: Path) -> tuple[Problem, ...]:
    """Every byte of every shard against the index; a shard that differs is named.

    Slower than reading pictures, which checks those alone: this sees headers and captions too.
    """
    problems: list[Problem] = []
    for shard in read_index(folder)["shards"]:
        path = folder / shard["name"]
        fault = _fault(path, shard["bytes"])
        if fault is not None:
            problems.append(fault)
        elif _digest_of(path) != shard["digest"]:
            detail = "its bytes differ from what was written"
            problems.append(Problem(name=path.name, fault="changed", detail=detail))
    return tuple(problems)


def _refuse_input(folder: Path, source: str) -> None:
    """Shards do not go where the data come from: they would be part of it at the next call."""
    given, out = Path(source), folder.resolve()
    if not given.exists():
        return  # a stream, or data that are drawn
    given = given.resolve()
    if out == given or (given.is_dir() and given in out.parents) or out == given.parent:
        raise InputError(
            f"{folder} is the folder of the data, or in it",
            rule="shards are written beside the data they are made of",
            fix="give another folder with --out",
        )


def _begin(folder: Path, plan: dict[str, Any]) -> None:
    """Refuse a folder of other data; sweep up what a killed call left half written."""
    known = folder / _PLAN
    if known.exists():
        try:
            other = json.loads(known.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            other = None
        if not isinstance(other, dict) or not plan.keys() <= other.keys():
            raise _foreign(known)
        if other != plan:
            differs = [key for key in plan if other.get(key) != plan[key]]
            raise InputError(
                f"{folder} holds shards of other data or settings ({', '.join(differs)} differ)",
                rule="a call goes on only with the same data and settings",
                fix="give an empty folder, or delete that one",
            )
        index = folder / INDEX
        if index.exists() and FORMAT not in head(index):
            raise _foreign(index)
    else:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        for name in names:
            if _OURS.fullmatch(name):
                raise _foreign(folder / name)
    if folder.is_dir():
        for half in folder.iterdir():
            if _HALF.fullmatch(half.name):
                half.unlink(missing_ok=True)
    if not known.exists():
        with write_atomically(known) as path:
            path.write_text(json.dumps(plan), encoding="utf-8")


def _refuse_foreign(folder: Path, name: str) -> None:
    """A shard is replaced only by one of the same data: its rows say that they are ours."""
    rows, tar = folder / f"{name}.parquet", folder / f"{name}.tar"
    if rows.exists() and _entry(rows) is None:
        raise _foreign(rows)
    if tar.exists() and not rows.exists():  # rows are written before their tar gets its name
        raise _foreign(tar)


def _foreign(path: Path) -> InputError:
    return InputError(
        f"{path} was not written here",
        rule="nothing is overwritten",
        fix="give an empty folder with --out, or move it away",
    )


def _entry(rows: Path) -> dict[str, Any] | None:
    """What the rows of a shard say of it; None if they are not of a shard."""
    try:
        entry = json.loads(parquet.read_schema(rows).metadata[b"shard"])
        known = isinstance(entry["bytes"], int) and isinstance(entry["digest"], str)
        entry["left_out"] = [Problem(**each) for each in entry["left_out"]]
        return entry if known else None
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException):
        return None


def _finished(folder: Path, name: str, *, deep: bool) -> dict[str, Any] | None:
    """The entry of a shard that an earlier call wrote; None if it has to be written.

    Args:
        folder: of the shards.
        name: of the shard, without its ending.
        deep: compare every byte of the tar too.
    """
    rows, tar = folder / f"{name}.parquet", folder / f"{name}.tar"
    entry = _entry(rows)
    if entry is None or _fault(tar, entry["bytes"]) is not None:
        return None
    if deep and _digest_of(tar) != entry["digest"]:
        return None
    return entry | {"rows": rows.name, "rows_digest": _digest_of(rows)}


def _digest_of_pictures(rows: Sequence[Example | Problem], workers: int) -> str:
    """Of the pictures that a shard is made of, whether they open or not."""
    state = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(rows), _AHEAD):
            for each in pool.map(_digest_of_picture, rows[start : start + _AHEAD]):
                state.update(each)
    return state.hexdigest()


def _digest_of_picture(example: Example | Problem) -> bytes:
    if isinstance(example, Problem):
        return _digest_of_fault(example.fault)
    try:
        return digest(example.image.read())
    except PictureError as error:
        return _digest_of_fault(error.fault)


def _digest_of_fault(fault: str) -> bytes:
    return digest(fault.encode())


def _write(
    folder: Path,
    name: str,
    rows: Sequence[Example | Problem],
    start: int,
    settings: dict[str, Any],
    workers: int,
) -> dict[str, Any]:
    """One shard: the rows, then the tar gets its name; both together say that it is whole."""
    table: dict[str, list[Any]] = {key: [] for key in SCHEMA.names if key != "path"}
    left_out: list[Problem] = []
    pictures = hashlib.blake2b(digest_size=16)
    image_bytes = 0
    with write_atomically(folder / f"{name}.tar") as path:
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for row, example, content in _contents(rows, start, settings["shorter_side"], workers):
                pictures.update(content.source)
                if isinstance(content, _Lost):
                    if not settings["skip"]:
                        problem = content.problem
                        raise InputError(
                            f"{shown(problem.name)} ({problem.fault}: {problem.detail})",
                            rule="nothing is left out unasked",
                            fix="see `smartclip data audit`, or leave it out with --skip",
                        )
                    left_out.append(content.problem)
                    continue
                assert isinstance(example, Example)
                told = {"name": example.name, "captions": example.captions}
                key = f"{row:09d}"
                _add(tar, f"{key}.{kind(content.content)}", content.content)
                table["offset"].append(tar.offset - _padded(len(content.content)))
                _add(tar, f"{key}.txt", example.captions[0].encode())
                _add(tar, f"{key}.json", json.dumps(told, ensure_ascii=False).encode())
                table["name"].append(example.name)
                table["captions"].append(example.captions)
                table["size"].append(len(content.content))
                table["digest"].append(digest(content.content))
                image_bytes += len(content.content)
        entry = {
            "name": f"{name}.tar",
            "bytes": path.stat().st_size,
            "digest": _digest_of(path),
            "pictures": pictures.hexdigest(),
            "examples": len(table["name"]),
            "captions": sum(map(len, table["captions"])),
            "image_bytes": image_bytes,
            "left_out": [asdict(problem) for problem in left_out],
        }
        fields = [SCHEMA.field(key) for key in table]
        schema = pa.schema(fields, metadata={"shard": json.dumps(entry)})
        with write_atomically(folder / f"{name}.parquet") as rows_path:
            parquet.write_table(pa.table(table, schema), rows_path)
    finished = _finished(folder, name, deep=False)
    assert finished is not None
    return finished


@dataclass(frozen=True, slots=True)
class _Kept:
    """A picture for a shard, and the digest of the picture that it is made of."""

    content: bytes
    source: bytes


@dataclass(frozen=True, slots=True)
class _Lost:
    """A picture that is left out, and the digest of what there was."""

    problem: Problem
    source: bytes


def _contents(
    rows: Sequence[Example | Problem], start: int, shorter_side: int | None, workers: int
) -> Iterator[tuple[int, Example | Problem, _Kept | _Lost]]:
    """Number, row and checked picture file, in order, a bounded number ahead."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[tuple[int, Example | Problem, Future[_Kept | _Lost]]] = deque()
        for number, row in enumerate(rows, start):
            waiting.append((number, row, pool.submit(_content, row, shorter_side)))
            if len(waiting) == _AHEAD:
                number, row, coming = waiting.popleft()
                yield number, row, coming.result()
        while waiting:
            number, row, coming = waiting.popleft()
            yield number, row, coming.result()


def _content(example: Example | Problem, shorter_side: int | None) -> _Kept | _Lost:
    """The file as it is, if it opens to the last pixel; or made smaller."""
    if isinstance(example, Problem):
        return _Lost(example, _digest_of_fault(example.fault))
    source = None
    try:
        content = example.image.read()
        source = digest(content)
        if shorter_side is None or min(measure(content, example.name)) <= shorter_side:
            decode(content, example.name, shorter=1)
            return _Kept(content, source)
        picture = decode(content, example.name, shorter=2 * shorter_side)
    except PictureError as error:
        problem = Problem(
            name=example.name,
            fault=error.fault,
            detail=error.given,
            captions=len(example.captions),
        )
        return _Lost(problem, source or _digest_of_fault(error.fault))
    factor = shorter_side / min(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    stream = io.BytesIO()
    picture.resize((width, height)).save(stream, "JPEG", quality=_QUALITY)
    return _Kept(stream.getvalue(), source)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _padded(size: int) -> int:
    """Bytes that a member takes in a tar: whole blocks."""
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _fault(path: Path, size: int) -> Problem | None:
    try:
        found = path.stat().st_size
    except OSError as error:
        return Problem(name=path.name, fault="missing", detail=str(error.strerror or error))
    if found != size:
        fault = "cut" if found < size else "changed"
        return Problem(name=path.name, fault=fault, detail=f"{found:,} bytes, not {size:,}")
    return None


def _digest_of(path: Path) -> str | None:
    """BLAKE2b of a file, in pieces; None if it cannot be read."""
    state = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                state.update(piece)
    except OSError:
        return None
    return state.hexdigest()

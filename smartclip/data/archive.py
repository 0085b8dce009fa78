"""The members of a tar archive, also behind a damaged header.

Python's tarfile takes a header that does not add up for the end of the archive, and what lies
behind it is lost without a word. Here the archive ends where its bytes do: blocks that are no
header are told, and reading goes on at the next block whose checksum is right. Zero blocks between
members, as `cat a.tar b.tar` leaves them, are no damage. A name that is long or has accents stands
in a header of its own before that of its member (pax). Where only that one is damaged the name is
read from what it announced; or else the member would come under another name, beside its own parts.
Format: POSIX.1-1988 ustar, with blocks of 512 bytes and a checksum in each header.
"""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from smartclip.data.examples import Problem
from smartclip.data.pictures import Fault
from smartclip.data.printed import shown

_BLOCK = tarfile.BLOCKSIZE
_ZERO = bytes(_BLOCK)
_AT_ONCE = 1 << 20
_RECORD = re.compile(rb"(\d{1,7}) ([^=\n]+)=")
_LONGEST_RECORDS = 1 << 16


def members(shard: Path, file: BinaryIO) -> Iterator[tarfile.TarInfo | Problem]:
    """Headers of all members in order, and what is damaged between them.

    Args:
        shard: for names.
        file: open for reading; its position is not kept.

    Raises:
        tarfile.TarError: the first block is no header.
    """
    length = shard.stat().st_size
    start, ended = 0, False
    name: str | None = None
    while start < length:
        file.seek(start)
        end, ended, error = start, False, None
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  # kept, all of them
                    end = tar.offset
                    if name is not None:
                        member.name, name = name, None
                    yield member
        except tarfile.TarError as caught:
            error = caught
        if end >= length:
            if error is not None:
                yield _cut(shard, shown(error))
                return
            break
        # A header that adds up may still announce what is not there: pass over it.
        ended, following = _next(file, end if error is None else end + _BLOCK, length)
        ended = ended and error is None
        if following is None and error is not None and end == 0:
            raise error
        if following is None:
            if not ended:
                file.seek(max(0, length - _BLOCK))
                whole = file.read(_BLOCK) == _ZERO  # a whole archive ends in empty blocks
                yield _damaged(shard, end, length, "corrupt" if whole else "cut")
            return
        if not ended:
            yield _damaged(shard, end, following)
            name = _announced(file, end, following)
        start = following
    if not ended and length:
        yield _cut(shard, "the end of the archive is missing")


def _next(file: BinaryIO, at: int, length: int) -> tuple[bool, int | None]:
    """Whether only zeros lie between here and the next good header, and where that is."""
    zeros = True
    file.seek(at)
    while at < length:
        content = file.read(_AT_ONCE)
        if not content:
            break
        for start in range(0, len(content), _BLOCK):
            block = content[start : start + _BLOCK]
            if block.strip(b"\0") == b"":
                continue
            if _is_header(block):
                return zeros, at + start
            zeros = False
        at += len(content)
    return zeros, None


def _announced(file: BinaryIO, start: int, end: int) -> str | None:
    """The name that records between two places gave to the member behind them, if they are whole.

    A record is its length, a key, "=", a value and a line end; zeros fill the last block.
    """
    file.seek(end)
    if file.read(_BLOCK)[156:157] not in (b"0", b"\0"):
        return None  # it has such records of its own, or is no plain file
    first = max(start, end - _LONGEST_RECORDS)
    file.seek(first)
    content = file.read(end - first)
    for at in range(0, len(content), _BLOCK):
        found: dict[bytes, bytes] = {}
        while record := _RECORD.match(content, at):
            last = at + int(record[1])
            if not record.end() < last <= len(content) or content[last - 1 : last] != b"\n":
                break
            found[record[2]] = content[record.end() : last - 1]
            at = last
        if b"path" in found and not content[at:].strip(b"\0"):
            return found[b"path"].decode("utf-8", "surrogateescape")
    return None


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _damaged(shard: Path, start: int, end: int, fault: Fault = "corrupt") -> Problem:
    detail = f"bytes {start:,} to {end:,} hold no member that can be read"
    return Problem(name=shard.name, fault=fault, detail=detail, pictures=0)


def _cut(shard: Path, detail: str) -> Problem:
    return Problem(name=shard.name, fault="cut", detail=detail, pictures=0)

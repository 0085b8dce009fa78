"""A folder of pictures in which each has its text beside it: `a.jpg` and `a.txt`."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from smartclip.data.examples import ImageText, Problem
from smartclip.data.pictures import ENDINGS
from smartclip.data.printed import shown
from smartclip.data.records import Gathering
from smartclip.data.tables import wrong
from smartclip.data.written import encoding, normal
from theory.errors import InputError

_LARGEST_TEXT = 1 << 24
_TEXTS = (".txt", ".caption")


def read_texts(
    source: Path, pictures: Path | None = None, *, texts: Path | None = None, records: bool = False
) -> ImageText:
    """Each picture with the text of the same name; what is alone is a problem.

    Args:
        source: the folder, and folders in it, linked ones too.
        pictures: folder of the pictures, if it is not the same.
        texts: folder of the texts, if it is not the same.
        records: a `.json` with a `caption` serves where there is no text.

    Raises:
        InputError: there are neither pictures nor texts.
    """
    pictures, texts = pictures or source, texts or source
    images: defaultdict[str, list[str]] = defaultdict(list)
    told: dict[str, Path] = {}
    spare: dict[str, Path] = {}
    problems: list[Problem] = []
    for name in files_below(pictures):
        stem, ending = os.path.splitext(name)  # noqa: PTH122 (of a name)
        if ending.lower() in ENDINGS:
            images[stem].append(name)
    for name in files_below(texts):
        stem, ending = os.path.splitext(name)  # noqa: PTH122
        if ending.lower() in _TEXTS and stem in told:
            detail = f"{shown(told[stem].name)} is taken"
            problems.append(
                Problem(name=name, fault="doubled", detail=detail, pictures=0, captions=1)
            )
        elif ending.lower() in _TEXTS:
            told[stem] = texts / name
        elif records and ending.lower() == ".json" and stem in images:
            spare[stem] = texts / name
    told = spare | told
    gathering = Gathering()
    for stem in dict.fromkeys([*told, *images]):
        known = images.get(stem, [])
        # A picture that only a text names is one picture, and missing.
        problem = _taken(stem, known, told.get(stem), gathering)
        if problem is not None:
            problems.append(problem)
        problems += [
            Problem(name=each, fault="doubled", detail=f"its text is taken for {shown(known[0])}")
            for each in known[1:]
        ]
    examples = gathering.records(lambda name: pictures / name)
    if not (examples or problems):
        raise InputError(
            f"{source} holds neither pictures nor texts",
            rule="a picture and its text have the same name",
            fix="check the path",
        )
    return ImageText(source=str(source), examples=examples, problems=tuple(problems))


def files_below(folder: Path) -> list[str]:
    """Names of the files below a folder, linked folders included; numbers in order, 2 before 10.

    Each folder is listed once, however many links lead to it, and never again inside itself. What
    is hidden is passed over, and what macOS puts beside (`__MACOSX`, `._a.jpg`).
    """
    found: list[tuple[Any, str]] = []
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        below = waiting.pop(0)
        here = os.path.join(folder, below)  # noqa: PTH118 (names that are no UTF-8 pass)
        try:
            status = os.stat(here)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(here), key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError as error:
            raise InputError(
                f"{shown(here)} could not be listed ({error.strerror or error})",
                rule="a folder of data can be read",
                fix="check its permissions",
            ) from error
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir():
                waiting.append(name)
            else:
                stem, ending = os.path.splitext(entry.name)  # noqa: PTH122
                found.append(((below, not stem.isdigit(), stem.zfill(20), ending), name))
    return [name for _, name in sorted(found)]


def _taken(stem: str, known: list[str], text: Path | None, gathering: Gathering) -> Problem | None:
    """Put a picture and its text into the gathering, or say why they are left out."""
    if text is None:
        return Problem(name=stem, fault="no caption", detail="no text beside the picture")
    try:
        normal(stem)
        caption = _caption(text)
    except (OSError, ValueError, RecursionError) as error:
        return wrong(stem, error, pictures=1, captions=1)
    if not known:
        detail = f"no picture beside {shown(text.name)}"
        return Problem(name=stem, fault="missing", detail=detail, captions=int(bool(caption)))
    if not caption:
        return Problem(name=stem, fault="no caption", detail=f"{shown(text.name)} is empty")
    gathering.add(known[0], caption)
    return None


def _caption(path: Path) -> str:
    if path.stat().st_size > _LARGEST_TEXT:
        raise ValueError(f"a text of {path.stat().st_size:,} bytes")
    text = path.read_text(encoding=encoding(path), errors="surrogateescape")
    if path.suffix.lower() != ".json":
        return normal(text)
    record = json.loads(text)
    caption = record.get("caption") if isinstance(record, dict) else None
    return "" if caption is None else normal(caption)

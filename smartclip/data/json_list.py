"""The records of a JSON list one at a time: a list of gigabytes never stands in memory whole."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smartclip.data.examples import Problem
from smartclip.data.printed import shown
from smartclip.data.written import open_text
from theory.errors import InputError

_PIECE = 1 << 22
_LARGEST = 1 << 26
_AFTER = " \t\r\n,]"
_BETWEEN = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")


def json_list(path: Path, problems: list[Problem]) -> Iterator[Any]:
    """The values of the list in a file.

    Args:
        path: UTF-8 JSON whose outermost value is a list.
        problems: gets a problem `cut` if the list stops being JSON after some values.

    Raises:
        InputError: there is no file, or not one whole value of a list in it.
    """
    decoder = json.JSONDecoder()
    count = 0
    try:
        with open_text(path) as file:
            text = file.read(_PIECE).lstrip()
            if not text.startswith("["):
                raise ValueError("it holds no JSON list")
            place, whole = 1, False
            while True:
                place = _BETWEEN.match(text, place).end()  # pyright: ignore[reportOptionalMemberAccess]
                if text.startswith("]", place):
                    return
                try:
                    value, end = decoder.raw_decode(text, place)
                    if text[end : end + 1] not in _AFTER or (end == len(text) and not whole):
                        raise json.JSONDecodeError("more follows", text, end)  # 12|34 is not 12
                except json.JSONDecodeError as error:
                    more = file.read(_PIECE)
                    if not more and not whole:
                        whole = True
                    elif not more or len(text) - place > _LARGEST:
                        raise ValueError(f"value {count + 1} is not JSON ({error.msg})") from error
                    text, place = text[place:] + more, 0
                    continue
                yield value
                count, place = count + 1, end
    except (OSError, ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else shown(error)
        if count == 0:
            raise InputError(
                f"{path} could not be read ({why})",
                rule="the captions are one JSON list",
                fix="check the path and the format",
            ) from error
        detail = f"after {count:,} records: {why}"
        problems.append(Problem(name=path.name, fault="cut", detail=detail, pictures=0))

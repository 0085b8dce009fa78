"""What a data set holds, lacks, repeats or cuts off, told before anything is trained on it."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64
from rich.console import Console
from rich.progress import track

from smartclip.data.examples import Example, ImageText, Problem
from smartclip.data.pictures import Blob, PictureError, decode, digest, measure
from smartclip.data.printed import shown
from smartclip.data.records import Records
from smartclip.text import Tokenizer

_NAMED = 5
_AT_A_TIME = 1024
_HEAD = 1 << 16


@dataclass(kw_only=True, slots=True)
class Part:
    """One source of a data set: the pictures whose names start with the same folder.

    Attributes:
        usable: pictures that can be used.
        captions: of those.
        image_bytes: of those.
        faults: how many pictures of it cannot be used, by fault.
    """

    usable: int = 0
    captions: int = 0
    image_bytes: int = 0
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """The state of a data set.

    Attributes:
        data: only the examples that can be used; the others have joined its `problems`.
        records: examples and problems together.
        image_bytes: size of all usable pictures.
        captions: number of captions of usable examples.
        words: of each of them.
        too_long: captions that do not fit the tokenizer's context; None without a tokenizer.
        duplicates: names of examples whose pictures are equal byte for byte, group by group; none
            after a quick audit.
        repeated: captions that some earlier caption repeats word for word.
        shorter_sides: pixels along the shorter side of each usable picture.
        parts: the same by source, for data sets of several.
    """

    data: ImageText
    records: int
    image_bytes: int
    captions: int
    words: Int64[np.ndarray, " captions"]
    too_long: int | None
    duplicates: tuple[tuple[str, ...], ...]
    repeated: int
    shorter_sides: Int64[np.ndarray, " pictures"]
    parts: dict[str, Part]

    def table(self) -> pd.DataFrame:
        """One row a finding: what, how many, the share in percent, the first few names."""
        spare = sum(len(group) - 1 for group in self.duplicates)
        same = "; ".join(", ".join(map(shown, group)) for group in self.duplicates[:1])
        lost = self.data.problems
        rows = [
            ("pictures found", self.pictures_found, self.pictures_found, ""),
            ("pictures usable", len(self.data), self.pictures_found, ""),
            ("captions found", self.captions_found, self.captions_found, ""),
            ("captions usable", self.captions, self.captions_found, ""),
            ("doubled pictures", spare, self.pictures_found, same),
            ("repeated captions", self.repeated, self.captions, ""),
        ]
        if self.too_long is not None:
            rows.append(("captions cut by the context", self.too_long, self.captions, ""))
        for fault, count in sorted(self.data.faults().items()):
            names = [shown(problem.name) for problem in lost if problem.fault == fault]
            rows.append((fault, count, self.records, ", ".join(names[:_NAMED])))
        return pd.DataFrame(
            [(what, n, 100 * n / of if of else 0.0, named) for what, n, of, named in rows],
            columns=["what", "number", "percent", "for example"],
        )

    @property
    def pictures_found(self) -> int:
        """Pictures that the data set holds or names: the usable ones and those of all problems."""
        return self.data.pictures_found

    @property
    def captions_found(self) -> int:
        """Captions that the data set holds: the usable ones and those of all problems."""
        return self.captions + sum(problem.captions for problem in self.data.problems)

    def reasons(self, most: int = _NAMED) -> list[str]:
        """For each fault a line with its pictures and captions, and below it the first problems."""
        told: list[str] = []
        for fault, count in sorted(self.data.faults().items()):
            those = [problem for problem in self.data.problems if problem.fault == fault]
            pictures = sum(problem.pictures for problem in those)
            captions = sum(problem.captions for problem in those)
            told.append(
                f"{fault}: {_counted(count, 'problem')}, {_counted(pictures, 'picture')} and "
                f"{_counted(captions, 'caption')} left out"
            )
            told += [f"  {shown(each.name)}: {shown(each.detail)}" for each in those[:most]]
            if count > most:
                told.append(f"  and {count - most:,} more")
        return told

    def by_source(self) -> pd.DataFrame:
        """One row a source: pictures usable, their captions and megabytes, and the faults."""
        return pd.DataFrame(
            [
                {
                    "source": name,
                    "usable": part.usable,
                    "captions": part.captions,
                    "MB": part.image_bytes / 1e6,
                    "not usable": sum(part.faults.values()),
                    "why": ", ".join(f"{n:,} {why}" for why, n in sorted(part.faults.items())),
                }
                for name, part in self.parts.items()
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.data.source,
            "records": self.records,
            "pictures_found": self.pictures_found,
            "captions_found": self.captions_found,
            "usable": len(self.data),
            "image_bytes": self.image_bytes,
            "captions": self.captions,
            "words_median_95_most": _quantiles(self.words, [0.5, 0.95, 1.0]),
            "shorter_side_least_median_most": _quantiles(self.shorter_sides, [0.0, 0.5, 1.0]),
            "captions_too_long": self.too_long,
            "captions_repeated": self.repeated,
            "duplicates": [list(group) for group in self.duplicates],
            "faults": dict(self.data.faults()),
            "sources": {
                name: {
                    "usable": part.usable,
                    "captions": part.captions,
                    "image_bytes": part.image_bytes,
                    "faults": dict(part.faults),
                }
                for name, part in self.parts.items()
            },
            "problems": [asdict(problem) for problem in self.data.problems],
        }

    def _repr_html_(self) -> str:
        return self.table().round(1).to_html(index=False)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A picture that opens: its digest (of the bytes), bytes, pixels of its shorter side."""

    digest: bytes | None
    size: int
    shorter: int


def audit(
    data: ImageText, *, tokenizer: Tokenizer | None = None, workers: int = 2, quick: bool = False
) -> Audit:
    """Open every picture, count every caption.

    Args:
        data: from a reader.
        tokenizer: to count the captions that its context would cut.
        workers: threads that open pictures.
        quick: look only whether each file exists and starts as a picture does. A picture that
            breaks off further down, and doubles, are not found.

    Returns:
        The findings, and the data without what cannot be used. Nothing on the disk is changed.
    """
    rows: list[int] = []
    shorter: list[int] = []
    words: list[int] = []
    problems = list(data.problems)
    first: dict[bytes, int] = {}
    groups: defaultdict[int, list[int]] = defaultdict(list)
    parts: defaultdict[str, Part] = defaultdict(Part)
    texts: set[int] = set()
    too_long = 0
    console = Console(stderr=True)
    looked = track(
        _looked(data.examples, workers, quick),
        description="opening pictures",
        total=len(data),
        console=console,
        transient=True,
        disable=len(data) < _AT_A_TIME or not console.is_terminal,  # else a bar is an empty line
    )
    for row, (example, found) in enumerate(looked):
        part = parts[_source(example.name)]
        if isinstance(found, Problem):
            problems.append(replace(found, captions=len(example.captions)))
            part.faults[found.fault] += 1
            continue
        if found.digest is not None:
            known = first.setdefault(found.digest, row)
            if known != row:
                groups[known].append(row)
        captions = example.captions
        part.usable += 1
        part.captions += len(captions)
        part.image_bytes += found.size
        rows.append(row)
        shorter.append(found.shorter)
        words += [len(caption.split()) for caption in captions]
        texts.update(map(hash, captions))
        if tokenizer is not None:
            too_long += len(tokenizer.too_long(captions))
    examples = data.examples
    return Audit(
        data=replace(data, examples=_kept(examples, rows), problems=tuple(problems)),
        records=len(examples) + len(data.problems),
        image_bytes=sum(part.image_bytes for part in parts.values()),
        captions=len(words),
        words=np.array(words, dtype=np.int64),
        too_long=None if tokenizer is None else too_long,
        duplicates=tuple(
            tuple(examples[row].name for row in (known, *others))
            for known, others in sorted(groups.items())
        ),
        repeated=len(words) - len(texts),
        shorter_sides=np.array(shorter, dtype=np.int64),
        parts=dict(sorted(parts.items())),
    )


def _kept(examples: Sequence[Example], rows: list[int]) -> Sequence[Example]:
    if isinstance(examples, Records):
        return examples.take(rows)
    return tuple(examples[row] for row in rows)


def _source(name: str) -> str:
    """The first folder of a name: ShareGPT4V's `coco`, `sam`, `llava`; a shard has no folder."""
    folder, slash, _ = name.partition("/")
    return folder if slash and ": " not in folder else "."


def _look(example: Example, quick: bool) -> _Seen | Problem:
    try:
        if quick and isinstance(example.image, Blob):
            return _glance(example.image, example.name)
        content = example.image.read()
        sides = measure(content, example.name)
        # An eighth of the size is quick, and yet every byte of a JPEG goes through the decoder.
        decode(content, example.name, shorter=1)
    except PictureError as error:
        return Problem(name=example.name, fault=error.fault, detail=error.given)
    return _Seen(digest(content), len(content), min(sides))


def _glance(image: Blob, name: str) -> _Seen:
    size = image.length()
    head = replace(image, size=min(size, _HEAD), digest=None).read()
    try:
        return _Seen(None, size, min(measure(head, name)))
    except PictureError:
        if size <= _HEAD:
            raise
    return _Seen(None, size, min(measure(image.read(), name)))  # much stands before the picture


def _looked(
    examples: Sequence[Example], workers: int, quick: bool
) -> Iterator[tuple[Example, _Seen | Problem]]:
    """In order, a bounded number ahead: a million examples are not queued at once."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[tuple[Example, Future[_Seen | Problem]]] = deque()
        for example in examples:
            waiting.append((example, pool.submit(_look, example, quick)))
            if len(waiting) >= _AT_A_TIME:
                example, coming = waiting.popleft()
                yield example, coming.result()
        while waiting:
            example, coming = waiting.popleft()
            yield example, coming.result()


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _quantiles(values: Int64[np.ndarray, " n"], at: list[float]) -> list[float]:
    return np.quantile(values, at).tolist() if len(values) else []

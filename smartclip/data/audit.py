"""What a data set holds, lacks, repeats or cuts off, told before anything is trained on it."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from smartclip.data.examples import Example, ImageText, Problem
from smartclip.data.pictures import PictureError, decode
from smartclip.text import Tokenizer

_NAMED = 5
_AT_A_TIME = 1024


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
        duplicates: names of examples whose pictures are equal byte for byte, group by group.
    """

    data: ImageText
    records: int
    image_bytes: int
    captions: int
    words: np.ndarray
    too_long: int | None
    duplicates: tuple[tuple[str, ...], ...]

    def table(self) -> pd.DataFrame:
        """One row a finding: what, how many, the share in percent, the first few names."""
        spare = sum(len(group) - 1 for group in self.duplicates)
        rows = [
            ("pictures usable", len(self.data), self.records, ""),
            ("captions", self.captions, self.captions, ""),
            ("doubled pictures", spare, self.records, "; ".join(map(str, self.duplicates[:1]))),
        ]
        if self.too_long is not None:
            rows.append(("captions cut by the context", self.too_long, self.captions, ""))
        for fault, count in sorted(self.data.faults().items()):
            names = [problem.name for problem in self.data.problems if problem.fault == fault]
            rows.append((fault, count, self.records, ", ".join(names[:_NAMED])))
        return pd.DataFrame(
            [(what, n, 100 * n / of if of else 0.0, named) for what, n, of, named in rows],
            columns=["what", "number", "percent", "for example"],
        )

    def to_dict(self) -> dict[str, Any]:
        quantiles = np.quantile(self.words, [0.5, 0.95, 1]).tolist() if len(self.words) else []
        return {
            "source": self.data.source,
            "records": self.records,
            "usable": len(self.data),
            "image_bytes": self.image_bytes,
            "captions": self.captions,
            "words_median_95_most": quantiles,
            "captions_too_long": self.too_long,
            "duplicates": [list(group) for group in self.duplicates],
            "faults": dict(self.data.faults()),
            "problems": [
                {"name": problem.name, "fault": problem.fault, "detail": problem.detail}
                for problem in self.data.problems
            ],
        }

    def _repr_html_(self) -> str:
        return self.table().round(1).to_html(index=False)


def audit(data: ImageText, *, tokenizer: Tokenizer | None = None, workers: int = 2) -> Audit:
    """Open every picture, count every caption.

    Args:
        data: from a reader.
        tokenizer: to count the captions that its context would cut.
        workers: threads that decode pictures.

    Returns:
        The findings, and the data without what cannot be used. Nothing on the disk is changed.
    """
    usable: list[Example] = []
    problems = list(data.problems)
    digests: defaultdict[bytes, list[str]] = defaultdict(list)
    sizes = 0
    looked = track(
        zip(data.examples, _mapped(_look, data.examples, workers), strict=True),
        description="opening pictures",
        total=len(data),
        console=Console(stderr=True),
        transient=True,
        disable=len(data) < _AT_A_TIME,
    )
    for example, found in looked:
        if isinstance(found, Problem):
            problems.append(found)
            continue
        digest, size = found
        usable.append(example)
        digests[digest].append(example.name)
        sizes += size
    captions = [caption for example in usable for caption in example.captions]
    return Audit(
        data=replace(data, examples=tuple(usable), problems=tuple(problems)),
        records=len(data.examples) + len(data.problems),
        image_bytes=sizes,
        captions=len(captions),
        words=np.array([len(caption.split()) for caption in captions], dtype=np.int64),
        too_long=None if tokenizer is None else len(tokenizer.too_long(captions)),
        duplicates=tuple(tuple(names) for names in digests.values() if len(names) > 1),
    )


def _look(example: Example) -> tuple[bytes, int] | Problem:
    """Digest and size of the picture, once it has been decoded to the last pixel."""
    try:
        content = example.image.read()
        decode(content, example.name)
    except PictureError as error:
        return Problem(name=example.name, fault=error.fault, detail=error.given)
    return hashlib.blake2b(content, digest_size=16).digest(), len(content)


def _mapped(
    call: Callable[[Example], tuple[bytes, int] | Problem],
    examples: tuple[Example, ...],
    workers: int,
) -> Iterator[tuple[bytes, int] | Problem]:
    """In order, a bounded number ahead: a million examples are not queued at once."""
    todo = iter(examples)
    with ThreadPoolExecutor(workers) as pool:
        while some := list(islice(todo, _AT_A_TIME)):
            yield from pool.map(call, some)

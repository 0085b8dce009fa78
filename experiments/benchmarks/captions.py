"""How fast an audit of captions is: reading, concepts, pairs, bounds, on one core."""

import tempfile
import time
from pathlib import Path

import numpy as np

from experiments.benchmarks.measurement import Measurement
from experiments.benchmarks.theory import peak_memory
from smartclip.audit.run import Concepts, audit_captions
from theory.storage import write_atomically

CAPTIONS = 500_000
CONCEPTS = 10_000
WORDS = 12
_AT_ONCE = 50_000


def measurements() -> list[Measurement]:
    """All of them, under two minutes."""
    return [audit_of(CAPTIONS)]


def audit_of(captions: int) -> Measurement:
    """Captions of 12 words of 10,000, one a line, from the file to the findings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "captions.txt"
        write_corpus(path, captions)
        started = time.perf_counter()
        with path.open(encoding="utf-8") as file:
            words = sum(len(line.split()) for line in file)
        reading = time.perf_counter() - started
        before = peak_memory()
        started = time.perf_counter()
        found, _ = audit_captions([path], Concepts(least=10, most=CONCEPTS))
        seconds = time.perf_counter() - started
    assert words == WORDS * captions
    tied = {(tie.counts.concept, tie.counts.other) for tie in found.never}
    known = {(word(k), word(k + 1)) for k in range(0, CONCEPTS // 100, 2)}
    return Measurement(
        work=f"audit of {captions:,} captions of {WORDS} words of {CONCEPTS:,}, from a text file",
        seconds=seconds,
        reference="reading the lines and splitting them at blanks",
        reference_seconds=reading,
        target="at most 60 s, a tenth of the time for 5,000,000, and 4 GiB",
        note=f"{len(found.concepts):,} concepts, all {len(known)} planted ties found: "
        f"{known <= tied}; peak memory of the process {peak_memory() / 2**30:.2f} GiB "
        f"({before / 2**30:.2f} GiB before)",
    )


def word(number: int) -> str:
    """A word that no list of stop words has and no rule shortens."""
    letters = "bcdfgjklmp"
    return "qx" + "".join(letters[int(digit)] for digit in f"{number:05d}") + "a"


def write_corpus(path: Path, captions: int, seed: int = 0) -> None:
    """Word r is drawn with probability 1 / (r + 100), as a real corpus does about.

    The first hundred words are tied in pairs: an even one never comes without the odd one after it.

    Args:
        path: of the text file.
        captions: lines.
        seed: of the words.
    """
    rng = np.random.default_rng(seed)
    weights = 1 / (np.arange(CONCEPTS) + 100)
    edges = np.cumsum(weights / weights.sum())
    names = np.array([word(number) for number in range(CONCEPTS)])
    with write_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for start in range(0, captions, _AT_ONCE):
            count = min(_AT_ONCE, captions - start)
            drawn = np.searchsorted(edges, rng.random((count, WORDS))).clip(max=CONCEPTS - 1)
            first, second = drawn[:, : WORDS // 2], drawn[:, WORDS // 2 :]
            # A word of the second half is the companion of one of the first half, if that has one,
            # and has none itself. They are no neighbours, which would make a name of them.
            tied = (first < CONCEPTS // 100) & (first % 2 == 0)
            bare = (second < CONCEPTS // 100) & (second % 2 == 0)
            drawn[:, WORDS // 2 :] = np.where(tied, first + 1, second + bare)
            file.writelines(" ".join(row) + "\n" for row in names[drawn].tolist())

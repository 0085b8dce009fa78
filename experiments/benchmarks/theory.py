"""How fast the theory engine is: one prediction, a large corpus, a design, the oracle."""

import sys
import time
from collections.abc import Iterator
from itertools import combinations

import networkx as nx
import numpy as np

from experiments.benchmarks.measurement import Measurement, median_seconds
from theory import CaptionFamily, Ring, predict
from theory.design import smallest_addition, smallest_family
from theory.exhaustive import identified_blocks

CAPTIONS = 1_000_000
CONCEPTS = 10_000


def measurements() -> list[Measurement]:
    """All of them, under a minute."""
    return [one_prediction(), large_corpus(), design(), oracle()]


def one_prediction() -> Measurement:
    """64 concepts, 1,000 captions: closures, verdicts and the dependency matrix from scratch."""
    masks = np.random.default_rng(0).random((1000, 64)) < 0.5
    masks[:, :8] = True
    given = CaptionFamily.from_matrix(masks)

    def ask() -> np.ndarray:
        family = CaptionFamily.from_captions(given.captions, concepts=given.concepts)
        prediction = predict(family)
        assert len(prediction.alone) + len(prediction.entangled) == 64
        return prediction.dependency

    def by_definition() -> np.ndarray:
        counts = masks.T.astype(np.int64) @ masks
        return counts == np.diag(counts)[:, None]

    agree = bool((ask() == by_definition()).all())
    return Measurement(
        work="predict, 64 concepts, 1,000 captions, from the list of captions",
        seconds=median_seconds(ask, 9),
        reference="one dense NumPy matrix product on the ready matrix",
        reference_seconds=median_seconds(by_definition, 9),
        target="at most 0.05 s",
        note=f"answers agree: {agree}",
    )


def corpus(captions: int, concepts: int, seed: int = 0) -> Iterator[list[int]]:
    """Captions of 10 concepts; every even concept above 5,000 comes with the odd one before it."""
    rng = np.random.default_rng(seed)
    left = captions
    while left:
        rows = rng.integers(0, concepts, size=(min(left, 10_000), 10))
        left -= len(rows)
        tied = np.where((rows > concepts // 2) & (rows % 2 == 0), rows - 1, rows)
        for row, partner in zip(rows.tolist(), tied.tolist(), strict=True):
            yield list({*row, *partner})


def large_corpus() -> Measurement:
    """A stream of a million captions: accompaniment, atoms and the Hasse diagram."""
    started = time.perf_counter()
    for _ in corpus(CAPTIONS, CONCEPTS):
        pass
    making = time.perf_counter() - started
    before = peak_memory()
    started = time.perf_counter()
    ring = Ring.from_captions(corpus(CAPTIONS, CONCEPTS))
    atoms = ring.atoms()
    graph = ring.accompaniment()
    hasse = graph.hasse()
    seconds = time.perf_counter() - started
    assert nx.number_of_edges(hasse) > 0
    return Measurement(
        work="1,000,000 captions of 10 or more of 10,000 concepts, streamed: accompaniment, atoms, "
        "Hasse diagram",
        seconds=seconds,
        reference="making the captions alone",
        reference_seconds=making,
        target="at most 30 s and 4 GiB",
        note=f"{len(atoms)} atoms, {graph.number_of_edges()} accompaniments; peak memory of the "
        f"process {peak_memory() / 2**30:.2f} GiB ({before / 2**30:.2f} GiB before)",
    )


def design() -> Measurement:
    """The smallest family for 100 concepts and an exact addition to a chain."""
    chain = CaptionFamily.from_captions([range(length + 1) for length in range(10)])

    def ask() -> int:
        return len(smallest_family(range(100)).captions) + len(smallest_addition(chain))

    found = ask()
    return Measurement(
        work="smallest family for 100 concepts; smallest addition to a chain of 10, both proved",
        seconds=median_seconds(ask, 3),
        note=f"{found} captions in all, optimal: {smallest_addition(chain).optimal}",
    )


def oracle() -> Measurement:
    """All 575 families of up to 3 captions over 4 concepts, lattice against exhaustive search."""
    blocks = [frozenset(c) for size in range(1, 5) for c in combinations(range(4), size)]
    families = [f for count in (1, 2, 3) for f in combinations(blocks, count)]

    def lattice() -> list[set[frozenset[object]]]:
        return [
            set(CaptionFamily.from_captions(f, concepts=range(4)).identified()) for f in families
        ]

    def exhaustive() -> list[set[frozenset[int]]]:
        return [identified_blocks(f, [1, 1, 1, 1]) for f in families]

    return Measurement(
        work="identified blocks of all 575 families of up to 3 captions over 4 concepts",
        seconds=median_seconds(lattice, 3),
        reference="exhaustive search over mask assignments and linear codes",
        reference_seconds=median_seconds(exhaustive, 1),
        note=f"answers agree: {lattice() == exhaustive()}",
    )


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes; 0 where it is not told."""
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

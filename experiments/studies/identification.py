"""Does training reach what Theorem 4.3 promises? Twelve families, one setting, nothing tuned.

    smartclip bench identification --seeds 2 3 4 5 6 --out docs/identification.md

and, for what each part of the objective buys, the same with `--without clip` and other ablations.
Every run that is done is kept in a table beside the page, so that the command can be stopped and
goes on where it was.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from rich.progress import Progress

from experiments.figures.identification import reached_by_method
from experiments.figures.style import save
from experiments.recipes.ablations import ablated, ablations
from experiments.recipes.vectors import DEMO_CAPTIONS, VectorRecipe, identifying
from experiments.studies.identification_page import page
from experiments.vector_run import run_vectors
from simulators.storage import write_atomically
from theory.design import smallest_family
from theory.errors import InputError
from theory.recovery import block_recovery
from theory.recovery.verdict import Verdict

BAR = 0.95
LAWS = {"independent": 0.0, "correlation 0.6": 0.6}
WHOLE = "whole"

Captions = tuple[tuple[str, ...], ...]


def subsets(concepts: int, size: int) -> Captions:
    """All captions of `size` concepts."""
    return tuple(itertools.combinations(map(str, range(concepts)), size))


def families() -> dict[str, tuple[Captions, dict[str, int]]]:
    """Name -> captions, and the sizes of concepts, two dimensions each unless the name says so."""
    chain = tuple(tuple("01234"[:count]) for count in range(1, 6))
    smallest = tuple(
        tuple(sorted(map(str, caption))) for caption in smallest_family(range(6)).captions
    )
    every = tuple(itertools.chain.from_iterable(subsets(5, size) for size in range(1, 6)))
    known: dict[str, Captions] = {
        "a: four overlapping": DEMO_CAPTIONS,
        "b: windows of two": tuple(("01234"[i], "01234"[i + 1]) for i in range(4)),
        "c: all pairs of 4": subsets(4, 2),
        "d: prefix chain of 5": chain,
        "e: all but one of 4": subsets(4, 3),
        "f: two triples": (("0", "1", "2"), ("2", "3", "4")),
        "g: nested": (("0", "1"), ("0", "1", "2", "3"), ("3", "4")),
        "h: star": tuple(("0", name) for name in "1234"),
        "i: disjoint": (("0", "1"), ("2", "3")),
        "j: smallest for 6": smallest,
        "k: every subset of 5": every,
        "l: as a, sizes 1,2,3,1,2": DEMO_CAPTIONS,
    }
    sized = {
        name: (captions, dict.fromkeys(sorted(set(itertools.chain(*captions))), 2))
        for name, captions in known.items()
    }
    sized["l: as a, sizes 1,2,3,1,2"] = (
        DEMO_CAPTIONS,
        dict(zip("01234", (1, 2, 3, 1, 2), strict=True)),
    )
    return sized


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Run:
    """One method, seed, law of the latents and family."""

    method: str = WHOLE
    seed: int
    latents: str
    family: str

    def recipe(self) -> VectorRecipe:
        """What is trained."""
        captions, sizes = families()[self.family]
        whole = VectorRecipe(
            captions=captions,
            sizes=tuple(sizes.items()),
            dependence=LAWS[self.latents],
            train=identifying(seed=self.seed),
            seed=self.seed,
        )
        return ablated(whole, self.method)


def measure(run: Run) -> dict[str, object]:
    """Train and measure one run on one thread: a row of the table."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = run_vectors(run.recipe(), Path(folder), device=torch.device("cpu"), quiet=True)
    seconds = time.perf_counter() - started
    family, masks = done.world.family, done.code.caption_masks
    recovery = block_recovery(done.held_out.latents, done.code.image, family=family, masks=masks)
    promised = [row for row in recovery.blocks if row.promised]
    reached = [min(row.completeness.average, row.purity.average) >= BAR for row in promised]
    alone = [row for row in recovery.blocks if row.verdict is Verdict.SURPRISE]
    unexplained = sum(done.twin(row) is None for row in alone)
    return {
        "method": run.method,
        "seed": run.seed,
        "latents": run.latents,
        "family": run.family,
        "promised": len(promised),
        "reached": sum(reached),
        "entangled but alone": len(alone),
        "without twin": unexplained,
        "passed": all(reached) and not unexplained,
        "least completeness": min(row.completeness.average for row in promised),
        "least purity": min(row.purity.average for row in promised),
        "used": int(masks.any(0).sum()),
        "needed": family.dimension,
        "seconds": seconds,
    }


def suite(
    *,
    seeds: Sequence[int],
    without: Sequence[str] = (),
    out: Path,
    workers: int = 2,
    pool: Callable[[int], Executor] = ProcessPoolExecutor,
) -> pd.DataFrame:
    """Train what `out` does not have yet, and write its page, its figure and its table of runs.

    Args:
        seeds: of mixings, initial weights, samples and gates.
        without: ablations instead of the whole, see `experiments.recipes.ablations`.
        out: the Markdown page; the runs are kept beside it as CSV, the figure in `pictures/`.
        workers: processes, one thread each.
        pool: makes them.

    Returns:
        All runs that the table beside `out` has.
    """
    for name in without:
        if name not in ablations():
            raise InputError(
                f"ablation {name!r}",
                rule="the ablations are " + ", ".join(ablations()[1:]),
                fix="choose among them",
            )
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers
    store = out.with_suffix(".csv")
    rows = pd.read_csv(store).to_dict("records") if store.exists() else []
    done = {(row["method"], row["seed"], row["latents"], row["family"]) for row in rows}
    wanted = [
        run
        for method in (without or (WHOLE,))
        for seed in seeds
        for latents in LAWS
        for family in families()
        if astuple(run := Run(method=method, seed=seed, latents=latents, family=family)) not in done
    ]
    console = Console(stderr=True)
    with pool(workers) as workforce, Progress(console=console) as progress:
        for row in progress.track(
            workforce.map(measure, wanted), total=len(wanted), description="runs"
        ):
            rows.append(row)
            with write_atomically(store) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False)
            progress.console.print(
                f"{row['method']}, seed {row['seed']}, {row['latents']}, {row['family']}: "
                f"{row['reached']} of {row['promised']} blocks"
            )
    table = pd.DataFrame(rows)
    picture = save(reached_by_method(table), out.parent / "pictures" / f"{out.stem}.png")
    with write_atomically(out) as temporary:
        text = page(table, picture=picture.relative_to(out.parent), store=store.name)
        temporary.write_text(text, encoding="utf-8")
    return table

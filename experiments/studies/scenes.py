"""Rendered scenes and words: are unions preserved and intersections disentangled in pixels?

    smartclip bench scenes --seeds 0 1 2 --out docs/scenes.md

Every block of the lattice of 14 captions that name three of 14 concepts each, measured in the code
of held-out pictures. A run that is done is read from its folder, so that the command can be stopped
and goes on where it was; `smartclip train scenes` finds the same folder.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.progress import Progress

from experiments.figures.concept_scores import concept_scores
from experiments.figures.style import save
from experiments.figures.words import opened_by_words
from experiments.pictures import encode_labelled, open_folder, recovered, train_one
from experiments.recipes.scenes import ScenePictures, scenes
from experiments.studies.markdown import markdown
from simulators.storage import write_atomically
from smartclip.evaluate.words import WordEffects, word_effects
from smartclip.train.loop import METRICS

BAR = 0.9
# Attributes whose values have an order, so that R2 of their number means what it says.
ORDERED = ("hue", "size", "position", "orientation")
KINDS = ("caption", "union", "intersection", "closure")

ABOUT = """\
Two objects and a scene, 14 concepts of 16 discrete dimensions, 64 x 64 pixels; a caption is words
about three neighbouring concepts, so none ever stands alone, and every concept is an intersection.
SmartCLIP is trained from scratch on fresh pictures (`experiments/recipes/scenes.py`): its caption
tower first, on two captions of each picture; then the pictures, with captions held; then both, with
masks. Each block of the lattice is measured in pictures never seen: completeness is the held-out R2
of its latents from its coordinates, purity that of its coordinates from its latents, both averaged
over coordinates. A block without coordinates has no purity, and is counted as not pure.
Latents are the numbers of the values; those of hue, size, position and orientation have an order.
The statements are about continuous latents, so what is measured here goes beyond them.
"""


def measure(seed: int, *, root: Path) -> tuple[list[dict[str, object]], WordEffects]:
    """Train on one thread, or read what was trained, and measure: a row a block, words' effects."""
    torch.set_num_threads(1)
    recipe, data = scenes(seed=seed), ScenePictures()
    folder = open_folder(recipe, data, root)
    model = train_one(recipe, data, folder, clip=False, device=torch.device("cpu"), quiet=True)
    held_out = data.labelled(held_out=True)
    assert held_out.known is not None
    code = encode_labelled(model, held_out, data)
    recovery = recovered(held_out.known, code, data)
    rows: list[dict[str, object]] = [
        {
            "seed": seed,
            "kind": row.kind,
            "block": " + ".join(map(str, data.family.space.ordered(row.block))),
            "completeness": row.completeness.average,
            # No coordinates say nothing else, but they are not a pure code of anything.
            "purity": row.purity.average if row.coordinates else math.nan,
            "coordinates": len(row.coordinates),
        }
        for row in recovery.blocks
        if row.promised
    ]
    return rows, word_effects(held_out.known.words, held_out.known.said, code.mask.numpy())


def study(
    *,
    seeds: Sequence[int],
    out: Path,
    root: Path = Path("runs"),
    workers: int = 2,
    pool: Callable[[int], Executor] = ProcessPoolExecutor,
) -> pd.DataFrame:
    """Measure each seed, and write the page, its figures and its table of blocks.

    Args:
        seeds: of batches, initial weights and gates.
        out: the Markdown page; the blocks are kept beside it as CSV, figures in `pictures/`.
        root: keeps the runs.
        workers: processes, one thread each.
        pool: makes them.

    Returns:
        One row a seed and block.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers
    console = Console(stderr=True)
    console.print(
        f"Half an hour a seed, {workers} at a time; as it goes each seed writes "
        f"{root}/scenes-*/smartclip/{METRICS}.",
        markup=False,
    )
    with pool(workers) as workforce, Progress(console=console) as progress:
        runs = workforce.map(partial(measure, root=root), seeds)
        found = list(progress.track(runs, total=len(seeds), description="seeds"))
    table = pd.DataFrame([row for rows, _ in found for row in rows])
    with write_atomically(out.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4f")
    pictures = out.parent / "pictures"
    save(concept_scores(singles(table), bar=BAR), pictures / f"{out.stem}_concepts.png")
    save(opened_by_words(found[0][1]), pictures / f"{out.stem}_words.png")
    with write_atomically(out) as temporary:
        text = page(table, effects=[effects for _, effects in found], stem=out.stem)
        temporary.write_text(text, encoding="utf-8")
    return table


def singles(table: pd.DataFrame) -> pd.DataFrame:
    """The blocks of one concept: each is an intersection of captions, listed once."""
    alone = table.loc[~table.block.str.contains(" + ", regex=False)]
    return alone.drop_duplicates(["seed", "block"])


def ordered_intersections(table: pd.DataFrame) -> pd.DataFrame:
    """The intersections whose concepts all have values with an order."""

    def all_ordered(block: str) -> bool:
        return all(concept.split(" ")[-1] in ORDERED for concept in block.split(" + "))

    return table.loc[(table.kind == "intersection") & table.block.map(all_ordered)]


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """One row a kind of block, over blocks and seeds."""
    return pd.DataFrame(
        {
            "blocks": kind,
            "per seed": round(len(part) / part.seed.nunique()),
            "completeness": _range(part.completeness),
            f"complete to {BAR}": _reached(part.completeness),
            "purity": _range(part.purity),
            f"pure to {BAR}": _reached(part.purity),
        }
        for kind in KINDS
        if len(part := table.loc[table.kind == kind])
    )


def page(table: pd.DataFrame, *, effects: Sequence[WordEffects], stem: str) -> str:
    """The page in Markdown.

    Args:
        table: one row a seed and block.
        effects: of the words, for each seed.
        stem: of the names of the table and the figures beside the page.
    """
    unions, crossings = table.loc[table.kind == "union"], ordered_intersections(table)
    head = (
        f"{_reached(unions.completeness)} unions are complete to {BAR}; of the intersections "
        f"of attributes with an order {_reached(crossings.completeness)} are complete and "
        f"{_reached(crossings.purity)} pure to {BAR}"
    )
    explained = ", ".join(f"{one.explained:.1%}" for one in effects)
    concepts = [
        {
            "concept": block,
            "completeness": _range(part.completeness),
            "purity": _range(part.purity),
            "coordinates": " ".join(map(str, part.coordinates)),
        }
        for block, part in singles(table).groupby("block", sort=False)
    ]
    seeds = ", ".join(map(str, table.seed.unique()))
    return (
        f"# Scenes: what training reaches in pixels and words\n\n{ABOUT}\n"
        f"**Seeds {seeds}: {head}.** Every block is in [{stem}.csv]({stem}.csv).\n\n"
        f"![completeness and purity of each concept](pictures/{stem}_concepts.png)\n\n"
        f"## Kinds of blocks\n\nMean, and least to greatest over blocks and seeds.\n\n"
        f"{markdown(by_kind(table).to_dict('records'))}\n\n"
        f"## Each concept alone\n\n{markdown(concepts)}\n\n"
        "## Which words open which coordinates\n\nWhat a word adds to the mask of a caption that "
        "says it, by least squares over held-out captions (the first seed). Such a sum of words "
        f"explains {explained} of the variance of masks.\n\n"
        f"![which words open which coordinates](pictures/{stem}_words.png)\n"
    )


def _reached(scores: pd.Series) -> str:
    return f"{np.count_nonzero(scores.to_numpy() >= BAR)} of {len(scores)}"


def _range(scores: pd.Series) -> str:
    return f"{scores.mean():.3f} ({scores.min():.3f} to {scores.max():.3f})"

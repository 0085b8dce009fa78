"""The page of the identification suite: what was reached, by method, law and family."""

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from experiments.studies.markdown import markdown

ABOUT = """\
For each family, law of the latents and seed: how many promised blocks (captions, unions,
intersections, closures) reach completeness and purity of 0.95, averaged over coordinates and held
out, and how many concepts that the prediction calls entangled came out alone. Independent latents
let that happen by luck: the code then has a *twin*, a code of exactly the same losses in which the
concept depends on its companion (`theory.recovery.twin`), and the concept is reported as entangled
with the twin as witness. A run passes if every promised block is reached and no entangled concept
is left without a twin. One setting serves all families; it was chosen on seeds 0 and 1.

Methods: the *whole* recipe of `experiments/recipes/vectors.py`, and the same with one part taken
away (`experiments/recipes/ablations.py`). *clip* and *published* compare by the cosine, under which
a code may be scaled by any positive number, so that their purity is a lower bound. Intervals of
runs are Wilson's, those of blocks bootstrap over runs, 95 %.
"""
RESAMPLES = 2000


def page(table: pd.DataFrame, *, picture: Path, store: str) -> str:
    """The page in Markdown.

    Args:
        table: one row a run, as `experiments.studies.identification.measure` gives them.
        picture: of the figure, relative to the page.
        store: name of the file that has the runs.
    """
    runs, passed = len(table), int(table.passed.sum())
    whole = table.loc[table.method == "whole"]
    head = f"{passed} of {runs} runs passed"
    if len(whole):
        head = (
            f"{whole.passed.sum()} of {len(whole)} runs of the whole recipe passed; "
            f"{whole.reached.sum()} of {whole.promised.sum()} promised blocks were reached"
        )
    families = by_family(whole if len(whole) else table)
    return (
        "# Identification: what training reaches\n\n"
        f"{ABOUT}\n**{head}.** Every run is in [{store}]({store}). Training took "
        f"{table.seconds.median():.0f} s at the median, on one thread with as many runs side by "
        "side as workers.\n\n"
        f"![share of promised blocks reached, by family and method]({picture})\n\n"
        f"## What each part buys\n\n{markdown(by_method(table).to_dict('records'))}\n\n"
        f"## Family by family\n\n{markdown(families.to_dict('records'))}\n"
    )


def by_method(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method and law of the latents, with intervals."""
    rows = []
    for names, part in table.groupby(["method", "latents"], sort=False):
        method, latents = cast(tuple[str, str], names)
        runs, passed = len(part), int(part.passed.sum())
        low, high = binomtest(passed, runs).proportion_ci(method="wilson")
        blocks = part.reached.sum() / part.promised.sum()
        least, most = _bootstrap(part)
        rows.append(
            {
                "method": method,
                "latents": latents,
                "seeds": part.seed.nunique(),
                "runs passed": f"{passed} of {runs}",
                "share (95 %)": f"{passed / runs:.0%} ({low:.0%} to {high:.0%})",
                "promised blocks reached (95 %)": f"{blocks:.1%} ({least:.1%} to {most:.1%})",
                "used / needed": f"{(part.used / part.needed).mean():.2f}",
                "lucky": part["entangled but alone"].sum(),
                "without twin": part["without twin"].sum(),
            }
        )
    return pd.DataFrame(rows)


def by_family(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method, family and law of the latents, over seeds."""
    rows = []
    for names, part in table.groupby(["method", "family", "latents"]):
        method, family, latents = cast(tuple[str, str, str], names)
        rows.append(
            {
                "method": method,
                "family": family,
                "latents": latents,
                "runs passed": f"{part.passed.sum()} of {len(part)}",
                "blocks": f"{part.reached.sum()} of {part.promised.sum()}",
                "least completeness": round(part["least completeness"].min(), 3),
                "least purity": round(part["least purity"].min(), 3),
                "used": f"{part.used.mean():.1f}",
                "needed": part.needed.iloc[0],
                "seconds": round(part.seconds.median()),
            }
        )
    found = pd.DataFrame(rows)
    order = {method: place for place, method in enumerate(table.method.unique())}
    return found.sort_values(
        ["method", "latents", "family"],
        key=lambda column: column.map(order) if column.name == "method" else column,
        ascending=[True, False, True],
        kind="stable",
    )


def _bootstrap(part: pd.DataFrame) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(len(part), size=(RESAMPLES, len(part)))
    shares = part.reached.to_numpy()[drawn].sum(1) / part.promised.to_numpy()[drawn].sum(1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)

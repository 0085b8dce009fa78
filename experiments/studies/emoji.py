"""SmartCLIP beside CLIP and Long-CLIP on real pictures and captions, all else alike.

Held out are combinations of known concepts, one vendor's style for some subjects, and whole
subjects. Do masks follow what captions mention, and does it help to find pictures?
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import torch

from experiments.datasets.emoji import EmojiPictures, EmojiSet, parts
from experiments.figures.emoji_comparison import comparison_figure
from experiments.harness import Page, Row, Size, Study
from experiments.results.retrieval import searched
from experiments.run import Run, Trained, trained
from smartclip.evaluate.comparison import Difference, paired_difference
from smartclip.evaluate.embedding import embed_captions
from smartclip.evaluate.overlap import overlap
from smartclip.evaluate.retrieval import Recall
from smartclip.methods import METHODS


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One method and seed."""

    method: str
    seed: int


class EmojiComparison(Study[Case]):
    """All methods on emoji."""

    name: ClassVar[str] = "emoji"
    title: ClassVar[str] = "Emoji: SmartCLIP beside CLIP and Long-CLIP"
    hypothesis: ClassVar[str] = (
        "Masks follow the concepts that captions mention, and finding unseen combinations of known "
        "concepts profits from it."
    )
    about: ClassVar[str] = (
        "Every method gets the same towers (64 pixels, 64 coordinates), batches, steps and rates "
        "(`experiments/datasets/emoji.py`); Long-CLIP sees two captions of each picture. A caption "
        "asks for its picture among all pictures, seen or not (a style among the pictures of that "
        "style), and a picture for its label. Differences are of R@1 in points with a 95 % "
        "interval from a bootstrap over subjects and seeds, paired; no allowance is made for how "
        "many there are. "
        "Masks follow concepts if two captions that share more concepts share more coordinates: "
        "Spearman's correlation over kinds of captions of unseen combinations, p from permuting "
        "kinds (Mantel). The prices of our method were chosen earlier by looking at unseen "
        "combinations, of two tried."
    )
    seeds: ClassVar[dict[Size, tuple[int, ...]]] = {
        "smoke": (0,),
        "laptop": (0, 1, 2),
        "full": (0, 1, 2, 3, 4),
    }

    def cases(self, size: Size, seeds: Sequence[int], only: Sequence[str]) -> list[Case]:
        return [Case(method=name, seed=seed) for seed in seeds for name in (only or METHODS)]

    def measure(self, case: Case, runs: Path, device: torch.device) -> list[Row]:
        data = EmojiSet(debug=self.debug).load()
        run = Run.of(data, case.method, seed=case.seed)
        done = trained(run, data, runs, device=device, quiet=True)
        rows: list[Row] = []
        for gallery in data.galleries():
            described = gallery.relevant.float().argmax(1).tolist()
            of_picture = [gallery.groups[text] for text in described]
            for reading, found in searched(done, gallery, data).items():
                for asked, recall, groups in (
                    ("picture by caption", found.caption_to_image, gallery.groups),
                    ("caption by picture", found.image_to_caption, of_picture),
                ):
                    about = {"held out": gallery.name, "asked": asked, "reading": reading}
                    rows += [about | row for row in by_group(recall, groups)]
        if run.method.model.masks:
            rows[0] |= mask_overlap(data, done)
        return rows

    def page(self, table: pd.DataFrame) -> Page:
        shown, gains, told = scores(table), [], []
        readings = list(dict.fromkeys(table.reading))
        # The reading of each method: masked where it has masks.
        asked = [name for name in readings if not name.endswith("unmasked")]
        for names, part in table.groupby(["held out", "asked"], sort=False):
            held_out, kind = cast(tuple[str, str], names)
            row: dict[str, Any] = {"held out": held_out, "asked": kind}
            for one, other in itertools.combinations(asked, 2):
                gain = difference(part, one, other)
                row[f"{one} - {other}"] = _told(gain)
                if gain.decided:
                    ahead, behind = (one, other) if gain.mean > 0 else (other, one)
                    told.append(f"{ahead} is ahead of {behind} on {held_out} ({kind})")
            gains.append(row)
        masks = table.dropna(subset="opened").drop_duplicates(["method", "seed"])
        follows = masks.loc[:, ["method", "seed", "opened", "shared", "correlation", "p"]]
        first = shown.loc[shown["held out"] == shown["held out"].iloc[0]]
        means = first.loc[first.asked == "picture by caption"].groupby("reading", sort=False)["R@1"]
        return Page(
            conclusion=(
                "On unseen combinations the right picture comes first for "
                + ", ".join(f"{mean:.1f} % ({name})" for name, mean in means.mean().items())
                + f" of captions. {'; '.join(told) or 'No two methods are told apart'}. Mask "
                "overlap correlates with concept overlap by "
                + ", ".join(
                    f"{_correlation(value)} ({name}, seed {seed})"
                    for name, seed, value in follows[["method", "seed", "correlation"]].to_numpy()
                )
                + "."
            ),
            tables=[
                ("R@1 in percent: mean over seeds (lowest to highest)", _pivot(shown)),
                ("Differences of R@1 in points", pd.DataFrame(gains)),
                ("Do masks follow concepts?", follows.round(3)),
            ],
            figures={"emoji_comparison": (comparison_figure(shown), "R@1 of each question")},
        )


def by_group(recall: Recall, groups: Sequence[object]) -> list[Row]:
    """Queries and answers of each group of queries that are not independent, such as a subject."""
    frame = pd.DataFrame(
        {
            "group": [groups[query] for query in recall.queries],
            "queries": 1,
            "answered@1": recall.hits[:, recall.ks.index(1)],
            "answered@10": recall.hits[:, recall.ks.index(10)],
        }
    )
    found = pd.DataFrame(frame.groupby("group", as_index=False).sum()).round(4)
    return [row | {"chance@1": round(recall.chance[0], 5)} for row in found.to_dict("records")]


@torch.inference_mode()
def mask_overlap(data: EmojiPictures, done: Trained) -> Row:
    """Of all captions of unseen combinations: overlap of masks against overlap of concepts.

    `shared` is the mean share of coordinates that two kinds of captions have in common, `opened`
    the share that a caption opens.
    """
    held_out = parts(data.data, "combination")
    said = {
        caption.text: caption
        for row in range(len(held_out))
        for caption in held_out.captions_of(row)
    }
    _, masks = embed_captions(done.model, data.tokenizer.tokenise(list(said)))
    mentioned = [[name in one.values for name in held_out.concepts] for one in said.values()]
    found = overlap(masks.bool().numpy(), np.array(mentioned))
    different = ~np.eye(len(found.kinds), dtype=bool)
    return {
        "correlation": round(found.correlation, 4),
        "p": round(found.p_value, 4),
        "shared": round(float(np.nanmean(found.masks[different])), 4),
        "opened": round(float(masks.mean()), 4),
    }


def scores(table: pd.DataFrame) -> pd.DataFrame:
    """One row a question, reading and seed: R@1, R@10 and chance, in percent."""
    grouped = table.groupby(["held out", "asked", "reading", "seed"], sort=False)
    sums = pd.DataFrame(grouped[["queries", "answered@1", "answered@10"]].sum())
    return pd.DataFrame(
        {
            "R@1": 100 * sums["answered@1"] / sums.queries,
            "R@10": 100 * sums["answered@10"] / sums.queries,
            "chance@1": 100 * grouped["chance@1"].first(),
        }
    ).reset_index()


def difference(part: pd.DataFrame, one: str, other: str) -> Difference:
    """R@1 of one reading minus that of another, paired by group and seed."""

    def hits(reading: str) -> np.ndarray:
        own = part.loc[part.reading == reading]
        answered = own.pivot_table(index="seed", columns="group", values="answered@1")
        queries = own.pivot_table(index="seed", columns="group", values="queries")
        return answered.to_numpy() / queries.to_numpy().mean()

    return paired_difference(hits(one), hits(other))


def _pivot(shown: pd.DataFrame) -> pd.DataFrame:
    def cell(values: pd.Series) -> str:
        return f"{values.mean():.1f} ({values.min():.1f} to {values.max():.1f})"

    wide = shown.pivot_table(
        index=["held out", "asked"], columns="reading", values="R@1", aggfunc=cell, sort=False
    )
    chance = shown.groupby(["held out", "asked"], sort=False)["chance@1"].first().round(2)
    return wide.assign(chance=chance).reset_index()


def _correlation(value: float) -> str:
    """Without a number where all masks share alike, so that nothing can correlate."""
    return "nothing, all masks being alike," if np.isnan(value) else f"{value:+.2f}"


def _told(gain: Difference) -> str:
    told = f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    return f"**{told}**" if gain.decided else told

"""SmartCLIP beside plain CLIP and Long-CLIP on emoji: same towers, pictures, captions and steps.

python -m experiments.studies.emoji --out docs/emoji.md

A setting of each method is chosen on validation pictures with a seed of its own; then each method
is trained with three seeds and asked about held-out pictures. Stopped and started again it goes on
where it was; what is trained is not trained again.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import tyro

from experiments.device import choose_device
from experiments.emoji_questions import Embedded, Question, embed, questions
from experiments.recipes.emoji_methods import (
    CLIP,
    LONG_CLIP,
    SMARTCLIP,
    Method,
    clip,
    long_clip,
    smartclip,
)
from experiments.recipes.emoji_split import parts
from smartclip.data.emoji import EmojiData
from smartclip.evaluate.retrieval import KS, read, retrieval
from smartclip.text import Tokenizer

CHOICE_SEED = 100
CHOICE_STEPS = 200


def candidates(steps: int = CHOICE_STEPS) -> list[Method]:
    """What a setting is chosen among, a few for each method."""
    common = {"seed": CHOICE_SEED, "steps": steps}
    return [
        clip(**common),
        clip(**common, logit_scale=30.0),
        long_clip(**common),
        long_clip(**common, components=4),
        smartclip(**common),
        smartclip(**common, sparsity=0.01),
        smartclip(**common, similarity="cosine"),
    ]


def setting(method: Method) -> str:
    """What distinguishes a candidate of its method, in words."""
    if method.name == SMARTCLIP:
        return f"{method.train.similarity}, sparsity {method.train.sparsity:g}"
    scale = f"s = {method.train.logit_scale:.3g}"
    return scale if method.components is None else f"k = {method.components}, {scale}"


def choose(
    data: EmojiData, tokenizer: Tokenizer, runs: Path, device: torch.device, steps: int
) -> pd.DataFrame:
    """Train each candidate and find validation pictures by their labels.

    Test pictures are not among the candidates for an answer. `score` is the mean of R@1, R@5 and
    R@10, masked for SmartCLIP; the highest of each method is chosen.
    """
    seen, asked = parts(data, "train"), parts(data, "validation")
    gallery = parts(data, "train", "validation")
    texts, relevant = asked.queries(("label",), gallery=gallery)
    rows = []
    for method in candidates(steps):
        model, _ = method.trained(seen, tokenizer, runs / "choice", device=device)
        seen_by = embed(model, gallery, tokenizer, method.train)
        with torch.inference_mode():
            text, mask = (
                part.cpu() for part in model.encode_text(tokenizer.tokenise(texts).to(device))
            )
        scores = read(
            seen_by.image,
            text,
            mask,
            logit_scale=method.train.logit_scale,
            similarity=method.train.similarity,
        )
        found = retrieval(scores, relevant).caption_to_image
        at = {f"R@{k}": 100 * found.at(k) for k in KS}
        rows.append(
            {"method": method.name, "setting": setting(method)}
            | at
            | {"score": float(np.mean(list(at.values()))), "open": float(mask.mean())}
        )
    table = pd.DataFrame(rows)
    best = table.groupby("method")["score"].idxmax()
    return table.assign(chosen=table.index.isin(best))


def chosen(table: pd.DataFrame, seed: int, steps: int) -> list[Method]:
    """The chosen setting of each method, with another seed and number of steps."""
    picked = np.array(candidates(), dtype=object)[table["chosen"].to_numpy()]
    return [
        replace(method, train=replace(method.train, seed=seed, steps=steps)) for method in picked
    ]


def study(
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int = 600,
    choice_steps: int = CHOICE_STEPS,
    runs: Path = Path("runs/emoji-study"),
    out: Path,
    device: str = "auto",
) -> None:
    """Choose, train, measure and write the page with its figures.

    Args:
        seeds: of the initial weights, the batches and the gates.
        steps: of each run.
        choice_steps: of each candidate.
        runs: keeps the runs.
        out: the Markdown file; figures go to `pictures/` beside it.
        device: auto, cpu or cuda.
    """
    own = choose_device(device)
    data = EmojiData.load()
    tokenizer = Tokenizer.fit(
        caption.text for row in range(len(data)) for caption in data.captions_of(row)
    )
    choice = choose(data, tokenizer, runs, own, choice_steps)
    print(choice.round(2).to_string(), flush=True)
    seen = parts(data, "train")
    for seed in seeds:
        for method in chosen(choice, seed, steps):
            method.trained(seen, tokenizer, runs, device=own)


if __name__ == "__main__":
    tyro.cli(study)

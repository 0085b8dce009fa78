"""SmartCLIP beside plain CLIP and Long-CLIP on emoji: same towers, pictures, captions and steps.

python -m experiments.studies.emoji --out docs/emoji.md

A setting of each method is chosen on validation pictures with a seed of its own; then each method
is trained with three seeds and asked about held-out pictures. Stopped and started again it goes on
where it was; what is trained is not trained again.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import tyro
from smartclip.train.growth import Growth

from experiments.device import choose_device
from experiments.emoji_questions import Question, embed, labels_of, questions
from experiments.figures.emoji_comparison import comparison_figure, overlap_figure
from experiments.figures.style import save
from experiments.recipes.emoji_methods import (
    BATCH,
    SMARTCLIP,
    Method,
    clip,
    long_clip,
    smartclip,
)
from experiments.recipes.emoji_split import PARTS, parts
from experiments.studies.emoji_page import MASKED, UNMASKED, Results, page
from smartclip.data.emoji import EmojiData
from smartclip.evaluate.overlap import Overlap, overlap
from smartclip.evaluate.retrieval import KS, Recall, read, retrieval
from smartclip.model import SmartCLIP
from smartclip.text import Tokenizer
from smartclip.train.loop import COST
from theory.storage import write_atomically

CHOICE_SEED = 100
CHOICE_STEPS = 200
EMBEDDED = "embedded.safetensors"


def candidates(steps: int = CHOICE_STEPS) -> list[Method]:
    """What a setting is chosen among, a few for each method."""
    seed = CHOICE_SEED
    return [
        clip(seed=seed, steps=steps),
        clip(seed=seed, steps=steps, logit_scale=30.0),
        long_clip(seed=seed, steps=steps),
        long_clip(seed=seed, steps=steps, components=4),
        smartclip(seed=seed, steps=steps),
        smartclip(seed=seed, steps=steps, sparsity=0.01),
        smartclip(seed=seed, steps=steps, similarity="cosine"),
        smartclip(seed=seed, steps=steps, logit_scale=2.0),
        smartclip(seed=seed, steps=steps, sparsity=0.01, logit_scale=1.0),
        smartclip(seed=seed, steps=steps, sparsity=0.01, logit_scale=2.0),
        smartclip(seed=seed, steps=steps, sparsity=0.01, logit_scale=2.0, growth=Growth()),
    ]


def setting(method: Method) -> str:
    """What distinguishes a candidate of its method, in words."""
    train = method.train
    scale = f"s = {train.logit_scale:.3g}"
    if method.name == SMARTCLIP:
        grown = ", in stages" if train.growth else ""
        kind = train.similarity.replace("_", " ")
        return f"{kind}, {scale}{grown}, sparsity {train.sparsity:g}"
    return scale if method.components is None else f"{scale}, k = {method.components}"


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
    labels, _ = labels_of(gallery)
    columns = [labels.index(text) for text in texts]
    rows = []
    for method in candidates(steps):
        model, folder = method.trained(seen, tokenizer, runs / "choice", device=device)
        found = embed(model, gallery, tokenizer, method.train, folder / EMBEDDED)
        scores = read(
            found.image,
            found.text[columns],
            found.mask[columns],
            logit_scale=method.train.logit_scale,
            similarity=method.train.similarity,
        )
        answers = retrieval(scores, relevant).caption_to_image
        at = {f"R@{k}": 100 * answers.at(k) for k in KS}
        rows.append(
            {"method": method.name, "setting": setting(method)}
            | at
            | {
                "score": float(np.mean(list(at.values()))),
                "open": float(found.mask.mean()),
                "masks": len(found.mask.unique(dim=0)),
            }
        )
    best = {
        max(
            (row for row, one in enumerate(rows) if one["method"] == name),
            key=lambda row: rows[row]["score"],
        )
        for name in {one["method"] for one in rows}
    }
    return pd.DataFrame(rows).assign(chosen=[row in best for row in range(len(rows))])


def chosen(table: pd.DataFrame, seed: int, steps: int) -> list[Method]:
    """The chosen setting of each method, with another seed and number of steps."""
    picked = np.array(candidates(), dtype=object)[table["chosen"].to_numpy()]
    return [
        replace(method, train=replace(method.train, seed=seed, steps=steps)) for method in picked
    ]


def measure(
    data: EmojiData,
    tokenizer: Tokenizer,
    asked: Sequence[Question],
    method: Method,
    model: SmartCLIP,
    kept: Path,
) -> dict[str, list[Recall]]:
    """The answers of a trained model to each question, under each of its readings."""
    seen = embed(model, data, tokenizer, method.train, kept)
    readings = {MASKED: True, UNMASKED: False} if method.name == SMARTCLIP else {method.name: False}
    return {
        reading: [seen.answer(question, masked=masked) for question in asked]
        for reading, masked in readings.items()
    }


@torch.inference_mode()
def caption_overlap(
    data: EmojiData, tokenizer: Tokenizer, model: SmartCLIP
) -> tuple[Overlap, float]:
    """Of all captions of unseen combinations, and the share of coordinates that one opens."""
    held_out = parts(data, "combination")
    said = {
        caption.text: caption
        for row in range(len(held_out))
        for caption in held_out.captions_of(row)
    }
    device = next(model.parameters()).device
    tokens = tokenizer.tokenise(list(said)).to(device)
    masks = torch.cat([model.encode_text(rows)[1].cpu() for rows in tokens.split(512)])
    mentioned = [
        [concept in caption.values for concept in data.concepts] for caption in said.values()
    ]
    return overlap(masks.bool().numpy(), np.array(mentioned)), float(masks.mean())


def study(
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int = 500,
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
    asked = questions(data)
    found = Results(
        questions=asked,
        concepts=data.concepts,
        pictures={part: len(parts(data, part)) for part in PARTS},
        choice=choice,
        choice_steps=choice_steps,
        seeds=seeds,
        steps=steps,
        batch=BATCH,
    )
    seen = parts(data, "train")
    for seed in seeds:
        for method in chosen(choice, seed, steps):
            model, folder = method.trained(seen, tokenizer, runs, device=own)
            found.add(measure(data, tokenizer, asked, method, model, folder / EMBEDDED))
            found.seconds.append(json.loads((folder / COST).read_text())["measured"]["seconds"])
            if method.name == SMARTCLIP:
                shared, opened = caption_overlap(data, tokenizer, model)
                found.overlaps.append(shared)
                found.opened.append(opened)
            print(f"seed {seed}, {method.name}: measured", flush=True)
    save(comparison_figure(found.scores()), out.parent / "pictures" / "emoji_comparison.png")
    save(
        overlap_figure(found.overlaps, data.concepts),
        out.parent / "pictures" / "emoji_overlap.png",
    )
    with write_atomically(out) as temporary:
        temporary.write_text(page(found), encoding="utf-8")
    print(f"Page: {out}")


if __name__ == "__main__":
    tyro.cli(study)

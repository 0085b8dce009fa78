"""What is asked of a model of emoji: pictures by caption, captions by picture, pictures by picture.

Candidates are always all pictures or all labels there are, seen or not: among the held-out ones
alone, a subject would give its skin tone away.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.recipes.emoji_split import UNSEEN_STYLE, Part, part_of
from simulators.storage import write_atomically
from smartclip.data.emoji import EmojiData
from smartclip.evaluate.retrieval import Recall, read, retrieval
from smartclip.model import SmartCLIP
from smartclip.objective import Similarity
from smartclip.text import Tokenizer
from smartclip.train.config import TrainConfig

Kind = Literal["picture by caption", "caption by picture", "picture by picture"]
NAMES: dict[Part, str] = {
    "combination": "unseen combinations",
    "style": "unseen style",
    "emoji": "unseen subjects",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Q queries, C candidates, and which of them are right.

    Attributes:
        name: what is held out.
        kind: what is asked for, and by what.
        queries: rows of the pictures, or of the labels.
        candidates: likewise.
        right: [Q, C].
        groups: the subject of each query; skin tones of one subject are not independent.
    """

    name: str
    kind: Kind
    queries: Int[np.ndarray, " Q"]
    candidates: Int[np.ndarray, " C"]
    right: Bool[Tensor, "Q C"]
    groups: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """All pictures and labels as a model sees them, on the CPU.

    Attributes:
        image: z^_I [pictures, D].
        text: z^_T [labels, D].
        mask: the hard masks of the labels [labels, D].
        label: the label of each picture.
        logit_scale: of the training.
        similarity: of the training.
    """

    image: Float[Tensor, "pictures D"]
    text: Float[Tensor, "labels D"]
    mask: Float[Tensor, "labels D"]
    label: Int[np.ndarray, " pictures"]
    logit_scale: float
    similarity: Similarity

    def answer(self, question: Question, *, masked: bool) -> Recall:
        """R@k, each caption looking through its own mask or not.

        Pictures are compared by the cosine, through the mask of the label of the query. (The norm
        of the query itself does not change the order of its answers.)
        """
        asked, offered = question.queries, question.candidates
        if question.kind == "picture by picture":
            opened = self.mask[self.label[asked]] if masked else None
            scores = read(self.image[offered], self.image[asked], opened)
        else:
            by_caption = question.kind == "picture by caption"
            pictures, labels = (offered, asked) if by_caption else (asked, offered)
            scores = read(
                self.image[pictures],
                self.text[labels],
                self.mask[labels] if masked else None,
                logit_scale=self.logit_scale,
                similarity=self.similarity,
            )
            scores = scores if by_caption else scores.T
        return retrieval(scores, question.right.T).caption_to_image


def labels_of(data: EmojiData) -> tuple[list[str], Int[np.ndarray, " pictures"]]:
    """The distinct labels, and which of them each picture has."""
    number = {
        label: place for place, label in enumerate(dict.fromkeys(e.label for e in data.emoji))
    }
    return list(number), np.array([number[emoji.label] for emoji in data.emoji])


def questions(data: EmojiData) -> list[Question]:
    """Three held-out parts, each in both directions, and across the vendors.

    A label is right about every picture that it describes, as in `EmojiData.queries`.
    """
    labels, label = labels_of(data)
    described, describes = data.queries(("label",))
    assert described == labels
    right = describes.T
    part = np.array([part_of(*pair) for pair in zip(data.emoji, data.vendors, strict=True)])
    vendor = np.array(data.vendors)
    subject = [emoji.values.get("subject") or emoji.label for emoji in data.emoji]
    of_label = {int(label[row]): subject[row] for row in range(len(data))}
    everything, every_label = np.arange(len(data)), np.arange(len(labels))
    found = []
    for held_out, name in NAMES.items():
        pictures = np.flatnonzero(part == held_out)
        asked = np.unique(label[pictures])
        # Google's pictures of the same emoji were trained on, and would answer for Twitter's.
        offered = np.flatnonzero(vendor == UNSEEN_STYLE) if held_out == "style" else everything
        found += [
            Question(
                name=name,
                kind="picture by caption",
                queries=asked,
                candidates=offered,
                right=right[asked][:, offered],
                groups=[of_label[row] for row in asked.tolist()],
            ),
            Question(
                name=name,
                kind="caption by picture",
                queries=pictures,
                candidates=every_label,
                right=right.T[pictures],
                groups=[subject[row] for row in pictures.tolist()],
            ),
        ]
    one = np.flatnonzero((part == "combination") & (vendor != UNSEEN_STYLE))
    other = np.flatnonzero(vendor == UNSEEN_STYLE)
    found.append(
        Question(
            name="unseen combinations, the other vendor's drawing",
            kind="picture by picture",
            queries=one,
            candidates=other,
            right=torch.from_numpy(label[one][:, None] == label[other]),
            groups=[subject[row] for row in one.tolist()],
        )
    )
    return found


def embed(
    model: SmartCLIP,
    data: EmojiData,
    tokenizer: Tokenizer,
    config: TrainConfig,
    kept: Path,
    *,
    rows: int = 512,
) -> Embedded:
    """Show a trained model all pictures and labels.

    Args:
        model: trained with `config`.
        data: the pictures.
        tokenizer: of the labels.
        config: for the reading.
        kept: a file that is read if it is there, and written if not.
        rows: pictures or labels at a time.
    """
    labels, label = labels_of(data)
    if not kept.exists():
        found = _shown(model, data, tokenizer.tokenise(labels), rows)
        with write_atomically(kept) as temporary:
            save_file(found, temporary)
    return Embedded(
        **load_file(kept),
        label=label,
        logit_scale=config.logit_scale,
        similarity=config.similarity,
    )


@torch.inference_mode()
def _shown(model: SmartCLIP, data: EmojiData, tokens: Tensor, rows: int) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    image = [
        model.encode_image(data.pixels(slice(first, first + rows), device=device)).cpu()
        for first in range(0, len(data), rows)
    ]
    texts = [model.encode_text(part.to(device)) for part in tokens.split(rows)]
    text, mask = (torch.cat(column).cpu() for column in zip(*texts, strict=True))
    return {"image": torch.cat(image), "text": text, "mask": mask}

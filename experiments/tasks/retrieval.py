"""Retrieval: each caption asks for its picture among all, each picture for any of its captions.

R@1, R@5, R@10 and the median rank of both directions, unmasked (as published) and masked. Of
captions with several sentences also without the first, shuffled, and moved to the end of the
context; and against the number of tokens that are read.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from experiments.tasks.task import Curve, Outcome, Place, Score, Task, fraction
from theory.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from smartclip.evaluate.embedder import Embedder
    from smartclip.evaluate.retrieval import Retrieval

LENGTHS = (8, 12, 16, 24, 32, 48, 64, 77, 96, 128, 192, 248)
DIRECTIONS = {"caption_to_image": "text to image", "image_to_caption": "image to text"}


class RetrievalTask(Task):
    """Both directions on any data set of pictures and captions."""

    name: ClassVar[str] = "retrieval"
    told: ClassVar[str] = "R@k of captions and pictures, in any layout that smartclip data reads"

    def measure(self, embedder: "Embedder", place: Place) -> Outcome:
        import torch

        from smartclip.data.formats import read
        from smartclip.evaluate.embedder import Shown

        data = read(place.path, place.format, pictures=place.pictures, split=place.split)
        shown = [Shown(name=one.name, image=one.image) for one in data]
        pictures = embedder.pictures(shown)
        used = [data.examples[place] for place in pictures.kept.tolist()]
        if len(used) < 2:
            raise InputError(
                f"{len(used)} pictures in {place.path}",
                rule="a picture is told from at least one other",
                fix="check --pictures",
            )
        captions = [caption for one in used for caption in one.captions]
        owner = torch.tensor([row for row, one in enumerate(used) for _ in one.captions])
        asked = _Asked(embedder, pictures.image, owner)
        cut_before = embedder.reader.cut
        outcome = Outcome(
            protocol=embedder.protocol()
            | {
                "data": data.source,
                "split": place.split or "as it lies",
                "fingerprint": data.fingerprint(),
                "pictures": fraction(len(used), data.pictures_found),
                "captions": len(captions),
                "captions of a picture": _range([len(one.captions) for one in used]),
                "prompt": "the caption alone",
            },
            scores={},
        )
        tokens = embedder.reader(captions)
        for reading, found in asked.of_tokens(tokens).items():
            _add(outcome, found, owner, reading)
        for control, found in asked.of_other_masks(tokens).items():
            _add(outcome, found, owner, control, ks=(1,))
        outcome.protocol["captions cut"] = fraction(embedder.reader.cut - cut_before, len(captions))
        self._by_sentences(outcome, asked, captions)
        self._by_length(outcome, asked, captions)
        return outcome

    def _by_sentences(self, outcome: Outcome, asked: "_Asked", captions: list[str]) -> None:
        """Captions of two sentences or more, in four forms, among the pictures that have one."""
        import torch

        from smartclip.data.sentences import sentences
        from smartclip.text import moved

        parts = [sentences(caption) for caption in captions]
        chosen = [row for row, each in enumerate(parts) if len(each) > 1]
        pictures = sorted({int(asked.owner[row]) for row in chosen})
        if len(pictures) < 2:
            return
        place = {picture: number for number, picture in enumerate(pictures)}
        owner = torch.tensor([place[int(asked.owner[row])] for row in chosen])
        few = _Asked(asked.embedder, asked.image[pictures], owner)
        forms: dict[str, Callable[[list[str], int], list[str]]] = {
            "all sentences": lambda each, _: each,
            "first sentence dropped": lambda each, _: each[1:],
            "sentences shuffled": _shuffled,
        }
        reader = asked.embedder.reader
        tokens = {
            name: reader([" ".join(form(parts[row], row)) for row in chosen])
            for name, form in forms.items()
        }
        tokens["padded in front"] = moved(tokens["all sentences"], 1.0)
        outcome.protocol["captions of several sentences"] = len(chosen)
        for name, each in tokens.items():
            for reading, found in few.of_tokens(each).items():
                _add(outcome, found, owner, f"{reading}, {name}", ks=(1,))

    def _by_length(self, outcome: Outcome, asked: "_Asked", captions: list[str]) -> None:
        """R@1 where only the first tokens of each caption are read."""
        import torch

        from smartclip.text import CLIPTokenizer

        tokenizer = asked.embedder.ready.tokenizer
        longest = min(int(tokenizer.lengths(captions).max()), tokenizer.context)
        # The first length that holds every caption whole ends the curve.
        shorter = [length for length in LENGTHS if length < longest]
        lines: dict[str, list[float]] = {}
        for length in [*shorter, longest]:
            short = CLIPTokenizer(context=length).tokenise(captions, truncate=True)
            tokens = torch.zeros(len(captions), tokenizer.context, dtype=torch.long)
            tokens[:, :length] = short
            for reading, found in asked.of_tokens(tokens).items():
                for direction, title in DIRECTIONS.items():
                    line = lines.setdefault(f"{title}, {reading}", [])
                    line.append(getattr(found, direction).at(1))
        outcome.curves["length"] = Curve(
            title="R@1",
            setting="tokens of a caption that are read, its two marks included",
            at=[float(length) for length in [*shorter, longest]],
            lines=lines,
        )


class _Asked:
    """Pictures, and captions that ask for them."""

    def __init__(self, embedder: "Embedder", image: "Tensor", owner: "Tensor") -> None:
        self.embedder, self.image, self.owner = embedder, image, owner

    def of_tokens(self, tokens: "Tensor") -> "dict[str, Retrieval]":
        """Each reading of the model."""
        text, mask = self.embedder.tokens(tokens)
        return self._of_masks(text, self.embedder.readings(mask))

    def of_other_masks(self, tokens: "Tensor") -> "dict[str, Retrieval]":
        """Controls of the masked reading: the mask of another caption, and the mean of all masks.

        Where they do as well as a caption's own mask, what a mask says of its caption is not used.
        The third control, all ones, is the unmasked reading.
        """
        import torch

        if not self.embedder.ready.masked:
            return {}
        text, mask = self.embedder.tokens(tokens)
        generator = torch.Generator().manual_seed(0)
        other = torch.randperm(len(mask), generator=generator)
        controls: dict[str, Tensor | None] = {
            "masks of other captions": mask[other],
            "mean mask": mask.mean(0, keepdim=True).expand_as(mask),
        }
        return self._of_masks(text, controls)

    def _of_masks(
        self, text: "Tensor", masks: "dict[str, Tensor | None]"
    ) -> "dict[str, Retrieval]":
        from smartclip.evaluate.retrieval import retrieval_by_rows

        ready = self.embedder.ready
        return {
            name: retrieval_by_rows(
                self.image,
                text,
                mask,
                self.owner,
                logit_scale=ready.logit_scale,
                similarity=ready.similarity,
            )
            for name, mask in masks.items()
        }


def _add(
    outcome: Outcome,
    found: "Retrieval",
    owner: "Tensor",
    label: str,
    ks: tuple[int, ...] = (1, 5, 10),
) -> None:
    """R@k of both directions and their median ranks; captions of one picture are one group."""
    for direction, title in DIRECTIONS.items():
        recall = getattr(found, direction)
        queries = recall.queries
        groups = owner[queries].tolist() if direction == "caption_to_image" else queries.tolist()
        for k in ks:
            column = recall.ks.index(k)
            outcome.scores[f"R@{k}, {title}, {label}"] = Score(
                values=recall.hits[:, column],
                groups=groups,
                chance=float(recall.chance[column]),
            )
        outcome.numbers[f"median rank, {title}, {label}"] = recall.median_rank


def _shuffled(each: list[str], row: int) -> list[str]:
    """Another order of at least two sentences; the same for the same caption of a data set."""
    order = list(range(len(each)))
    generator = random.Random(row)  # noqa: S311  (no secret)
    while order == sorted(order):
        generator.shuffle(order)
    return [each[place] for place in order]


def _range(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"

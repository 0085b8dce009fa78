"""Zero-shot classification of a folder of pictures, one folder a class, as torchvision has it.

A class is named by its folder (underscores are spaces), or, for ImageNet's n01440764 and the like,
as open_clip names it. Accuracy at 1 and 5, each class counted alike beside it, and names of several
words beside names of one.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from experiments.tasks.task import Outcome, Place, Score, Task, fraction
from theory.errors import InputError

if TYPE_CHECKING:
    from smartclip.evaluate.embedder import Embedder

_WORDNET = re.compile(r"n\d{8}")
_IMAGENET = 1000


class Classification(Task):
    """Which of the classes a picture shows."""

    name: ClassVar[str] = "classification"
    told: ClassVar[str] = "zero-shot classes of a folder that has a folder of pictures for each"

    def measure(self, embedder: "Embedder", place: Place) -> Outcome:
        import numpy as np
        import torch

        from smartclip.data.pictures import ENDINGS, Blob
        from smartclip.evaluate.embedder import Shown
        from smartclip.evaluate.zero_shot import class_scores, right_at

        root = place.path / place.split if place.split else place.path
        folders = classes(root)
        names = class_names([folder.name for folder in folders])
        files = [
            (number, file)
            for number, folder in enumerate(folders)
            for file in sorted(folder.rglob("*"))
            if file.suffix.lower() in ENDINGS
        ]
        shown = [
            Shown(name=str(file.relative_to(root)), image=Blob(path=file)) for _, file in files
        ]
        pictures = embedder.pictures(shown)
        answer = torch.tensor([files[row][0] for row in pictures.kept.tolist()]).long()
        if not len(answer):
            raise InputError(
                f"{root} without pictures",
                rule="each class is a folder of pictures",
                fix="give the folder that holds the folders of classes",
            )
        templates = templates_of_clip()
        prompts = [template(name) for name in names for template in templates]
        cut_before = embedder.reader.cut
        text, mask = (
            found.unflatten(0, (len(names), len(templates))) for found in embedder.captions(prompts)
        )
        outcome = Outcome(
            protocol=embedder.protocol()
            | {
                "data": str(root),
                "split": place.split or "as it lies",
                "pictures": fraction(len(answer), len(files)),
                "classes": len(names),
                "prompt": f"CLIP's {len(templates)} templates for ImageNet, such as "
                f"{templates[0](names[0])!r}",
                "captions cut": fraction(embedder.reader.cut - cut_before, len(prompts)),
            },
            scores={},
        )
        owners = answer.tolist()
        several = np.array([len(re.split(r"[\s-]+", name)) > 1 for name in names])[owners]
        for reading, opened in embedder.readings(mask).items():
            scores = class_scores(
                pictures.image,
                text,
                opened,
                similarity=embedder.ready.similarity,
                logit_scale=embedder.ready.logit_scale,
            )
            first = right_at(scores, answer, 1)
            chance = 1 / len(names)
            outcome.scores[f"accuracy, {reading}"] = Score(values=first, chance=chance)
            if len(names) > 5:
                outcome.scores[f"accuracy among 5, {reading}"] = Score(
                    values=right_at(scores, answer, 5), chance=5 * chance
                )
            for label, chosen in (("several words", several), ("one word", ~several)):
                if chosen.any() and not chosen.all():
                    outcome.scores[f"accuracy, names of {label}, {reading}"] = Score(
                        values=first[chosen], chance=chance
                    )
            by_class = {
                names[number]: float(first[answer.numpy() == number].mean())
                for number in sorted(set(owners))
            }
            outcome.numbers[f"mean accuracy of a class, {reading}"] = float(
                np.mean(list(by_class.values()))
            )
            outcome.protocol[f"accuracy of each class, {reading}"] = by_class
        return outcome


def classes(root: Path) -> list[Path]:
    """A folder for each class, by name.

    Raises:
        InputError: fewer than two.
    """
    folders = sorted(
        each
        for each in (root.iterdir() if root.is_dir() else ())
        if each.is_dir() and not each.name.startswith(".")
    )
    if len(folders) < 2:
        raise InputError(
            f"{root} with {len(folders)} folders",
            rule="each of at least two classes is a folder of pictures",
            fix="give the folder that holds them, or choose it with --split",
        )
    return folders


def class_names(folders: Sequence[str]) -> list[str]:
    """What the classes of these folders are called.

    >>> class_names(["apple_pie", "beet salad"])
    ['apple pie', 'beet salad']
    """
    if all(_WORDNET.fullmatch(folder) for folder in folders):
        if len(folders) != _IMAGENET:
            raise InputError(
                f"{len(folders)} folders named as in WordNet",
                rule=f"open_clip names the {_IMAGENET} classes of ImageNet in their order",
                fix="give all of them, or name the folders by their classes",
            )
        from smartclip.towers.open_clip import load_open_clip

        load_open_clip()
        from open_clip import IMAGENET_CLASSNAMES

        return list(IMAGENET_CLASSNAMES)
    return [folder.replace("_", " ") for folder in folders]


def templates_of_clip() -> list:
    """CLIP's templates for ImageNet, name of a class -> caption."""
    from smartclip.towers.open_clip import load_open_clip

    load_open_clip()
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return list(OPENAI_IMAGENET_TEMPLATES)

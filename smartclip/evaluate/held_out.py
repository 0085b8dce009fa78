"""Pictures kept out of training, with all their captions: what retrieval is measured on.

As on COCO and Flickr30k, each caption asks for its picture among all, and each picture for any of
its captions among all.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from smartclip.data.crop import DRAWS, Crop, normalised
from smartclip.data.examples import Example, ImageText, Problem
from smartclip.data.pictures import PictureError
from smartclip.evaluate.embedding import embed_captions, embed_images
from smartclip.evaluate.retrieval import Retrieval, read, retrieval
from smartclip.model import SmartCLIP
from smartclip.text import CaptionReader
from smartclip.towers.weights import Colour
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """N pictures and their M captions, ready for a model; also a source for validation.

    Attributes:
        levels: [N, 3, S, S] of the pictures.
        tokens: [M, L] of the captions.
        owner: [M] the picture of each caption, ascending.
        problems: pictures that could not be used.
        mean: of each colour.
        std: of each colour.
    """

    levels: UInt8[Tensor, "N 3 s s"]
    tokens: Int64[Tensor, "M l"]
    owner: Int64[Tensor, " M"]
    problems: tuple[Problem, ...]
    mean: Colour
    std: Colour

    def __len__(self) -> int:
        return len(self.levels)

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """The first `size` pictures, each with its first caption, at every step."""
        return self.rows(step, size, slice(0, size), device)

    def rows(
        self, step: int, size: int, wanted: slice, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Some rows of `batch`."""
        first_captions = torch.searchsorted(self.owner, torch.arange(size))[wanted]
        images = self._images(self.levels[:size][wanted], device)
        return images, self.tokens[first_captions].to(device)

    def relevant(self) -> Bool[Tensor, "N M"]:
        """Which caption is of which picture."""
        return torch.arange(len(self.levels))[:, None] == self.owner

    def retrieved(self, model: SmartCLIP, *, rows: int = 64) -> dict[str, Retrieval]:
        """R@k "unmasked" (as published), and "masked" (each caption through its own mask).

        Args:
            model: any; one without masks has the unmasked reading alone.
            rows: embedded at a time.
        """

        def prepare(levels: Tensor) -> Tensor:
            return self._images(levels, levels.device)

        image = embed_images(model, self.levels, rows=rows, prepare=prepare)
        text, mask = embed_captions(model, self.tokens, rows=rows)
        readings = (
            {"unmasked": None}
            if model.mask_network is None
            else {
                "masked": mask,
                "unmasked": None,
            }
        )
        return {
            reading: retrieval(read(image, text, opened), self.relevant())
            for reading, opened in readings.items()
        }

    def _images(self, levels: Tensor, device: torch.device) -> Tensor:
        return normalised(levels.to(device), self.mean, self.std)


def hold_out(
    data: ImageText,
    reader: CaptionReader,
    crop: Crop,
    *,
    mean: Colour,
    std: Colour,
    skip: bool = False,
    workers: int = 2,
) -> HeldOut:
    """Open pictures and read captions.

    Args:
        data: which.
        reader: of the captions; it counts those that it cuts.
        crop: of the pictures.
        mean: of each colour.
        std: of each colour.
        skip: leave out pictures that cannot be used; without it they are an error.
        workers: threads that open pictures.

    Raises:
        PictureError: a picture cannot be used, without `skip`.
        InputError: fewer than two pictures.
    """
    levels: list[Tensor] = []
    captions: list[str] = []
    owner: list[int] = []
    problems: list[Problem] = []
    with ThreadPoolExecutor(workers) as pool:
        for example, found in zip(data, pool.map(_opened, data, repeat(crop)), strict=True):
            if isinstance(found, PictureError):
                if not skip:
                    raise found
                problems.append(Problem(name=example.name, fault=found.fault, detail=found.given))
                continue
            owner += [len(levels)] * len(example.captions)
            captions += example.captions
            levels.append(found)
    if len(levels) < 2:
        raise InputError(
            f"{len(levels)} pictures held out",
            rule="a picture is told from at least one other",
            fix="hold out more",
        )
    return HeldOut(
        levels=torch.stack(levels),
        tokens=_in_parts(reader, captions),
        owner=torch.tensor(owner),
        problems=tuple(problems),
        mean=mean,
        std=std,
    )


def _opened(example: Example, crop: Crop) -> Tensor | PictureError:
    try:
        return crop(example.image.read(), example.name, np.full(DRAWS, 0.5))
    except PictureError as error:
        return error


def _in_parts(read_captions: Callable[[list[str]], Tensor], captions: list[str]) -> Tensor:
    size = 4096
    parts = [captions[start : start + size] for start in range(0, len(captions), size)]
    return torch.cat([read_captions(part) for part in parts])

"""Pictures and captions to z^_I, z^_T and masks for an evaluation, each content embedded once.

    (weights, crop, colours, bytes of the pictures)  ->  key  ->  embeddings kept in a folder

The key is a digest of all that an embedding depends on, so a name or a date never decides.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from smartclip.data.crop import MIDDLE, Crop, normalised
from smartclip.data.examples import Problem
from smartclip.data.pictures import PictureError, Stored, decode, digest
from smartclip.evaluate.embedding import embed_captions, embed_images
from smartclip.ready import ReadyModel
from smartclip.text import CaptionReader
from theory.storage import write_atomically

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge, in pixels of the upright picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A picture, or a part of it, to be embedded.

    Attributes:
        name: for errors.
        image: where its bytes are.
        box: the part; None for all of it.
    """

    name: str
    image: Stored
    box: Box | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """Embedded pictures.

    Attributes:
        image: z^_I [N, D] of those that open.
        kept: [N] their places among those that were asked for.
        problems: the others.
    """

    image: Float[Tensor, "N D"]
    kept: Int64[Tensor, " N"]
    problems: tuple[Problem, ...]


class Embedder:
    """A ready model that looks at pictures and reads captions.

    Args:
        ready: the model, on the device where it computes.
        cache: keeps embeddings of pictures by content; None keeps none.
        skip: leave out pictures that cannot be used; without it they are an error.
        rows: embedded at a time.
        workers: threads that open pictures.
    """

    def __init__(
        self,
        ready: ReadyModel,
        *,
        cache: Path | None = None,
        skip: bool = False,
        rows: int = 64,
        workers: int = 2,
    ) -> None:
        self.ready, self.cache, self.skip = ready, cache, skip
        self.rows, self.workers = rows, workers
        self.reader = CaptionReader(ready.tokenizer)
        self.crop = Crop(pixels=ready.architecture.image.image_size, gap=None)

    @cached_property
    def weights(self) -> str:
        """A digest of all tensors of the model."""
        state = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.ready.model.state_dict().items()):
            state.update(name.encode())
            state.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return state.hexdigest()

    def pictures(self, shown: Sequence[Shown], *, cut: Crop | None = None) -> Pictures:
        """z^_I of every picture that opens.

        Args:
            shown: which.
            cut: how they become squares; the shorter side and the middle by default.

        Raises:
            PictureError: one cannot be used, without `skip`.
        """
        cut = cut or self.crop
        path = None if self.cache is None else self.cache / f"{self._key(shown, cut)}.safetensors"
        if path is not None and path.is_file():
            found = load_file(path)
            return Pictures(image=found["image"], kept=found["kept"], problems=())
        images: list[Tensor] = []
        kept: list[int] = []
        problems: list[Problem] = []
        for part in self._parts(shown, cut):
            levels = []
            for place, opened in part:
                if isinstance(opened, PictureError):
                    if not self.skip:
                        raise opened
                    name = shown[place].name
                    problems.append(Problem(name=name, fault=opened.fault, detail=opened.given))
                    continue
                levels.append(opened)
                kept.append(place)
            if levels:
                images.append(self._embedded(torch.stack(levels)))
        image = torch.cat(images) if images else torch.empty(0, self.ready.model.dimension)
        found = Pictures(image=image, kept=torch.tensor(kept).long(), problems=tuple(problems))
        if path is not None and not problems:
            with write_atomically(path) as temporary:
                save_file({"image": found.image, "kept": found.kept}, temporary)
        return found

    def captions(self, texts: Sequence[str]) -> tuple[Float[Tensor, "M D"], Float[Tensor, "M D"]]:
        """z^_T and the mask of every caption; what is too long is cut, and `reader` counts it."""
        return self.tokens(self.reader(list(texts)))

    def tokens(self, tokens: Int64[Tensor, "M l"]) -> tuple[Tensor, Tensor]:
        """z^_T and the mask of captions that are tokens already."""
        return embed_captions(self.ready.model, tokens, rows=self.rows)

    def readings(self, mask: Tensor) -> dict[str, Tensor | None]:
        """How the model is read: unmasked as published, and masked if it has masks."""
        plain: dict[str, Tensor | None] = {"unmasked": None}
        return plain | ({"masked": mask} if self.ready.masked else {})

    def protocol(self, cut: Crop | None = None) -> dict[str, object]:
        """What a number depends on beside the data: stored with it and told with it."""
        cut = cut or self.crop
        ready = self.ready
        dtype = next(ready.model.parameters()).dtype
        return {
            "checkpoint": ready.source,
            "weights": self.weights,
            "precision": str(dtype).removeprefix("torch."),
            "crop": f"{cut.cut}, {cut.pixels} pixels, bicubic",
            "context": ready.tokenizer.context,
            "similarity": ready.similarity,
        }

    def _embedded(self, levels: UInt8[Tensor, "n 3 s s"]) -> Tensor:
        ready = self.ready

        def prepare(part: Tensor) -> Tensor:
            return normalised(part, ready.mean, ready.std)

        return embed_images(ready.model, levels, rows=self.rows, prepare=prepare)

    def _parts(
        self, shown: Sequence[Shown], cut: Crop
    ) -> Iterator[list[tuple[int, Tensor | PictureError]]]:
        """Pictures in their order, opened by threads while others are embedded."""
        starts = range(0, len(shown), self.rows)
        silent = not sys.stderr.isatty()
        with ThreadPoolExecutor(self.workers) as pool:
            for start in track(starts, "embedding pictures", transient=True, disable=silent):
                part = shown[start : start + self.rows]
                opened = pool.map(lambda one: _opened(one, cut), part)
                yield list(enumerate(opened, start))

    def _key(self, shown: Sequence[Shown], cut: Crop) -> str:
        state = hashlib.blake2b(digest_size=16)
        told = (self.weights, repr(cut), self.ready.mean, self.ready.std)
        state.update(repr(told).encode())
        for one in shown:
            try:
                content = digest(one.image.read())
            except PictureError as error:
                content = error.fault.encode()
            state.update(repr((content, one.box)).encode())
        return state.hexdigest()


def _opened(one: Shown, cut: Crop) -> Tensor | PictureError:
    try:
        if one.box is None:
            return cut(one.image.read(), one.name, MIDDLE)
        picture = decode(one.image.read(), one.name)
    except PictureError as error:
        return error
    levels = torch.from_numpy(np.array(picture.crop(_whole(one.box, picture.size))))
    return cut.fitted(levels.permute(2, 0, 1))


def _whole(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box in whole pixels, inside the picture and at least one pixel wide and high."""
    (left, upper, right, lower), (width, height) = box, size
    x, y = min(max(0, int(left)), width - 1), min(max(0, int(upper)), height - 1)
    return x, y, min(width, max(x + 1, round(right))), min(height, max(y + 1, round(lower)))

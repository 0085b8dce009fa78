"""A world as files: WebDataset-format shards, so that simulated data go the way of real data.

Sample i of a seed is `{i:09d}.png` or `.npy`, `.txt` and `.json` in a tar; `family.json` beside the
shards holds the concepts, their sizes, the captions and p(m). No pickle, and equal bytes each time.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from simulators.storage import write_atomically
from simulators.world import Batch, World
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """What was written.

    Attributes:
        shards: the tar files, in order.
        family: the JSON file of concepts, captions and weights.
        samples: how many images.
    """

    shards: tuple[Path, ...]
    family: Path
    samples: int


def export(
    world: World,
    folder: str | Path,
    *,
    samples: int,
    seed: int,
    samples_per_shard: int = 10_000,
    captions_per_image: int = 1,
) -> Export:
    """Write samples 0, 1, ... of a seed.

    Each sample is one image (PNG where it is a picture, NPY where it is a vector), its captions
    (one a line in `.txt`, or an NPY matrix), and a JSON with z, e_I, and the concepts that each
    caption mentions.

    Args:
        world: what to sample.
        folder: made if it does not exist; files already there are replaced one by one.
        samples: how many images.
        seed: of the samples.
        samples_per_shard: images in one tar.
        captions_per_image: draws of each image.

    Raises:
        InputError: a count below 1, or a folder that cannot be written.
    """
    for name, value in (
        ("samples", samples),
        ("samples_per_shard", samples_per_shard),
        ("captions_per_image", captions_per_image),
    ):
        if value < 1:
            raise InputError(f"{name}={value}", rule="counts are at least 1", fix=f"give {name}=1")
    folder = Path(folder)
    shards: list[Path] = []
    for first in range(0, samples, samples_per_shard):
        path = folder / f"{len(shards):06d}.tar"
        count = min(samples_per_shard, samples - first)
        with write_atomically(path) as temporary, tarfile.open(temporary, "w") as tar:
            for name, content in _members(world, first, count, seed, captions_per_image):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        shards.append(path)
    description = folder / "family.json"
    with write_atomically(description) as temporary:
        temporary.write_text(json.dumps(_family(world), indent=1), encoding="utf-8")
    return Export(shards=tuple(shards), family=description, samples=samples)


BATCH = 256


def _members(
    world: World, first: int, count: int, seed: int, draws: int
) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every file of a shard."""
    for start in range(first, first + count, BATCH):
        n = min(BATCH, first + count - start)
        batches = [world.sample(n, seed=seed, start=start, draw=draw) for draw in range(draws)]
        for row in range(n):
            name = f"{start + row:09d}"
            kind, image = _image(batches[0].image[row].numpy())
            yield f"{name}.{kind}", image
            yield _text(name, batches, row)
            yield f"{name}.json", json.dumps(_truth(world, batches, row)).encode()


def _truth(world: World, batches: list[Batch], row: int) -> dict[str, object]:
    captions = [int(batch.caption[row]) for batch in batches]
    space = world.family.space
    return {
        "z": batches[0].z[row].tolist(),
        "image_noise": batches[0].image_noise[row].tolist(),
        "captions": captions,
        "mentions": [
            [str(concept) for concept in space.ordered(world.family.captions[caption])]
            for caption in captions
        ],
    }


def _image(values: Float[np.ndarray, "..."]) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    if values.ndim == 1:
        np.save(buffer, values, allow_pickle=False)
        return "npy", buffer.getvalue()
    levels = (values * 255).round().astype(np.uint8)
    picture = Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0))
    picture.save(buffer, format="PNG")
    return "png", buffer.getvalue()


def _text(name: str, batches: list[Batch], row: int) -> tuple[str, bytes]:
    texts = [batch.text[row] for batch in batches]
    if isinstance(batches[0].text, list):
        return f"{name}.txt", "\n".join(map(str, texts)).encode()
    buffer = io.BytesIO()
    np.save(buffer, np.stack([np.asarray(text) for text in texts]), allow_pickle=False)
    return f"{name}.text.npy", buffer.getvalue()


def _family(world: World) -> dict[str, object]:
    family = world.family
    return {
        "concepts": [str(concept) for concept in family.concepts],
        "sizes": list(family.sizes),
        "captions": [
            [str(concept) for concept in family.space.ordered(block)] for block in family.captions
        ],
        "weights": list(family.weights),
    }

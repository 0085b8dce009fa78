"""A world as files: WebDataset-format shards or Parquet, so that simulated data go as real data do.

In a shard, sample i is `{i:09d}.png` or `.npy`, `.txt` and `.json`; in Parquet it is a row. Beside
them `family.json` holds the concepts, their sizes, the captions and p(m). No pickle, and equal
bytes each time.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from simulators.world import Batch, World
from theory.errors import InputError
from theory.storage import write_atomically

Layout = Literal["webdataset", "parquet"]
BATCH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """What was written.

    Attributes:
        shards: the tar or Parquet files, in order.
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
    layout: Layout = "webdataset",
    samples_per_shard: int = 10_000,
    captions_per_image: int = 1,
) -> Export:
    """Write samples 0, 1, ... of a seed.

    Of each sample: the image (PNG where it is a picture, numbers where it is a vector), its
    captions (sentences, or vectors), z, e_I, and of each caption its index in the family and the
    concepts it mentions. A shard keeps the first caption in `.txt` and all in `.json`; Parquet
    keeps pictures as {bytes, path}, as Hugging Face `datasets` does.

    Args:
        world: what to sample.
        folder: made if it does not exist; files already there are replaced one by one.
        samples: how many images.
        seed: of the samples.
        layout: tar shards in the WebDataset format, or Parquet files.
        samples_per_shard: images in one file.
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
    write, kind = {"webdataset": (_write_tar, "tar"), "parquet": (_write_parquet, "parquet")}[
        layout
    ]
    shards: list[Path] = []
    for first in range(0, samples, samples_per_shard):
        path = folder / f"{len(shards):06d}.{kind}"
        count = min(samples_per_shard, samples - first)
        with write_atomically(path) as temporary:
            write(temporary, world, _batches(world, first, count, seed, captions_per_image))
        shards.append(path)
    description = folder / "family.json"
    with write_atomically(description) as temporary:
        temporary.write_text(json.dumps(_family(world), indent=1), encoding="utf-8")
    return Export(shards=tuple(shards), family=description, samples=samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """Consecutive samples: one batch for each caption of an image."""

    first: int
    draws: list[Batch]

    def truth(self, world: World) -> Iterator[dict[str, Any]]:
        """What is known of each sample, in plain types."""
        space, captions = world.family.space, world.family.captions
        z, noise = self.draws[0].z.tolist(), self.draws[0].image_noise.tolist()
        index = torch.stack([draw.caption for draw in self.draws], dim=1).tolist()
        for row, said in enumerate(index):
            yield {
                "z": z[row],
                "image_noise": noise[row],
                "caption_index": said,
                "mentions": [[str(k) for k in space.ordered(captions[m])] for m in said],
            }

    def texts(self) -> list[list[Any]]:
        """The captions of each sample: sentences, or vectors as lists of numbers."""
        columns = [
            draw.text if isinstance(draw.text, list) else draw.text.tolist() for draw in self.draws
        ]
        return [list(row) for row in zip(*columns, strict=True)]


def _batches(world: World, first: int, count: int, seed: int, draws: int) -> Iterator[_Rows]:
    for start in range(first, first + count, BATCH):
        n = min(BATCH, first + count - start)
        yield _Rows(
            first=start,
            draws=[world.sample(n, seed=seed, start=start, draw=draw) for draw in range(draws)],
        )


def _write_tar(path: Path, world: World, batches: Iterator[_Rows]) -> None:
    with tarfile.open(path, "w") as tar:
        for rows in batches:
            for number, (truth, texts) in enumerate(
                zip(rows.truth(world), rows.texts(), strict=True)
            ):
                image = rows.draws[0].image[number].numpy()
                kind, content = ("npy", _npy(image)) if image.ndim == 1 else ("png", _png(image))
                files = {kind: content}
                if isinstance(texts[0], str):
                    files["txt"] = texts[0].encode()
                    truth["captions"] = texts
                else:
                    files["text.npy"] = _npy(np.array(texts, dtype=np.float32))
                files["json"] = json.dumps(truth).encode()
                for kind, content in files.items():
                    entry = tarfile.TarInfo(f"{rows.first + number:09d}.{kind}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))


def _write_parquet(path: Path, world: World, batches: Iterator[_Rows]) -> None:
    # Imported here because Parquet is one way out and takes a while to import.
    import pyarrow as pa
    from pyarrow import parquet

    numbers = pa.list_(pa.float32())
    sample = world.sample(1, seed=0)
    picture = sample.image.ndim > 2
    schema = pa.schema(
        {
            "index": pa.int64(),
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}) if picture else numbers,
            "captions": pa.list_(pa.string() if isinstance(sample.text, list) else numbers),
            "caption_index": pa.list_(pa.int64()),
            "mentions": pa.list_(pa.list_(pa.string())),
            "z": numbers,
            "image_noise": numbers,
        },
        metadata={"family": json.dumps(_family(world))},
    )
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in batches:
            images = rows.draws[0].image
            writer.write_table(
                pa.Table.from_pylist(
                    [
                        {
                            "index": rows.first + number,
                            "image": {"bytes": _png(image), "path": None}
                            if picture
                            else image.tolist(),
                            "captions": texts,
                            **truth,
                        }
                        for number, (image, texts, truth) in enumerate(
                            zip(images.numpy(), rows.texts(), rows.truth(world), strict=True)
                        )
                    ],
                    schema=schema,
                )
            )


def _npy(values: Float[np.ndarray, "..."]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _png(values: Float[np.ndarray, "c h w"]) -> bytes:
    buffer = io.BytesIO()
    levels = (values * 255).round().astype(np.uint8)
    picture = Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0))
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


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

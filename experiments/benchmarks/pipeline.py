"""How fast pictures and captions become batches, and how fast a training step eats them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments.benchmarks.measurement import Measurement, median_seconds
from experiments.benchmarks.step import noise_batch, smartclip_step
from smartclip.data.crop import MEAN, STD, Crop
from smartclip.data.examples import Example, ImageText
from smartclip.data.order import Order
from smartclip.data.pictures import Blob
from smartclip.data.prepared import prepare, read_prepared
from smartclip.data.records import Records
from smartclip.data.stream import StreamSource
from smartclip.text import Tokenizer

PICTURES = 512
BATCH = 128
SIDE = 224
CAPTION = (
    "The image shows a bear that sits on a chair. It holds a red pen in one hand. "
    "Behind it stands a table with a cup. The light comes from the left. "
)
_CPU = torch.device("cpu")


def measurements() -> list[Measurement]:
    """Pictures of 256 to 400 pixels, from JPEG to normalised batches, and what that needs."""
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        data = _photographs(Path(folder) / "pictures")
        prepare(data, Path(folder) / "shards", per_shard=128)
        prepared = read_prepared(Path(folder) / "shards")
        return [
            _beside_loop(data),
            _beside_loader(data, prepared, processes=False),
            _beside_loader(data, prepared, processes=True),
            beside_step(prepared, "ViT-B-32", batch_size=16, context=77),
            beside_step(prepared, "ViT-B-16", batch_size=4, context=248),
            _order(),
        ]


def _beside_loop(data: ImageText) -> Measurement:
    """One worker beside a plain loop over Pillow and torch."""
    plain = _Plain(data)
    with _source(data, workers=1, processes=False) as source:
        seconds = _seconds(source)
    reference = median_seconds(
        lambda: torch.stack([plain[row][0] for row in range(BATCH)]), repeats=3
    ) * (PICTURES / BATCH)
    return Measurement(
        work=f"{PICTURES} JPEG of 256 to 400 pixels to {SIDE}, one worker",
        seconds=seconds,
        reference="a loop over Pillow and torch, no captions",
        reference_seconds=reference,
        note=f"{PICTURES / seconds:,.0f} pictures a second, captions tokenised",
    )


def _beside_loader(data: ImageText, prepared: ImageText, *, processes: bool) -> Measurement:
    """All cores, from checked shards, beside torch's DataLoader over the same files."""
    workers = os.cpu_count() or 1
    with _source(prepared, workers=workers, processes=processes) as source:
        seconds = _seconds(source)
    loader = DataLoader(
        _Plain(data), BATCH, shuffle=True, num_workers=workers, persistent_workers=True
    )
    reference = median_seconds(lambda: list(loader), repeats=3)
    kind = "processes" if processes else "threads"
    return Measurement(
        work=f"{PICTURES} pictures from checked shards, {workers} {kind}",
        seconds=seconds,
        reference=f"torch DataLoader with Pillow, {workers} processes",
        reference_seconds=reference,
        note=f"{PICTURES / seconds:,.0f} pictures a second, captions tokenised",
    )


def beside_step(
    data: ImageText, name: str, *, batch_size: int, context: int, rounds: int = 3
) -> Measurement:
    """One worker beside a training step on one thread, both for as many pictures.

    Args:
        data: pictures, `PICTURES` of which are read.
        name: open_clip's, of the towers.
        batch_size: pairs of a step. Small ones are what one thread can do; their step pays for the
            update of all weights with few pairs.
        context: tokens of a caption.
        rounds: steps of which the median is taken, after one more.
    """
    with _source(data, workers=1, processes=False, context=context) as source:
        seconds = _seconds(source)
    step = smartclip_step(name, *noise_batch(name, batch_size, context), context)
    eaten = median_seconds(step, repeats=rounds) * PICTURES / batch_size
    return Measurement(
        work=f"{PICTURES} pictures from checked shards, one worker",
        seconds=seconds,
        reference=f"SmartCLIP steps, {name}, B={batch_size}, {context} tokens, one thread",
        reference_seconds=eaten,
        target="at most 0.5",
        note=f"{PICTURES / seconds:,.0f} pictures a second beside {PICTURES / eaten:,.1f}",
    )


def _order() -> Measurement:
    """The shuffle of an epoch of a million, the few rows that a step needs."""
    count = 1_000_000
    order = Order(count=count, seed=0)
    positions = np.arange(4096)
    return Measurement(
        work=f"4,096 rows of the order of an epoch of {count:,}",
        seconds=median_seconds(lambda: order.rows(3, positions)),
        reference="NumPy's permutation of all",
        reference_seconds=median_seconds(lambda: np.random.default_rng(0).permutation(count)),
        note="no list of rows is kept",
    )


def _source(data: ImageText, *, workers: int, processes: bool, context: int = 77) -> StreamSource:
    tokenizer = Tokenizer.fit([CAPTION], context=context)
    return StreamSource(
        data,
        tokenizer.tokenise,
        seed=0,
        crop=Crop(pixels=SIDE, cut="random"),
        policy="prefix",
        workers=workers,
        processes=processes,
    )


def _seconds(source: StreamSource) -> float:
    """Wall time of `PICTURES` pictures when batches are taken as fast as they come."""
    steps = iter(range(10**9))

    def epoch() -> None:
        for _ in range(PICTURES // BATCH):
            source.batch(next(steps), BATCH, _CPU)

    return median_seconds(epoch, repeats=5)


class _Plain(Dataset[tuple[Tensor, str]]):
    """What one writes first: Pillow opens, resizes and crops, torch normalises, one at a time."""

    def __init__(self, data: ImageText) -> None:
        self.paths = [example.image.path for example in data if isinstance(example.image, Blob)]
        self.captions = [example.captions[0] for example in data]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[Float[Tensor, "3 s s"], str]:
        with Image.open(self.paths[row]) as opened:
            picture = opened.convert("RGB")
        width, height = picture.size
        factor = SIDE / min(width, height)
        size = max(SIDE, int(width * factor)), max(SIDE, int(height * factor))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
        left, upper = (round((length - SIDE) / 2) for length in size)
        picture = picture.crop((left, upper, left + SIDE, upper + SIDE))
        levels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float().div_(255)
        mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
        return levels.sub_(mean).div_(std).contiguous(), self.captions[row]


def _photographs(folder: Path) -> ImageText:
    """Smooth colours with some grain, as JPEG of about 20 kB."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    examples: list[Example] = []
    for row in range(PICTURES):
        width, height = rng.integers(256, 401, 2).tolist()
        coarse = rng.integers(0, 256, (height // 12, width // 12, 3), dtype=np.uint8)
        path = folder / f"{row}.jpg"
        Image.fromarray(coarse).resize((width, height)).save(path, quality=85)
        examples.append(Example(name=path.name, captions=(CAPTION,), image=Blob(path=path)))
    return ImageText(source="photographs", examples=Records.of(examples))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch itself on one thread, so that workers are what is counted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

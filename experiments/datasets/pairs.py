"""Any images with captions, from pretrained towers: what SmartCLIP was made for.

Captions may have several sentences; a policy says which are kept at a step. The first pictures of
the data set are held out. Three recipes: the published settings for ViT-B/16 and ViT-L/14 (three
epochs of 1.2 million long captions, ShareGPT4V), and 500 steps of the first for a single GPU, whose
batches of 1,024 pass the towers 64 pairs at a time.

Where the published method differs here from the authors' code: gates start open, gains and biases
do not decay, and all is seeded, resumes, and cuts no caption without counting it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from experiments.datasets.dataset import Data, Dataset, TowerPair
from experiments.reading import Reading
from experiments.record import TWIN, Record
from smartclip.data.sentences import Policy
from smartclip.train.config import TrainConfig
from smartclip.train.method import Budget
from theory.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from experiments.results.fine_tuning import FineTuning
    from experiments.run import Trained
    from smartclip.data.stream import StreamSource
    from smartclip.text import CaptionReader
    from smartclip.towers.architecture import Architecture
    from smartclip.train.execution import ExecutionConfig
    from smartclip.train.optimiser import OptimiserConfig
    from smartclip.train.source import Source
    from smartclip.train.validate import Validation

HELD_OUT = 1000
"""Records from the start of the data set that the authors held out."""
EPOCHS = 3
# Context of Long-CLIP and SmartCLIP: the first 20 positions stay, the others are stretched.
CONTEXT, KEPT = 248, 20

RecipeName = Literal["vit-b-16", "vit-l-14", "vit-b-16-500-steps"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Towers, and how a run with them is carried out.

    Attributes:
        model: open_clip's name of the towers.
        dimension: D.
        heads: attention heads of the mask network.
        steps: None for three epochs.
        execution: what differs from the defaults of `smartclip.train.execution`.
        record: machine, minutes and expected number.
    """

    model: str
    dimension: int
    heads: int
    steps: int | None
    execution: dict[str, Any]
    record: Record


RECIPES: dict[str, Recipe] = {
    "vit-b-16": Recipe(
        model="ViT-B-16-quickgelu",
        dimension=512,
        heads=8,
        steps=None,
        execution={"precision": "bfloat16"},
        record=Record(
            machine="8 GPUs of 24 GB or more (estimated: 19 GiB and 21 TFLOP a step on each)",
            elsewhere="an independent reproduction on 4 A800: 58 minutes; COCO 5k R@1 62.0 image "
            "to text, 42.6 text to image; masks keep 346 of 512 coordinates",
        ),
    ),
    "vit-l-14": Recipe(
        model="ViT-L-14-quickgelu",
        dimension=768,
        heads=12,
        steps=None,
        execution={"precision": "bfloat16", "checkpoint_activations": True},
        record=Record(
            machine="8 GPUs of 24 GB or more (estimated: 12 GiB and 77 TFLOP a step on each)",
            elsewhere="the authors: R@1 text to image / image to text 48.5/66.0 on COCO 5k, "
            "90.1/93.0 on Urban1k",
        ),
    ),
    "vit-b-16-500-steps": Recipe(
        model="ViT-B-16-quickgelu",
        dimension=512,
        heads=8,
        steps=500,
        execution={"precision": "bfloat16", "micro_batch": 64},
        record=Record(
            machine="1 GPU of 24 GB or more (estimated: 11 GiB, 166 TFLOP a step)",
            elsewhere="an independent reproduction after 500 steps on ShareGPT4V: COCO 5k R@1 60.6 "
            "image to text, 41.2 text to image",
        ),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Pairs(Dataset):
    """Your images with captions, from pretrained weights, compared with those weights."""

    name: ClassVar[str] = "pairs"
    record: ClassVar[Record] = Record(machine="see the recipe")
    steps: ClassVar[int] = 500
    default_method: ClassVar[str] = "published"
    debug_steps: ClassVar[int] = 4

    reading: Annotated[Reading, tyro.conf.arg(name="")] = field(default_factory=Reading)
    """Where the data set is, and how it is laid out."""
    recipe: RecipeName = "vit-b-16-500-steps"
    """The published settings for ViT-B/16 or ViT-L/14, or 500 steps of the first."""
    weights: str = "openai"
    """Where the towers start: a file or folder of weights, hf-hub:owner/name, or one of
    open_clip's tags."""
    batch_size: int | None = None
    """Pairs per step, over all processes; 1,024 by default."""
    micro_batch: int | None = None
    """Pairs that pass the towers at a time; less memory, the same numbers."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Of the towers' matrix products; the recipe's own by default."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Over several processes: a whole model on each, or a part of it."""
    policy: Policy = "prefix"
    """Which sentences of a caption are kept at a step; published is prefix. DeBias-CLIP, a sampler
    without masks, is debias with --method long-clip."""
    held_out: int | None = None
    """Pictures from the start of the data set kept for retrieval; 1,000, or a tenth of few."""
    skip: bool = False
    """Leave out pictures that cannot be used, counted and logged; else the first is an error."""

    @property
    def settings(self) -> Recipe:
        """Of the recipe."""
        return RECIPES[self.recipe]

    @property
    def dimension(self) -> int:
        return 16 if self.debug else self.settings.dimension

    @property
    def heads(self) -> int:
        """Attention heads of the mask network."""
        return 2 if self.debug else self.settings.heads

    @property
    def start(self) -> str | None:
        """The weights that the towers start from; None for random ones."""
        return None if self.debug and self.weights == "openai" else self.weights

    def architecture(self) -> "Architecture":
        """Both towers, reading long captions."""
        from smartclip.towers.architecture import Architecture
        from smartclip.towers.open_clip import TextConfig, ViTConfig

        size = Architecture.named(self.settings.model).with_context(CONTEXT)
        if not self.debug:
            return size
        small = {"width": 32, "layers": 1, "heads": 2, "quick_gelu": size.quick_gelu}
        return Architecture(
            image=ViTConfig(image_size=32, channels=3, patch=16, **small),
            text=TextConfig(vocabulary=size.text.vocabulary, context=CONTEXT, **small),
            dimension=self.dimension,
        )

    def budget(self, steps: int | None = None) -> Budget:
        return replace(super().budget(steps), warm_up=1 if self.debug else 200)

    def config(self, seed: int) -> TrainConfig:
        return TrainConfig(
            batch_size=self.batch_size or (4 if self.debug else 1024),
            learning_rate=1e-6,
            mask_learning_rate=1e-3,
            seed=seed,
            log_every=1 if self.debug else 10,
            checkpoint_every=2 if self.debug else 100,
        )

    def optimiser(self) -> "OptimiserConfig":
        from smartclip.train.optimiser import OptimiserConfig

        return OptimiserConfig(weight_decay=1e-2, first_moment=0.9, second_moment=0.999)

    def execution(self) -> "ExecutionConfig":
        from smartclip.train.execution import ExecutionConfig

        chosen = {} if self.debug else dict(self.settings.execution)
        asked = {"micro_batch": self.micro_batch, "precision": self.precision}
        chosen |= {name: value for name, value in asked.items() if value is not None}
        return ExecutionConfig(parallel=self.parallel, **chosen)

    def options(self) -> dict[str, Any]:
        """Without what changes no number: where the data lie and how the run is carried out."""
        options = asdict(self)
        for name in ("reading", "micro_batch", "precision", "parallel"):
            del options[name]
        return options | {"precision": self.execution().precision}

    def load(self) -> "PairData":
        return PairData(self)


class PairData(Data):
    """A data set of pairs, parted into what is trained on and what is held out."""

    def __init__(self, options: Pairs) -> None:
        from smartclip.data.crop import Crop
        from smartclip.text import CaptionReader, CLIPTokenizer, caption_lengths

        super().__init__(options)
        self.options: Pairs = options
        self.data = options.reading.read()
        kept = _held_out_count(len(self.data), options.held_out)
        self.training = replace(
            self.data, examples=self.data.part(kept, len(self.data)), problems=()
        )
        self.asked = replace(self.data, examples=self.data.part(0, kept), problems=())
        self.tokenizer: CLIPTokenizer = CLIPTokenizer(context=CONTEXT)
        self.reader: CaptionReader = CaptionReader(self.tokenizer)
        self.crop = Crop(pixels=options.architecture().image.image_size)
        captions = chain.from_iterable(example.captions for example in self.training)
        self.lengths = caption_lengths(list(captions), self.tokenizer)
        self.left_out = 0
        self._held_out: Any = None

    @property
    def steps(self) -> int | None:
        """Of the recipe's epochs on these data.

        Raises:
            InputError: fewer pictures than a batch has.
        """
        batch = self.options.config(0).batch_size
        per_epoch = len(self.training) // batch
        if per_epoch < 1:
            raise InputError(
                f"{len(self.training):,} pictures for batches of {batch}",
                rule="a batch holds no picture twice",
                fix="take a smaller batch, or more data",
            )
        whole = self.options.settings.steps is None and not self.options.debug
        return EPOCHS * per_epoch if whole else None

    def about(self) -> list[str]:
        record = TWIN if self.options.debug else self.options.settings.record
        return [
            str(record),
            f"{len(self.training):,} pictures to train on, {len(self.asked):,} held out; "
            f"{self.lengths}",
            f"weights: {self.options.start or 'random'}",
        ]

    def identity(self) -> dict[str, Any]:
        return {
            "pictures": self.data.fingerprint(),
            "held_out": len(self.asked),
            "weights": _digest(self.options.start),
        }

    def towers(self) -> TowerPair:
        from smartclip.towers.pretrained import backbone

        options = self.options
        model = options.architecture() if options.debug else options.settings.model
        found = backbone(model, options.start, context=CONTEXT, kept=KEPT)
        self.mean, self.std, self.origin = found.mean, found.std, found.source
        width = found.text_tower.width
        return TowerPair(found.image_tower, found.text_tower, width, options.heads)

    def source(self, *, seed: int, captions: int) -> "AbstractContextManager[Source]":
        return self._streaming(seed, captions)

    @contextmanager
    def _streaming(self, seed: int, captions: int) -> "Iterator[Source]":
        from smartclip.data.stream import StreamSource
        from smartclip.train.ranks import rank, ranks

        with StreamSource(
            self.training,
            self.reader,
            seed=seed,
            crop=self.crop,
            policy=self.options.policy,
            split="published",
            short_captions=captions == 2,
            rank=rank(),
            ranks=ranks(),
            workers=self.options.reading.workers,
            skip=self.options.skip,
            mean=self.mean,
            std=self.std,
        ) as stream:
            yield PairStream(stream, self.reader)
            self.left_out = sum(stream.left_out.values()) + sum(
                problem.pictures for problem in self.data.problems
            )

    def held_out(self) -> Any:
        """The held-out pictures and captions, opened once."""
        from smartclip.evaluate.held_out import hold_out
        from smartclip.text import CaptionReader

        if self._held_out is None:
            self._held_out = hold_out(
                self.asked,
                CaptionReader(self.tokenizer),
                self.crop,
                mean=self.mean,
                std=self.std,
                skip=self.options.skip,
                workers=self.options.reading.workers,
            )
        return self._held_out

    def validation(self) -> "Validation":
        """As many pictures as every rank can take an equal part of."""
        from smartclip.train.ranks import ranks
        from smartclip.train.validate import Validation

        pairs = self.held_out()
        size = len(pairs) - len(pairs) % ranks()
        return Validation(source=pairs, size=size, rows_at_a_time=64)

    def measure(self, trained: "Sequence[Trained]") -> "FineTuning | None":
        from experiments.results.fine_tuning import measure

        return measure(self, trained)


class PairStream:
    """The batches of a stream as the training loop asks for them, and what they lost.

    Args:
        stream: made for this rank.
        reader: the one that the stream tokenises with.
    """

    def __init__(self, stream: "StreamSource", reader: "CaptionReader") -> None:
        self.stream, self.reader = stream, reader

    def batch(self, step: int, size: int, device: "torch.device") -> "tuple[Tensor, Tensor]":
        return self.rows(step, size, slice(0, size), device)

    def rows(
        self, step: int, size: int, wanted: slice, device: "torch.device"
    ) -> "tuple[Tensor, Tensor]":
        """The rows of this rank, which are all that it reads."""
        from smartclip.train.ranks import own_rows, rank

        if wanted != own_rows(size):
            raise InputError(
                f"rows {wanted.start} to {wanted.stop} of {size} on rank {rank()}",
                rule="each rank reads its own rows",
                fix="ask for smartclip.train.ranks.own_rows(size)",
            )
        return self.stream.batch(step, wanted.stop - wanted.start, device)

    def report(self) -> dict[str, float]:
        """For the log: the share of captions that were cut, and pictures left out, on this rank."""
        return {
            "captions_cut": self.reader.share,
            "pictures_left_out": float(sum(self.stream.left_out.values())),
        }


def _held_out_count(pictures: int, wanted: int | None) -> int:
    kept = min(HELD_OUT, pictures // 10) if wanted is None else wanted
    if not 2 <= kept < pictures:
        raise InputError(
            f"{kept} of {pictures:,} pictures held out",
            rule="at least two are held out, and some are left to train on",
            fix="choose held_out in between, or give more data",
        )
    return kept


def _digest(weights: str | None) -> str:
    """What the weights are: a digest of a file or a folder's files, or the name of a tag."""
    path = Path(weights or "")
    if weights is None or not path.exists():
        return str(weights)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    found = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            found.update(hashlib.file_digest(opened, "sha256").digest())
    return found.hexdigest()[:16]

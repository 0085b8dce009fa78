"""What a data set is: options, a budget for every method alike, and the data themselves.

A data set is one file in this folder with one subclass of `Dataset`, whose fields are the options
of `smartclip train NAME`. Its module imports no torch, so that the command line can show and refuse
options at once; `load` imports what it needs.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from experiments.record import Record
from smartclip.growth import grown
from smartclip.methods import method
from smartclip.train.config import TrainConfig
from smartclip.train.method import Budget, Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from experiments.gallery import Gallery, Labelled
    from experiments.report import Section
    from experiments.run import Trained
    from smartclip.text import Tokenizer
    from smartclip.towers.open_clip import ViTConfig
    from smartclip.train.execution import ExecutionConfig
    from smartclip.train.optimiser import OptimiserConfig
    from smartclip.train.source import Source
    from smartclip.train.validate import Validation
    from theory import CaptionFamily


class TowerPair(NamedTuple):
    """Fresh towers: `width` W of the token states, `heads` of the mask network."""

    image: "nn.Module"
    text: "nn.Module"
    width: int
    heads: int = 4


class Result(Protocol):
    """What was measured, and how it is told."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        ...

    def section(self) -> "Section":
        """For the report."""
        ...

    def show(self, console: Any) -> None:
        """For the terminal."""
        ...


class Data(ABC):
    """The data behind a `Dataset`, loaded.

    Args:
        options: the data set it was loaded by.
    """

    steps: int | None = None
    """Training steps, where the data say how many; None for those of the options."""

    def __init__(self, options: "Dataset") -> None:
        self.options = options

    def about(self) -> list[str]:
        """What is told before the first step."""
        return [str(self.options.record)]

    def identity(self) -> dict[str, Any]:
        """What the numbers depend on beside the options, such as a digest of files."""
        return {}

    @abstractmethod
    def towers(self) -> TowerPair:
        """Fresh towers, drawn from torch's generator as it stands."""

    @abstractmethod
    def source(self, *, seed: int, captions: int) -> "AbstractContextManager[Source]":
        """Training batches, with one or two captions of each image."""

    def validation(self) -> "Validation | None":
        """Held-out pairs to look at while training, if any."""
        return None

    @abstractmethod
    def measure(self, trained: "Sequence[Trained]") -> Result | None:
        """Measure models on held-out data, the one that was asked for first, others beside it.

        None on all processes of torchrun but the first.
        """


class PictureData(Data):
    """Pictures with worded captions: galleries to search, and pictures whose concepts are known."""

    title: str
    tokenizer: "Tokenizer"
    family: "CaptionFamily"

    @abstractmethod
    def galleries(self) -> "list[Gallery]":
        """Held-out retrieval, the main one first."""

    @abstractmethod
    def labelled(self, *, held_out: bool) -> "Labelled":
        """Pictures with known concepts, to read concepts off coordinates."""

    def transformers(self, image: "ViTConfig") -> TowerPair:
        """Small transformers from scratch, the one of captions as wide as that of pictures."""
        from smartclip.towers.open_clip import ImageTower, TextConfig, TextTower

        text = TextConfig(
            vocabulary=self.tokenizer.size,
            context=self.tokenizer.context,
            width=image.width,
            layers=2,
        )
        if self.options.debug:
            image = replace(image, width=32, layers=1, heads=2)
            text = replace(text, width=32, layers=1)
        text_tower = TextTower(text, self.options.dimension)
        return TowerPair(ImageTower(image, self.options.dimension), text_tower, text_tower.width)

    @abstractmethod
    def sheet(self) -> "Figure":
        """Some pictures with their captions."""

    def measure(self, trained: "Sequence[Trained]") -> Result:
        from experiments.results.retrieval import measure

        return measure(self, trained)


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """Options of a data set, and what it grants to every method."""

    name: ClassVar[str]
    """On the command line, and of run folders."""
    record: ClassVar[Record]
    """Machine, minutes, and the number to expect."""
    steps: ClassVar[int]
    """Training steps of every method."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Methods that are trained and measured beside the one that is asked for; empty where the data
    set measures one method at a time."""
    default_method: ClassVar[str] = "ours"
    """Where none is named."""
    debug_steps: ClassVar[int] = 6
    """Training steps of the twin of seconds."""
    batch_size: ClassVar[int] = 512
    """Pairs a step."""
    checkpoint_every: ClassVar[int] = 500
    """Steps between two checkpoints."""

    debug: bool = False
    """The twin of seconds: small towers, few and small steps, all else alike."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """D, coordinates of the code."""

    @abstractmethod
    def load(self) -> Data:
        """Read, draw or fetch the data."""

    def budget(self, steps: int | None = None) -> Budget:
        """What every method gets; `steps` changes how long it lasts."""
        default = self.debug_steps if self.debug else self.steps
        return Budget(steps=default if steps is None else steps, dimension=self.dimension)

    def method(self, name: str, steps: int | None = None) -> Method:
        """A method under this budget; `ours` with the setting of this data set."""
        budget = self.budget(steps)
        return self.ours(budget) if name == "ours" else method(name, budget)

    def ours(self, budget: Budget) -> Method:
        """The method of this project for this data set."""
        return grown(budget)

    def config(self, seed: int) -> TrainConfig:
        """Batch size, peak rates and seed of every method."""
        if self.debug:
            return TrainConfig(batch_size=16, seed=seed, log_every=2, checkpoint_every=4)
        return TrainConfig(
            batch_size=self.batch_size, seed=seed, checkpoint_every=self.checkpoint_every
        )

    def optimiser(self) -> "OptimiserConfig | None":
        """What an update does beside following the gradient; None for the defaults."""
        return None

    def execution(self) -> "ExecutionConfig | None":
        """How runs are carried out; it does not change the numbers. None for the defaults."""
        return None

    def options(self) -> dict[str, Any]:
        """All options that the numbers depend on."""
        return asdict(self)

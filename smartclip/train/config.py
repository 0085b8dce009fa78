"""The settings of a training run that no phase moves: batches, peak rates, seed, records."""

from dataclasses import asdict, dataclass
from typing import Any

from theory.errors import refuse_broken_rules


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """What a run needs beside its method.

    Attributes:
        batch_size: pairs per step, B.
        learning_rate: peak rate of the two towers.
        mask_learning_rate: peak rate of the mask network.
        budget_learning_rate: peak rate of the gates shared by all captions.
        seed: of the initial weights, the batches and the gates.
        log_every: steps between two lines of the log.
        checkpoint_every: steps between two checkpoints.
    """

    batch_size: int = 512
    learning_rate: float = 2e-3
    mask_learning_rate: float = 1e-3
    budget_learning_rate: float = 2e-2
    seed: int = 0
    log_every: int = 50
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        rules = {
            "batch_size": (self.batch_size >= 2, "at least 2: a pair is told from another"),
            "learning_rate": (self.learning_rate > 0, "positive"),
            "mask_learning_rate": (self.mask_learning_rate > 0, "positive"),
            "budget_learning_rate": (self.budget_learning_rate > 0, "positive"),
            "log_every": (self.log_every >= 1, "at least 1"),
            "checkpoint_every": (self.checkpoint_every >= 1, "at least 1"),
        }
        refuse_broken_rules(self, rules)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

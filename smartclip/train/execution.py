"""How a run is carried out, as opposed to what it computes.

Nothing here changes the numbers beyond rounding, so a run may be resumed under other settings: on
more processes, with smaller micro-batches, in sharded form.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from theory.errors import refuse_broken_rules

Parallel = Literal["ddp", "fsdp"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionConfig:
    """Settings of the machine side of a run.

    Attributes:
        parallel: over several processes, "ddp" keeps a whole model on each, "fsdp" a part.
        micro_batch: pairs that pass the towers at a time on each process. The loss is still that of
            the whole batch: features are cached, and a second pass carries its gradient back
            (GradCache, Gao et al. 2021), for one more forward pass.
        chunk_size: rows of the similarity matrix held at a time.
        precision: of the towers' matrix products. Weights and the loss stay in float32; bfloat16
            has float32's range, so there is no gradient scaler.
        compile: compile the towers' blocks.
        checkpoint_activations: forget activations inside the towers' blocks and compute them again.
        channels_last: keep images with channels innermost, which convolutions prefer.
        keep_last: checkpoints kept, the newest included.
        price_per_hour: of all the machines of the run together, for the estimate of its cost.
    """

    parallel: Parallel = "ddp"
    micro_batch: int | None = None
    chunk_size: int | None = None
    precision: Precision = "float32"
    compile: bool = False
    checkpoint_activations: bool = False
    channels_last: bool = False
    keep_last: int = 1
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        rules = {
            "parallel": (self.parallel in get_args(Parallel), str(get_args(Parallel))),
            "micro_batch": (self.micro_batch is None or self.micro_batch >= 1, "at least 1"),
            "chunk_size": (self.chunk_size is None or self.chunk_size >= 1, "at least 1"),
            "precision": (self.precision in get_args(Precision), str(get_args(Precision))),
            "keep_last": (self.keep_last >= 1, "at least 1: a run has to be able to resume"),
            "price_per_hour": (
                self.price_per_hour is None or self.price_per_hour >= 0,
                "0 or more",
            ),
        }
        refuse_broken_rules(self, rules)

"""What a run will need, said before it starts.

    memory = weights, gradients and two moments          16 bytes a parameter in float32
             (under FSDP divided by the ranks)
           + activations                                 counted on two pairs, times the pairs held
           + features and similarities                   of the whole batch
    work   = 3 x (forward pass + similarities)           FLOPs a pair, counted on two pairs

Work counts what the model asks for and no recomputation. How long it takes is known after the
first steps (see `smartclip.train.cost`).
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from smartclip.model import SmartCLIP
from smartclip.train.execution import ExecutionConfig
from smartclip.train.parallel import seeded
from smartclip.train.ranks import ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What one process of a run needs.

    Attributes:
        parameters: of the model.
        memory: peak bytes.
        work: FLOPs of one step on this process.
        weight_memory: of `memory`, the weights.
        state_memory: of `memory`, weights, gradients, moments and the moving average.
        activation_memory: of `memory`, activations.
    """

    parameters: int
    memory: int
    work: float
    weight_memory: int
    state_memory: int
    activation_memory: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate(
    model: SmartCLIP,
    images: Tensor,
    tokens: Tensor,
    execution: ExecutionConfig,
    *,
    batch_size: int,
    average: bool = False,
) -> Estimate:
    """Estimate from one forward pass of a few pairs; call it before the model is spread out.

    Args:
        model: whole.
        images: of two pairs, or a few.
        tokens: of the same pairs.
        execution: how the run will be carried out.
        batch_size: B.
        average: whether a moving average of the weights is kept.
    """
    seen: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def count(tensor: Tensor) -> Tensor:
        if (address := tensor.untyped_storage().data_ptr()) not in weights:
            seen[address] = max(seen.get(address, 0), tensor.nbytes)
        return tensor

    with (
        seeded("estimate", images.device),
        torch.autocast(
            images.device.type, torch.bfloat16, enabled=execution.precision == "bfloat16"
        ),
        FlopCounterMode(display=False) as counter,
        saved_tensors_hooks(count, lambda tensor: tensor),
    ):
        # The features hold the graph, and so what was saved, until all is counted.
        features = model.embed(images, tokens)
    pairs, dimension = len(images), model.dimension
    own = batch_size // ranks()
    forward = counter.get_total_flops() / pairs + 2 * 2 * batch_size * dimension
    parameters = sum(parameter.numel() for parameter in model.parameters())
    size = features.image.element_size() if execution.precision == "float32" else 4
    copies = 5 if average else 4
    shards = ranks() if execution.parallel == "fsdp" else 1
    state = copies * sum(p.nbytes for p in model.parameters()) // shards
    held = min(execution.micro_batch or own, own)
    activations = sum(seen.values()) * held // pairs
    if execution.checkpoint_activations:
        # Roughly: the inputs of blocks stay, one block at a time is whole.
        activations //= 4
    rows = min(execution.chunk_size or own, own)
    head = size * batch_size * (8 * dimension + 4 * rows)
    return Estimate(
        parameters=parameters,
        memory=state + activations + head,
        work=3 * own * forward,
        weight_memory=state // copies,
        state_memory=state,
        activation_memory=activations,
    )

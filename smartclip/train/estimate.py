"""What a run will need, said before it starts.

    memory = weights, gradients and two moments          16 bytes a parameter in float32
             (under FSDP divided by the ranks)
           + activations and their gradients             counted on a pair, times the pairs held
           + inputs, and the whole batch's features and similarities
    work   = 3 x (forward pass + similarities)           FLOPs a pair, counted on a pair

Memory leaves out what allocators and libraries keep for themselves: on a CPU about 0.1 GiB. Work
counts what the model asks for and no recomputation. How long it takes is known after the
first steps (see `smartclip.train.cost`).
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from smartclip.model import SmartCLIP
from smartclip.train.execution import ExecutionConfig
from smartclip.train.parallel import blocks, seeded
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
        activation_memory: of `memory`, activations and the gradients of a block of them.
    """

    parameters: int
    memory: int
    work: int
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
    """Estimate from two small forward passes; call it before the model is spread out.

    Args:
        model: whole.
        images: of this rank's pairs in a batch.
        tokens: of the same pairs.
        execution: how the run will be carried out.
        batch_size: B.
        average: whether a moving average of the weights is kept.
    """
    one, two = (
        _forward(model, torch.cat(n * [images[:1]]), torch.cat(n * [tokens[:1]]), execution)
        for n in (1, 2)
    )
    # What does not grow with the pairs, such as weights in low precision, is held once.
    pair, constant = two - one, one - (two - one)
    own = batch_size // ranks()
    held = min(execution.micro_batch or own, own)
    activations = held * pair.held(execution) + constant.held(execution)

    parameters = list(model.parameters())
    size = max(parameter.element_size() for parameter in parameters)
    copies = 5 if average else 4
    shards = ranks() if execution.parallel == "fsdp" else 1
    weights = sum(parameter.nbytes for parameter in parameters) // shards
    rows = min(execution.chunk_size or own, own)
    head = size * batch_size * (8 * model.dimension + 4 * rows)
    return Estimate(
        parameters=sum(parameter.numel() for parameter in parameters),
        memory=copies * weights + activations + head + images.nbytes + tokens.nbytes,
        work=3 * own * (pair.flops + 4 * batch_size * model.dimension),
        weight_memory=weights,
        state_memory=copies * weights,
        activation_memory=activations,
    )


class _Forward(NamedTuple):
    """FLOPs, and bytes that a backward pass would need.

    `total` of them altogether, `in_blocks` inside blocks, `largest` in the largest block, and
    `between` of what goes from block to block.
    """

    flops: int
    total: int
    in_blocks: int
    largest: int
    between: int

    def __sub__(self, other: "_Forward") -> "_Forward":
        return _Forward(*(mine - yours for mine, yours in zip(self, other, strict=True)))

    def held(self, execution: ExecutionConfig) -> int:
        """Bytes at the worst moment; on the way back a block's gradients are as large as it is."""
        if execution.checkpoint_activations:
            return self.total - self.in_blocks + self.between + 2 * self.largest
        return self.total + self.largest


def _forward(
    model: SmartCLIP, images: Tensor, tokens: Tensor, execution: ExecutionConfig
) -> _Forward:
    seen: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    inside: list[int] = []
    between: list[int] = []

    def count(tensor: Tensor) -> Tensor:
        if (address := tensor.untyped_storage().data_ptr()) not in weights:
            seen[address] = max(seen.get(address, 0), tensor.nbytes)
        return tensor

    def enter(*_: Any) -> None:
        inside.append(-sum(seen.values()))

    def leave(_module: nn.Module, _inputs: Any, output: Any) -> None:
        inside[-1] += sum(seen.values())
        outputs = output if isinstance(output, tuple) else (output,)
        between.append(sum(part.nbytes for part in outputs if isinstance(part, Tensor)))

    hooks = [
        hook
        for part in model.parts
        for block in blocks(part)
        for hook in (block.register_forward_pre_hook(enter), block.register_forward_hook(leave))
    ]
    low = execution.precision == "bfloat16"
    try:
        with (
            seeded("estimate", images.device),
            torch.autocast(images.device.type, torch.bfloat16, enabled=low),
            FlopCounterMode(display=False) as counter,
            saved_tensors_hooks(count, lambda tensor: tensor),
        ):
            # The features hold the graph, and so what was saved, until all is counted.
            features = model.embed(images, tokens)
    finally:
        for hook in hooks:
            hook.remove()
    total = sum(seen.values())
    del features
    return _Forward(
        counter.get_total_flops(), total, sum(inside), max(inside, default=0), sum(between)
    )

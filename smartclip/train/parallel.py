"""The towers as they run on one machine or on many: DDP or FSDP2, autocast, recomputation.

The model knows nothing of this; its head (whitening, shared gates) is light, stays whole on every
rank and sees the whole batch. Everything that depends on the kind of parallelism is in this file.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from smartclip.model import Features, SmartCLIP
from smartclip.train.execution import ExecutionConfig
from smartclip.train.ranks import mean_over_ranks, ranks
from theory.errors import InputError


class Towers:
    """`model.embed`, spread over the ranks.

    Args:
        model: built alike on every rank. Under FSDP its towers are sharded in place, so this comes
            before the optimiser.
        execution: how to run.
        seed: of what is random inside towers, dropout for one.

    Raises:
        InputError: a tower looks at more than one row at a time, and would see only some of them.
    """

    def __init__(self, model: SmartCLIP, execution: ExecutionConfig, *, seed: int) -> None:
        self.model, self.execution, self.seed = model, execution, seed
        if ranks() > 1 or execution.micro_batch is not None:
            _refuse_batch_statistics(model)
        parts = model.parts
        if execution.channels_last:
            # nn.Module.to knows the argument, its stubs do not.
            model.image_tower.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        for block in (block for part in parts for block in blocks(part)):
            # The hooks of FSDP stay outside of both. A compiled block can be computed again; one
            # that computes itself again would silently not be compiled.
            if execution.compile:
                block.forward = torch.compile(block.forward)
            if execution.checkpoint_activations:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        self._sharded: list[FSDPModule] = []
        self._embed: nn.Module = _Embedding(model)
        if ranks() > 1 and execution.parallel == "fsdp":
            self._sharded = _shard(parts)
        elif ranks() > 1:
            self._embed = DistributedDataParallel(self._embed)

    def embed(self, images: Tensor, tokens: Tensor, *, step: int, first: int) -> Features:
        """Features of some rows, in the precision of the weights.

        Args:
            images: of these rows.
            tokens: of these rows.
            step: of the run.
            first: number of the first of these rows in the batch of all ranks. The same step and
                row draw the same dropout, on whatever rank and however often.
        """
        if self.execution.channels_last and images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        device, weights = images.device, next(self.model.parameters()).dtype
        low = self.execution.precision == "bfloat16"
        with (
            seeded(f"{self.seed} {step} {first}", device),
            torch.autocast(device.type, torch.bfloat16) if low else nullcontext(),
        ):
            features = self._embed(images, tokens)
        return Features(*(feature.to(weights) for feature in features))

    @contextmanager
    def exchanging(self, wanted: bool) -> Iterator[None]:
        """Whether gradients found inside are averaged over ranks at once, or only added up."""
        if isinstance(self._embed, DistributedDataParallel) and not wanted:
            with self._embed.no_sync():
                yield
            return
        for part in self._sharded:
            part.set_requires_gradient_sync(wanted)
        yield

    @contextmanager
    def products(self) -> Iterator[None]:
        """With towers in bfloat16, a GPU's products of float32 matrices inside are TF32.

        TF32 keeps 10 bits where bfloat16 kept 7, and the loss of a large batch is three times as
        fast.
        """
        device = next(self.model.parameters()).device
        if self.execution.precision != "bfloat16" or device.type == "cpu":
            yield
            return
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    def average_head_gradients(self) -> None:
        """What DDP and FSDP do for the towers, for the few parameters outside them."""
        inside = {id(parameter) for part in self.model.parts for parameter in part.parameters()}
        for parameter in self.model.parameters():
            if id(parameter) not in inside and parameter.grad is not None:
                mean_over_ranks(parameter.grad)


def blocks(part: nn.Module) -> list[nn.Module]:
    """The layers of a tower that can be sharded, compiled and recomputed one by one.

    Those are the entries of its ModuleLists; a tower without any is one block.
    """
    lists = [module for module in part.modules() if isinstance(module, nn.ModuleList)]
    return [block for modules in lists for block in modules] or [part]


@contextmanager
def seeded(name: str, device: torch.device) -> Iterator[None]:
    """Random numbers inside depend on `name` alone, and those outside do not notice."""
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())
    # By hand, since torch.random.fork_rng takes twenty times as long, which a small model notices.
    generators = [torch.default_generator]
    if device.type == "cuda":
        number = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[number])
    before = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(seed)
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.set_state(state)


class _Embedding(nn.Module):
    """`model.embed` as a module that has the towers' parameters and nothing else: what DDP wraps.

    Buffers are computed alike on every rank, and so is the head; DDP need not know of them.
    """

    def __init__(self, model: SmartCLIP) -> None:
        super().__init__()
        self.weights = nn.ParameterList(p for part in model.parts for p in part.parameters())
        self.embed = model.embed

    def forward(self, images: Tensor, tokens: Tensor) -> Features:
        return self.embed(images, tokens)


def _shard(parts: list[nn.Module]) -> list[FSDPModule]:
    device = next(parts[0].parameters()).device
    mesh = init_device_mesh(device.type, (ranks(),))
    sharded = []
    for part in parts:
        # Inner blocks before the blocks around them.
        for module in dict.fromkeys([*reversed(blocks(part)), part]):
            fully_shard(module, mesh=mesh)
            assert isinstance(module, FSDPModule)
            sharded.append(module)
    return sharded


def _refuse_batch_statistics(model: SmartCLIP) -> None:
    for part in model.parts:
        for name, module in part.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise InputError(
                    f"layer {name} of {type(part).__name__} takes statistics of the batch",
                    rule="on several processes or with micro-batches a tower sees a part of it",
                    fix="use a tower with LayerNorm, or one process and no micro_batch",
                )

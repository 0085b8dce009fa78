"""The processes of one run: who they are, and rows that travel between them with their gradients.

Under plain `torchrun` each of k processes ("ranks") holds B / k rows of every batch. The convention
everywhere: a loss is the *mean over ranks* of what each rank computes, and gradients of parameters
are averaged over ranks. One process without a group is the case k = 1 of the same code.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor

from theory.errors import InputError

# A rank that waits longer than this for another takes it for dead.
PATIENCE = timedelta(minutes=10)


def ranks() -> int:
    """k, the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this process is, from 0 to k - 1."""
    return dist.get_rank() if ranks() > 1 else 0


def own_rows(size: int) -> slice:
    """The rows of a batch of `size` that belong to this rank.

    >>> own_rows(8)
    slice(0, 8, None)

    Raises:
        InputError: the rows cannot be shared out equally.
    """
    if size % ranks():
        raise InputError(
            f"{size} rows over {ranks()} processes",
            rule="every process takes the same number of rows",
            fix=f"choose a multiple of {ranks()}",
        )
    share = size // ranks()
    return slice(rank() * share, (rank() + 1) * share)


def own_part(batch: Shaped[Tensor, "B *rest"]) -> Shaped[Tensor, "b *rest"]:
    """The rows of this rank, of a batch that every rank holds whole."""
    if ranks() == 1:
        return batch
    own = own_rows(len(batch))
    return batch.narrow(0, own.start, own.stop - own.start)


def gather_rows(rows: Shaped[Tensor, "b *rest"]) -> Shaped[Tensor, "B *rest"]:
    """The rows of all ranks in order, b = B / k from each, with gradients.

    Backward is the exact adjoint: a rank's rows receive the sum of what all ranks computed from
    them.
    """
    return rows if ranks() == 1 else _GatherRows.apply(rows)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.rows = len(rows)
        gathered = rows.new_empty((ranks() * len(rows), *rows.shape[1:]))
        dist.all_gather(list(gathered.chunk(ranks())), rows.contiguous())
        return gathered

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        summed = upstream.new_empty((ctx.rows, *upstream.shape[1:]))
        dist.reduce_scatter(summed, list(upstream.contiguous().chunk(ranks())))
        return summed


@torch.no_grad()
def mean_over_ranks(tensor: Tensor) -> Tensor:
    """The average over ranks, in place, without gradients."""
    if ranks() > 1:
        dist.all_reduce(tensor)
        tensor /= ranks()
    return tensor


def any_rank(said: bool, device: torch.device) -> bool:
    """Whether any rank says so."""
    if ranks() == 1:
        return said
    flag = torch.tensor(int(said), device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag.item())


def wait_for_all() -> None:
    """Return when every rank has come here."""
    if ranks() > 1:
        dist.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the other processes that `torchrun` started, if it started this one.

    Args:
        device: cpu or cuda. Ranks on cuda take one GPU of their machine each.

    Yields:
        The device of this rank.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()

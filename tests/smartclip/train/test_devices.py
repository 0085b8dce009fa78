"""A pass on pretended CUDA tensors finds a tensor made on the wrong device, without a GPU."""

import pytest
import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.distributed.fake_pg import FakeStore

from smartclip.model import Features, SmartCLIP
from smartclip.objective.similarities import SIMILARITIES
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.distributed_loss import distributed_contrastive_loss
from smartclip.train.losses import step_loss
from smartclip.train.method import Objective
from smartclip.train.phases import Phase, moment
from smartclip.train.ranks import gather_rows

HELD = Phase(steps=1, gates="held", scale=6.0, alignment=1.0)


@pytest.fixture
def two_pretended_ranks():
    dist.init_process_group("fake", store=FakeStore(), rank=1, world_size=2)
    yield
    dist.destroy_process_group()


@pytest.fixture
def pretended():
    # Without gradients: the autograd of a CPU build of torch has no CUDA to ask.
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        yield


def on_cuda(*shape):
    return torch.empty(shape, device="cuda")


def model():
    config = MLPConfig(width=8, depth=1)
    text = MLPTextTower(5, 6, config, state_width=8)
    made = SmartCLIP(MLPImageTower(4, 6, config), text, width=text.width, dimension=6, heads=2)
    for module in made.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    moved = torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")
                    is_weight = isinstance(tensor, torch.nn.Parameter)
                    tensors[name] = torch.nn.Parameter(moved) if is_weight else moved
    return made.eval()


@pytest.mark.parametrize("chunk_size", [None, 3])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_loss_over_ranks_stays_on_its_device(
    two_pretended_ranks, pretended, similarity, chunk_size
):
    parts = [on_cuda(4, 6) for _ in range(3)]
    loss = distributed_contrastive_loss(*parts, 2.0, similarity=similarity, chunk_size=chunk_size)
    assert loss.device.type == "cuda"
    assert gather_rows(parts[0]).shape == (8, 6)


def test_a_step_over_ranks_stays_on_its_device(two_pretended_ranks, pretended):
    made = model()
    features = made.embed(on_cuda(4, 4), on_cuda(4, 5))
    whole = Features(*map(gather_rows, features))
    terms = step_loss(made, whole, Objective(), moment((HELD,), 0), torch.Generator(), chunk_size=3)
    assert {part.device.type for part in terms if isinstance(part, torch.Tensor)} == {"cuda"}
    assert terms.mask.shape == (8, 6)

"""Isolation: its groups, what they weigh, and why copies gain nothing from it."""

import pytest
import torch
from torch.func import vmap

from smartclip.isolation import MOST_WEIGHT, isolated
from smartclip.objective import modular_contrastive_loss

# Coordinates 0 and 1 open in half of the captions, 2 in one of a hundred, 3 in none.
OPENED = torch.tensor([[0.9, 0.8, 0.1, 0.2]] * 100 + [[0.1, 0.2, 0.1, 0.2]] * 98)
OPENED = torch.cat([OPENED, torch.tensor([[0.1, 0.2, 0.9, 0.2]] * 2)])


def order(first: int, coordinates: int = 4) -> torch.Tensor:
    """Numbers that draw one coordinate."""
    numbers = torch.linspace(0, 0.5, coordinates)
    numbers[first] = 0.9
    return numbers


@pytest.mark.parametrize("first", [0, 1])
def test_a_group_is_what_opens_together(first):
    group, weight = isolated(OPENED, order(first), unused=False)
    assert group.tolist() == [1, 1, 0, 0]
    assert weight.item() == 2


def test_a_rare_group_weighs_more_within_bounds():
    group, weight = isolated(OPENED, order(2), unused=False)
    # A coordinate that two captions of 200 open differs from a closed one in too few to tell.
    assert group.tolist() == [0, 0, 1, 1]
    assert weight.item() == MOST_WEIGHT


def test_a_coordinate_that_no_caption_opens_is_drawn_only_on_request():
    half = OPENED[:198]  # these open coordinates 0 and 1, or none
    assert isolated(half, order(3), unused=False)[0].tolist() == [1, 1, 0, 0]
    assert isolated(half, order(3), unused=True)[0].tolist() == [0, 0, 1, 1]


def test_all_ones_are_one_group_of_weight_one():
    group, weight = isolated(torch.ones(8, 3), order(1, 3), unused=False)
    assert group.tolist() == [1, 1, 1]
    assert weight.item() == 1


def test_nothing_open_is_drawn_all_the_same():
    group, weight = isolated(torch.zeros(8, 3), order(1, 3), unused=False)
    assert group.tolist() == [1, 1, 1]
    assert weight.item() == MOST_WEIGHT


def test_many_runs_at_once_are_the_runs_one_by_one():
    opened = torch.rand(3, 16, 5, generator=torch.Generator().manual_seed(0))
    orders = torch.rand(3, 5, generator=torch.Generator().manual_seed(1))
    groups, weights = vmap(lambda p, o: isolated(p, o, unused=False))(opened, orders)
    for run in range(3):
        group, weight = isolated(opened[run], orders[run], unused=False)
        assert torch.equal(groups[run], group)
        assert torch.equal(weights[run], weight)


def test_by_itself_a_rare_concept_earns_what_it_does_not_in_a_caption_that_tells_all():
    # One group of captions, ten known coordinates, and an eleventh whose gate is half open.
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(256, 11, generator=generator)
    noisy = z + 0.25 * torch.randn(256, 11, generator=generator)

    def gain(mask: torch.Tensor) -> float:
        mask = mask.clone().requires_grad_()
        loss = modular_contrastive_loss(noisy, z, mask, 8.0, similarity="likelihood_ratio")
        return -torch.autograd.grad(loss, mask)[0][:, 10].sum().item()

    everything = torch.ones(256, 11)
    everything[:, 10] = 0
    alone = torch.zeros(256, 11)
    assert gain(alone) > 1
    assert gain(alone) > 20 * abs(gain(everything))


@pytest.mark.gpu
def test_on_a_gpu_it_is_what_it_is_on_a_cpu():
    here, there = (
        isolated(OPENED.to(device), order(0).to(device), unused=False) for device in ("cpu", "cuda")
    )
    assert torch.equal(here[0], there[0].cpu())
    assert here[1].item() == there[1].item()

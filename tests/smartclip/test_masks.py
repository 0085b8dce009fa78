import pytest
import torch

from smartclip.gates import GATES, expected_opening
from smartclip.masks import MaskNetwork


def test_mask_network_starts_half_open_and_reads_detached_states():
    network = MaskNetwork(8, 5, heads=2)
    states = torch.randn(3, 4, 8, requires_grad=True)
    logits = network(states)
    assert torch.equal(logits, torch.zeros(3, 5))
    logits.sum().backward()
    assert states.grad is None
    assert network.score.weight.grad is not None


def test_padding_is_not_read():
    torch.manual_seed(0)
    network = MaskNetwork(8, 5, heads=2)
    torch.nn.init.normal_(network.score.weight)
    states = torch.randn(2, 6, 8)
    padding = torch.tensor([[False] * 4 + [True] * 2] * 2)
    changed = states.clone()
    changed[:, 4:] = 100.0
    torch.testing.assert_close(network(states, padding), network(changed, padding))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(network(states), network(changed))


@pytest.mark.parametrize("gate", GATES)
def test_gates_start_as_open_as_asked(gate):
    torch.manual_seed(0)
    logits = MaskNetwork(8, 5, heads=2, opening=0.8, gate=gate)(torch.randn(3, 4, 8))
    opened = expected_opening(logits, gate)
    wanted = 1.0 if gate == "straight_through" else 0.8
    torch.testing.assert_close(opened, torch.full((3, 5), wanted))

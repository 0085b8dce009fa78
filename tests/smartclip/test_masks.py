import pytest
import torch

from smartclip.masks import MaskNetwork, bernoulli_gate, hard_gate


def test_bernoulli_gate_has_the_mean_and_gradient_of_its_probability():
    logits = torch.tensor([-1.0, 0.0, 2.0]).expand(200_000, 3).clone().requires_grad_()
    gate = bernoulli_gate(logits, torch.Generator().manual_seed(0))
    assert set(gate.detach().unique().tolist()) == {0.0, 1.0}
    probability = logits.detach()[0].sigmoid()
    torch.testing.assert_close(gate.detach().mean(0), probability, atol=5e-3, rtol=0)
    gate.sum().backward()
    torch.testing.assert_close(logits.grad[0], probability * (1 - probability))


def test_gates_follow_their_generator():
    logits = torch.zeros(5, 4)
    draws = [bernoulli_gate(logits, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_hard_gate_is_idempotent_as_a_mask():
    mask = hard_gate(torch.randn(50, 7, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(mask * mask, mask)


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

"""The contract that every registered gate keeps, and laws of single ones."""

import doctest

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

import smartclip.gates
from smartclip.gates import (
    GATES,
    Bernoulli,
    draw_gate,
    draw_uniforms,
    expected_opening,
    hard_gate,
    opening_logit,
    read_gate,
)
from smartclip.masks import MaskNetwork
from theory.errors import InputError

every_gate = pytest.mark.parametrize("gate", GATES)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def is_hard(gate):
    """Whether masks after training are in {0, 1}."""
    return read_gate(torch.tensor([-2.0, 0.0, 0.1]), gate).tolist() == [0.0, 0.0, 1.0]


@every_gate
@given(logit=st.floats(-6, 6))
@settings(deadline=None, max_examples=15)
def test_gates_open_as_often_as_expected(gate, logit):
    logits = torch.full((20_000,), logit)
    mask = draw_gate(logits, gate, generator())
    assert ((mask >= 0) & (mask <= 1)).all()
    seen = (mask > 0).float() if is_hard(gate) else mask
    expected = expected_opening(logits[0], gate)
    # Five standard deviations of the mean of a coin, at its widest.
    assert (seen.mean() - expected).abs() < 5 * 0.5 / 20_000**0.5


@pytest.mark.parametrize("gate", ["bernoulli", "straight_through"])
def test_binary_gates_are_binary_to_the_last_bit(gate):
    logits = 5 * torch.randn(10_000, generator=generator(1))
    assert set(draw_gate(logits, gate, generator()).unique().tolist()) == {0.0, 1.0}


def test_the_hard_concrete_gate_is_mostly_exactly_closed_or_open():
    mask = draw_gate(torch.zeros(100_000), "hard_concrete", generator())
    # From the distribution function: clipped below where sigmoid(...) < 1 / 12, and above likewise.
    clipped = torch.sigmoid(torch.tensor(2 / 3 * -2.3979)).item()
    assert (mask == 0).float().mean().item() == pytest.approx(clipped, abs=0.01)
    assert (mask == 1).float().mean().item() == pytest.approx(clipped, abs=0.01)


@every_gate
def test_a_closed_gate_has_a_gradient_and_it_points_to_opening(gate):
    logits = torch.full((1000,), -1.5, requires_grad=True)
    mask = draw_gate(logits, gate, generator())
    (grad,) = torch.autograd.grad(mask.sum(), logits)
    assert (grad > 0).all()
    assert (mask == 0).any() == is_hard(gate)
    (grad,) = torch.autograd.grad(expected_opening(logits, gate).sum(), logits)
    assert (grad > 0).all()


def test_the_bernoulli_gradient_is_that_of_its_mean():
    logits = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    (grad,) = torch.autograd.grad(draw_gate(logits, "bernoulli", generator()).sum(), logits)
    share = logits.detach().sigmoid()
    torch.testing.assert_close(grad, share * (1 - share))


@every_gate
def test_draws_follow_their_generator(gate):
    logits = torch.zeros(50)
    draws = [draw_gate(logits, gate, generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], draws[2]) == (not GATES[gate].random)


@every_gate
def test_uniforms_drawn_before_give_the_same_mask(gate):
    logits = torch.linspace(-3, 3, 50)
    u = draw_uniforms(logits, gate, generator())
    assert (u is not None) == GATES[gate].random
    assert torch.equal(draw_gate(logits, gate, u), draw_gate(logits, gate, generator()))


@every_gate
def test_gates_may_be_vmapped(gate):
    logits = torch.linspace(-3, 3, 12).reshape(3, 4)
    u = draw_uniforms(logits, gate, generator())
    together = torch.func.vmap(
        lambda logits, u: draw_gate(logits, gate, u), in_dims=(0, None if u is None else 0)
    )
    assert torch.equal(together(logits, u), draw_gate(logits, gate, u))


@every_gate
def test_infinite_logits_are_open_for_certain(gate):
    logits = torch.full((1000,), torch.inf)
    assert draw_gate(logits, gate, generator()).eq(1).all()
    assert read_gate(logits, gate).eq(1).all()
    assert expected_opening(logits, gate).eq(1).all()


@every_gate
def test_a_mask_after_training_needs_no_noise_and_grows_with_the_logit(gate):
    logits = torch.linspace(-4, 4, 100)
    mask = read_gate(logits, gate)
    assert (mask.diff() >= 0).all()
    assert mask[0] < 0.1 < 0.9 < mask[-1]
    if is_hard(gate):
        assert torch.equal(hard_gate(logits), mask)


def test_all_gates_but_the_soft_ablation_are_hard():
    assert [gate for gate in GATES if not is_hard(gate)] == ["soft"]


@every_gate
@given(probability=st.floats(0.01, 0.99))
@settings(deadline=None, max_examples=15)
def test_opening_logit_is_the_inverse_of_the_expected_opening(gate, probability):
    logit = torch.tensor(opening_logit(probability, gate), dtype=torch.float64)
    if gate == "straight_through":  # for certain open or not; the probability is of its gradient
        assert logit.sigmoid().item() == pytest.approx(probability)
    else:
        assert expected_opening(logit, gate).item() == pytest.approx(probability)


def test_a_gate_that_is_registered_is_one_everywhere(monkeypatch):
    class AtOne(Bernoulli):
        """Open after training where sigmoid(l) > 0.73."""

        def read(self, logits):
            return hard_gate(logits - 1)

    monkeypatch.setitem(GATES, "at_one", AtOne())
    network = MaskNetwork(8, 5, heads=2, gate="at_one", opening=0.6)
    logits = network(torch.zeros(3, 4, 8))
    assert expected_opening(logits, "at_one").mean().item() == pytest.approx(0.6)
    assert read_gate(logits + torch.tensor([0, 0, 0, 0, 2.0]), "at_one")[0].tolist() == [0] * 4 + [
        1
    ]


def test_bad_input_is_named():
    logits = torch.zeros(2)
    for refuse in (
        lambda: draw_gate(logits, "gumbel", generator()),
        lambda: draw_uniforms(logits, "gumbel", generator()),
        lambda: read_gate(logits, "gumbel"),
        lambda: expected_opening(logits, "gumbel"),
        lambda: opening_logit(0.5, "gumbel"),
    ):
        with pytest.raises(InputError, match=r"gate 'gumbel'.*hard_concrete"):
            refuse()
    for probability in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match="opening"):
            opening_logit(probability, "bernoulli")


def test_deterministic_gates_are_made_on_their_inputs_device():
    """Gates that draw ask for a generator on the device, which cannot be pretended."""
    with FakeTensorMode(), torch.no_grad():
        logits = torch.empty(4, 3, device="cuda")
        for gate in GATES:
            for mask in (read_gate(logits, gate), expected_opening(logits, gate)):
                assert mask.device.type == "cuda"


@pytest.mark.gpu
@every_gate
def test_gpu_draws_open_as_often_as_expected(gate):
    logits = torch.full((100_000,), 0.7, device="cuda")
    mask = draw_gate(logits, gate, torch.Generator("cuda").manual_seed(0))
    seen = (mask > 0).float() if is_hard(gate) else mask
    assert (seen.mean() - expected_opening(logits[0], gate)).abs() < 0.01


def test_examples_run():
    assert doctest.testmod(smartclip.gates).failed == 0

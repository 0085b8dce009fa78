import doctest
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch._subclasses.fake_tensor import FakeTensorMode

import smartclip.gates
from smartclip.gates import (
    Gate,
    draw_gate,
    expected_opening,
    hard_gate,
    opening_logit,
    read_gate,
)
from theory.errors import InputError

GATES = get_args(Gate)
BINARY = ("bernoulli", "straight_through")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("gate", GATES)
@given(logit=st.floats(-6, 6))
@settings(deadline=None, max_examples=15)
def test_gates_open_as_often_as_expected(gate, logit):
    logits = torch.full((20_000,), logit)
    mask = draw_gate(logits, gate, generator())
    assert ((mask >= 0) & (mask <= 1)).all()
    seen = mask if gate == "soft" else (mask > 0).float()
    expected = expected_opening(logits[0], gate)
    # Five standard deviations of the mean of a coin, at its widest.
    assert (seen.mean() - expected).abs() < 5 * 0.5 / 20_000**0.5


@pytest.mark.parametrize("gate", BINARY)
def test_binary_gates_are_binary_to_the_last_bit(gate):
    logits = 5 * torch.randn(10_000, generator=generator(1))
    assert set(draw_gate(logits, gate, generator()).unique().tolist()) == {0.0, 1.0}


def test_the_hard_concrete_gate_is_mostly_exactly_closed_or_open():
    mask = draw_gate(torch.zeros(100_000), "hard_concrete", generator())
    # From the distribution function: clipped below where sigmoid(...) < 1 / 12, and above likewise.
    clipped = torch.sigmoid(torch.tensor(2 / 3 * -2.3979)).item()
    assert (mask == 0).float().mean().item() == pytest.approx(clipped, abs=0.01)
    assert (mask == 1).float().mean().item() == pytest.approx(clipped, abs=0.01)


@pytest.mark.parametrize("gate", GATES)
def test_a_closed_gate_has_a_gradient_and_it_points_to_opening(gate):
    logits = torch.full((1000,), -1.5, requires_grad=True)
    mask = draw_gate(logits, gate, generator())
    (grad,) = torch.autograd.grad(mask.sum(), logits)
    assert (grad > 0).all()
    if gate != "soft":
        assert (mask == 0).any()
    (grad,) = torch.autograd.grad(expected_opening(logits, gate).sum(), logits)
    assert (grad > 0).all()


def test_the_bernoulli_gradient_is_that_of_its_mean():
    logits = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    (grad,) = torch.autograd.grad(draw_gate(logits, "bernoulli", generator()).sum(), logits)
    share = logits.detach().sigmoid()
    torch.testing.assert_close(grad, share * (1 - share))


@pytest.mark.parametrize("gate", GATES)
def test_draws_follow_their_generator(gate):
    logits = torch.zeros(50)
    draws = [draw_gate(logits, gate, generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], draws[2]) == (gate in ("straight_through", "soft"))


@pytest.mark.parametrize("gate", GATES)
def test_infinite_logits_are_open_for_certain(gate):
    logits = torch.full((1000,), torch.inf)
    assert draw_gate(logits, gate, generator()).eq(1).all()
    assert read_gate(logits, gate).eq(1).all()
    assert expected_opening(logits, gate).eq(1).all()


@pytest.mark.parametrize("gate", GATES)
def test_after_training_masks_are_hard_but_for_the_soft_ablation(gate):
    logits = torch.tensor([-2.0, 0.0, 0.1])
    mask = read_gate(logits, gate)
    assert torch.equal(mask, logits.sigmoid() if gate == "soft" else torch.tensor([0.0, 0.0, 1.0]))
    if gate != "soft":
        assert torch.equal(hard_gate(logits), mask)


@pytest.mark.parametrize("gate", ["bernoulli", "hard_concrete", "soft"])
@given(probability=st.floats(0.01, 0.99))
@settings(deadline=None, max_examples=15)
def test_opening_logit_is_the_inverse_of_the_expected_opening(gate, probability):
    logit = torch.tensor(opening_logit(probability, gate), dtype=torch.float64)
    assert expected_opening(logit, gate).item() == pytest.approx(probability)


def test_bad_input_is_named():
    with pytest.raises((InputError, TypeCheckError), match="gate"):
        draw_gate(torch.zeros(2), "gumbel", generator())
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
@pytest.mark.parametrize("gate", GATES)
def test_gpu_draws_open_as_often_as_expected(gate):
    logits = torch.full((100_000,), 0.7, device="cuda")
    mask = draw_gate(logits, gate, torch.Generator("cuda").manual_seed(0))
    seen = mask if gate == "soft" else (mask > 0).float()
    assert (seen.mean() - expected_opening(logits[0], gate)).abs() < 0.01


def test_examples_run():
    assert doctest.testmod(smartclip.gates).failed == 0

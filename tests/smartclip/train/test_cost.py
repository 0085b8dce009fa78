import json

import pytest
import torch

from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.cost import SPEEDS, TIMED_STEPS, WARM_STEPS, Cost
from smartclip.train.estimate import estimate
from smartclip.train.execution import ExecutionConfig


def small():
    config = MLPConfig(width=64, depth=2)
    text = MLPTextTower(8, 16, config, state_width=8)
    image = MLPImageTower(32, 16, config)
    return SmartCLIP(image, text, width=text.width, dimension=16, heads=2, masks=False)


def expected(model=None, **execution):
    settings = ExecutionConfig(**execution)
    return estimate(
        model or small(), torch.randn(512, 32), torch.randn(512, 8), settings, batch_size=512
    )


def test_work_is_three_forward_passes():
    # Two FLOPs a weight and pair; the fixed embedding of a caption; two products of similarities.
    image = 32 * 64 + 64 * 64 + 64 * 16
    text = 8 * 64 + 64 * 64 + 64 * 16
    pair = 2 * (image + text + 8 * 8) + 4 * 512 * 16
    assert expected().work == 3 * 512 * pair


def test_state_is_four_numbers_a_parameter_and_activations_scale_with_the_rows_held():
    model = small()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    whole, parts = expected(model), expected(model, micro_batch=128)
    assert whole.parameters == parameters
    assert whole.state_memory == 16 * parameters
    assert whole.weight_memory == 4 * parameters
    assert whole.activation_memory == 4 * parts.activation_memory
    assert whole.memory > parts.memory > expected(model, micro_batch=128, chunk_size=8).memory


def test_activations_are_those_a_backward_pass_needs():
    # Each hidden layer keeps its input for the product and for the activation function. A tower is
    # one block here, and the gradients of the larger one are held beside.
    image, text = (4 * 512 * (inputs + 4 * 64) for inputs in (32, 8))
    assert expected().activation_memory == 2 * image + text
    between = 4 * 512 * (16 + 16 + 8)
    assert expected(checkpoint_activations=True).activation_memory == 2 * image + between


def test_what_does_not_grow_with_the_pairs_is_counted_once():
    # Weights in low precision are kept for the backward pass, once for all pairs.
    low = [expected(precision="bfloat16", micro_batch=n).activation_memory for n in (100, 200, 300)]
    assert low[2] - low[1] == low[1] - low[0]
    weights = 2 * (32 * 64 + 64 * 64 + 64 * 16)
    assert 2 * low[0] - low[1] >= weights


def test_a_run_is_priced_after_its_first_steps_and_at_its_end(tmp_path, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("smartclip.train.cost.time.monotonic", lambda: float(next(clock)))
    cost = Cost(
        expected(),
        ExecutionConfig(price_per_hour=36.0),
        torch.device("cpu"),
        steps=100,
        batch_size=512,
        held_before=0,
        first_step=20,
    )
    told = [cost.tick(step) for step in range(21, 101)]
    # The clock moves by one second each time it is read: at the start, and twice here.
    due = WARM_STEPS + TIMED_STEPS
    assert next(step for step, line in enumerate(told, start=21) if line) == 20 + due
    assert "price" in told[due - 1]
    assert cost.expected_seconds == 1 + (80 - WARM_STEPS) / TIMED_STEPS
    speed = cost.speed(24)
    assert tuple(speed) == SPEEDS
    assert speed["pairs_per_second"] == 512 * speed["steps_per_second"]
    assert 0 < speed["mfu"] < 1
    assert "measured" in cost.write(tmp_path / "cost.json")
    written = json.loads((tmp_path / "cost.json").read_text())
    assert written["estimated"]["price"] == pytest.approx(36 * cost.expected_seconds / 3600)
    measured = written["measured"]
    assert measured["price"] == pytest.approx(36 * measured["seconds"] / 3600)
    assert written["measured"]["memory"] > 0


class Clock:
    """Time that passes only when the test says so."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("smartclip.train.cost.time.monotonic", lambda: self.now)


def followed(clock, seconds_of, steps=100):
    """A run whose step n takes `seconds_of(n)`, and what was said after each step."""
    cost = Cost(
        expected(),
        ExecutionConfig(),
        torch.device("cpu"),
        steps=steps,
        batch_size=512,
        held_before=0,
        first_step=0,
    )
    said = {}
    for step in range(1, steps + 1):
        clock.now += seconds_of(step)
        if line := cost.tick(step):
            said[step] = line
    return cost, said


def test_a_machine_that_was_busy_at_first_is_judged_again(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    cost, said = followed(clock, lambda step: 5.0 if step <= 20 else 1.0)
    assert cost.expected_seconds == 500
    # After 25 steps: 105 s passed, and of the last 22 (the first 3 warm up) 17 took 5 s.
    assert cost.renewed[0] == {"step": 25, "seconds": 105 + 75 * 90 / 22}
    assert [line["seconds"] for line in cost.renewed[1:]] == [180, 180]
    # The third says what the second did.
    assert list(said) == [WARM_STEPS + TIMED_STEPS, 25, 50]
    assert (
        "estimated again at step 50, from 25 steps: 3 min, of which 0.833 min are left" in said[50]
    )
    end = cost.write(tmp_path / "cost.json")
    assert "8.33 min at first (it took 64% less), 3 min at step 75 (it took 0% less)" in end
    written = json.loads((tmp_path / "cost.json").read_text())
    assert written["estimated"]["renewed"] == cost.renewed


def test_a_steady_run_is_estimated_once_in_words(monkeypatch):
    cost, said = followed(Clock(monkeypatch), lambda step: 1.0)
    assert list(said) == [WARM_STEPS + TIMED_STEPS]
    assert [line["seconds"] for line in cost.renewed] == [100, 100, 100]


def test_a_short_run_is_not_estimated_again(tmp_path, monkeypatch):
    cost, _ = followed(Clock(monkeypatch), lambda step: 1.0, steps=30)
    assert cost.renewed == []
    assert "30 s at first (it took 0% less)" in cost.write(tmp_path / "cost.json")

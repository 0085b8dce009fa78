"""Phases: what holds at a step, and that a method's schedule is what its lines say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartclip.growth import grown, words_first
from smartclip.methods import METHODS
from smartclip.train.method import Budget, Method, ModelOptions, Objective
from smartclip.train.phases import Phase, Ramp, held_from, lasting, moment, total_steps
from theory.errors import InputError

OURS = grown(Budget(steps=2400, dimension=20))


def at(step: int, name: str):
    return getattr(moment(OURS.phases, step), name)


def test_a_ramp_is_constant_outside_its_share():
    ramp = Ramp(2.0, 6.0, begin=0.25, end=0.75)
    assert [ramp.at(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == [2, 2, 4, 6, 6]


def test_shapes():
    assert Ramp(1.0, 0.0, "cosine").at(0.25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert Ramp(0.5, 8.0, "geometric").at(0.5) == pytest.approx(2.0)


def test_one_curve_runs_through_two_phases():
    phases = (
        Phase(steps=30, rate=Ramp(1.0, 0.0, "cosine", end=2.0)),
        Phase(steps=30, rate=Ramp(1.0, 0.0, "cosine", begin=-1.0)),
    )
    one = Ramp(1.0, 0.0, "cosine")
    for step in range(60):
        assert moment(phases, step).rate == pytest.approx(one.at(step / 60))


def test_our_code_explores_specialises_settles_and_is_refined():
    assert [at(step, "scale") for step in (0, 499, 1000, 1999)] == [0.5, 0.5, 8.0, 8.0]
    assert at(750, "scale") == pytest.approx(2.0)
    assert at(2000 + 66, "scale") == pytest.approx(8 + 16 * 66 / (400 / 3))
    assert at(2399, "scale") == 24.0
    assert [at(step, "alignment") for step in (0, 499, 750, 1000, 2000)] == [0, 0, 0.25, 4, 1]
    assert [at(step, "decorrelation") for step in (0, 999, 1000, 2000)] == [1, 1, 0.05, 0]
    assert [at(step, "budget") for step in (1100, 1500, 1999)] == pytest.approx([0, 0.1, 0.1])
    assert at(1300, "budget") == pytest.approx(0.05)
    assert [at(step, "sparsity") for step in (1500, 1650, 1800)] == pytest.approx([0, 0.03, 0.06])
    assert [at(step, "gates") for step in (0, 1999, 2000)] == ["drawn", "drawn", "held"]
    assert [at(step, "noise") for step in (0, 1999, 2000)] == [True, True, False]
    assert [step for step in range(496, 512) if at(step, "isolating")] == [500, 504, 508]
    assert held_from(OURS.phases) == 2000


def test_our_rates_warm_up_stay_and_fall_twice():
    assert [at(step, "rate") for step in (0, 49, 99, 999)] == pytest.approx([0.01, 0.5, 1, 1])
    assert at(1500, "rate") == pytest.approx(0.55)
    assert at(1999, "rate") == pytest.approx(0.1, abs=1e-4)
    assert [at(step, "rate") for step in (2000, 2200)] == pytest.approx([0.6, 0.3])
    assert at(2399, "rate") < 1e-4


def test_words_are_held_first_and_precision_does_not_run_ahead():
    phases = words_first(Budget(steps=10_000, dimension=48), caption_steps=3000).phases
    found = [moment(phases, step) for step in range(0, 10_000, 10)]
    assert sum(not one.captions_learn for one in found) == 294
    assert [one.gates for one in found].count("open") == 315
    follows = [one.least_scale is not None for one in found]
    assert follows == [3150 <= step < 7000 for step in range(0, 10_000, 10)]
    rates = [one.rate for one in found]
    # One curve through two phases, from half of the learning of masks to its end.
    for step in range(3500, 7000, 70):
        share = (step - 3500) / 3500
        expected = 0.1 + 0.9 * (1 + math.cos(math.pi * share)) / 2
        assert rates[step // 10] == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "ours"])
def test_the_others_have_one_phase(name: str):
    method = METHODS[name](Budget(steps=500, dimension=64))
    (phase,) = method.phases
    assert phase.alignment == phase.decorrelation == phase.budget == 0
    assert not phase.noise
    assert phase.least_scale is phase.isolate_every is phase.least_opening is None


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=6),
    st.integers(1, 3000),
)
def test_stretched_phases_keep_their_order_and_last_as_long_as_asked(steps, wanted):
    phases = tuple(Phase(steps=count, scale=float(n + 1)) for n, count in enumerate(steps))
    found = lasting(phases, wanted)
    assert total_steps(found) == wanted
    scales = [phase.scale for phase in found]
    assert scales == sorted(set(scales))
    total = sum(steps)
    for phase in found:
        share = steps[int(phase.scale) - 1] * wanted / total
        assert abs(phase.steps - share) <= 1


def test_a_step_past_the_end_is_refused():
    with pytest.raises(InputError, match="step 2400 of a training of 2400"):
        moment(OURS.phases, 2400)
    with pytest.raises(InputError, match="step -1 of a training"):
        moment(OURS.phases, -1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 0}, "steps"),
        ({"scale": 0.0}, "scale"),
        ({"scale": Ramp(1.0, -1.0)}, "scale"),
        ({"sparsity": -0.1}, "sparsity"),
        ({"gates": "open", "budget": 0.1}, "budget"),
        ({"gates": "held", "sparsity": 0.1}, "sparsity"),
        ({"least_opening": 1.0}, "least_opening"),
        ({"isolate_every": 0}, "isolate_every"),
        ({"alignment": -1.0}, "alignment"),
        ({"warm_up": -1}, "warm_up"),
    ],
)
def test_impossible_phases_are_refused(change, named):
    with pytest.raises(InputError, match=named):
        Phase(**{"steps": 5} | change)


@pytest.mark.parametrize(
    ("given_ramp", "named"),
    [((1.0, 0.0, "geometric"), "start"), ((1.0, 2.0, "linear", 0.5, 0.5), "end")],
)
def test_impossible_ramps_are_refused(given_ramp, named):
    with pytest.raises(InputError, match=named):
        Ramp(*given_ramp)


def test_a_wrong_baseline_cannot_be_written_down():
    clip = {"name": "a", "title": "a", "objective": Objective(similarity="cosine")}
    options = ModelOptions(masks=False, shared_gates=False)
    with pytest.raises(InputError, match="a model without masks has no gates"):
        Method(**clip, model=options, phases=(Phase(steps=3),))
    with pytest.raises(InputError, match="noisy channel"):
        Method(**clip, model=ModelOptions(), phases=(Phase(steps=3, noise=True),))
    with pytest.raises(InputError, match="shared_gates"):
        ModelOptions(masks=False)
    with pytest.raises(InputError, match="components"):
        Objective(components=4)
    with pytest.raises(InputError, match="without phases"):
        Method(**clip, model=options, phases=())

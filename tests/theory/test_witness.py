"""Every witness: two solutions that meet the stated conditions and disagree on the block."""

from collections.abc import Callable

import numpy as np
import pytest

from theory import predict
from theory.conditions import check_budget, check_lossless, check_sparsest, check_support
from theory.theorems import STATEMENTS
from theory.witness import (
    WITNESSES,
    Witness,
    duplicated_code,
    linked_support,
    missing_inverse,
    reflection,
    rotation,
    rotation_where_values_choose_captions,
    shared_noise,
    shear,
    two_pieces,
    value_dependent_mask,
    wrong_concept,
)
from theory.world import Observations


@pytest.mark.parametrize("make", WITNESSES)
def test_both_solutions_align_lose_nothing_and_are_sparsest(make: Callable[[], Witness]):
    witness = make()
    measured = witness.evaluate(1500)
    for solution in (measured.plain, measured.other):
        assert solution.alignment_error == 0.0
        assert solution.decoding_error < 1e-6
        assert solution.open_coordinates == measured.needed_coordinates
    assert measured.plain.used_coordinates == measured.mentioned_dimensions
    surplus = measured.other.used_coordinates - measured.mentioned_dimensions
    assert surplus == (1 if witness.breaks == "C5" else 0)
    assert measured.plain.leak == 0.0
    assert measured.plain.completeness > 0.95
    assert measured.other.leak > 0.5 or measured.other.completeness < 0.8
    assert witness.statement in STATEMENTS


@pytest.mark.parametrize("make", [rotation, shear])
def test_sharpness_is_about_blocks_outside_the_ring(make: Callable[[], Witness]):
    witness = make()
    promise = predict(witness.family).promise(witness.block)
    assert not promise.identified
    assert promise.statement == witness.statement == "3.5"


def test_the_rotation_keeps_the_law_of_the_code():
    """Through the coupling the codes are equal, and the coupling keeps the law of z."""
    witness = rotation()
    rows = witness.draw(np.random.default_rng(0), 20_000)
    assert witness.coupling is not None
    moved = witness.coupling(rows)
    np.testing.assert_allclose(witness.other.image(moved), witness.plain.image(rows), atol=1e-12)
    # Moments up to the fourth of a standard normal in three dimensions, within 5 deviations.
    np.testing.assert_allclose(np.cov(moved.T), np.eye(3), atol=0.05)
    np.testing.assert_allclose((moved**2).T @ (moved**2) / len(moved), 1 + 2 * np.eye(3), atol=0.4)


@pytest.mark.parametrize("tau", [0.5, 2.0, 8.0])
@pytest.mark.parametrize("batch", [16, 128])
def test_the_rotation_has_equal_loss_on_samples_of_its_own(tau: float, batch: int):
    witness = rotation()
    measured = witness.evaluate(16_000, tau=tau, batch=batch)
    assert measured.plain.loss == pytest.approx(measured.other.loss, abs=1e-9)
    free = Witness(
        title=witness.title,
        statement=witness.statement,
        breaks="",
        family=witness.family,
        draw=witness.draw,
        plain=witness.plain,
        other=witness.other,
        block=witness.block,
    )
    uncoupled = free.evaluate(16_000, seed=1, tau=tau, batch=batch)
    assert uncoupled.plain.loss == pytest.approx(uncoupled.other.loss, abs=0.05)


@pytest.mark.parametrize("tau", [0.5, 8.0])
@pytest.mark.parametrize("batch", [16, 128])
def test_a_dependent_dimension_has_a_twin_of_equal_loss(tau: float, batch: int):
    """Normal latents with correlation 0.6: the reflection keeps the law and mixes k with j."""
    measured = reflection(0.6).evaluate(2000, tau=tau, batch=batch)
    assert measured.plain.loss == pytest.approx(measured.other.loss, rel=1e-12)
    assert measured.other.leak > 0.5


def test_the_reflection_keeps_the_law():
    witness = reflection(0.6)
    rows = witness.draw(np.random.default_rng(0), 50_000)
    assert witness.coupling is not None
    moved = witness.coupling(rows)
    np.testing.assert_allclose(np.cov(moved.T), [[1, 0.6], [0.6, 1]], atol=0.03)
    np.testing.assert_allclose(witness.coupling(moved), rows, atol=1e-12)


def test_values_that_choose_captions_break_the_tie():
    """Where z_k1 > 0 leaves l out, the rotated code loses 0.015 nats, some ten standard errors."""
    witness = rotation_where_values_choose_captions()
    gaps = []
    for seed in range(6):
        measured = witness.evaluate(4096, seed=seed)
        gaps.append(measured.other.loss - measured.plain.loss)
    mean, error = np.mean(gaps), np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert mean > 4 * error
    assert 0.01 < mean < 0.02


@pytest.mark.parametrize("tau", [0.5, 2.0, 8.0])
def test_the_shear_loses_when_latents_are_independent(tau: float):
    measured = shear().evaluate(6400, tau=tau)
    assert measured.plain.loss < measured.other.loss - 0.02


@pytest.mark.parametrize("correlation", [0.6, -0.6, 0.9])
def test_whitening_wins_when_latents_are_dependent_and_is_impure(correlation: float):
    measured = shear(correlation).evaluate(6400)
    assert measured.other.loss < measured.plain.loss - 0.02
    assert measured.other.leak > 0.5


def test_the_duplicate_is_caught_by_the_budget_alone():
    witness = duplicated_code()
    rows = witness.draw(np.random.default_rng(0), 4)
    masks = np.stack([witness.other.masks(rows[:1], m)[0] for m in range(2)])
    assert check_sparsest(witness.family, masks).answer == "holds"
    verdict = check_budget(witness.family, masks)
    assert verdict.answer == "fails"
    assert verdict.witness.block == witness.block
    assert predict(witness.family, without=["C5"]).promise(witness.block).complete == "no"


def test_the_value_dependent_mask_needs_a_jump():
    """The code is exact on both sides of a = 0 and not continuous there: C3 is broken twice."""
    witness = value_dependent_mask()
    near = np.array([[-1e-12, 2.5], [1e-12, 2.5]])
    jump = np.abs(np.diff(witness.other.image(near), axis=0))
    assert jump.max() > 2
    rows = witness.draw(np.random.default_rng(0), 50)
    opened = witness.other.masks(rows, 0)
    assert len(np.unique(opened, axis=0)) == 2


@pytest.mark.parametrize("make", [shared_noise, linked_support, two_pieces])
def test_broken_support_is_seen_by_its_check(make: Callable[[], Witness]):
    witness = make()
    rows = witness.draw(np.random.default_rng(0), 2000)
    dimension = witness.family.dimension
    noise = rows[:, dimension:] if rows.shape[1] > dimension else None
    seen = Observations.of(
        witness.family,
        z=rows[:, :dimension],
        caption=np.arange(2000) % len(witness.family.captions),
        image_noise=noise,
        text_noise=noise,
    )
    verdict = check_support(seen)
    assert verdict.answer == "fails"


def test_the_missing_inverse_is_pure_exact_and_forgets():
    witness = missing_inverse()
    promise = predict(witness.family).promise(witness.block)
    assert promise.identified
    assert promise.complete == "locally"
    two_turns = np.array([[0.1, 0.0, 0.3, -0.2], [0.1, 4 * np.pi, 0.3, -0.2]])
    codes = witness.other.image(two_turns)
    np.testing.assert_allclose(codes[0, :2], codes[1, :2], atol=1e-12)
    rows = witness.draw(np.random.default_rng(0), 500)
    caption = np.arange(500) % 2
    code = witness.other.image(rows)
    seen = Observations.of(witness.family, z=rows, caption=caption)
    verdict = check_lossless(seen, code, code, witness.family.dimension_masks)
    assert verdict.answer == "cannot tell"


def test_two_scores_of_099_for_the_wrong_concept():
    scores = wrong_concept()
    assert scores.completeness == scores.purity == scores.floor
    assert scores.completeness == pytest.approx(1 / 1.01, abs=1e-3)

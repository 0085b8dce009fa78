"""The checks of C1 to C5: they refute with a witness that can be verified, and do not cry wolf."""

from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from theory import CaptionFamily, InputError, conditions
from theory.conditions import (
    CONDITIONS,
    Collision,
    Flat,
    Misaligned,
    Miscounted,
    NeverSeen,
    check_budget,
    check_invertible,
    check_lossless,
    check_sparsest,
    check_support,
)
from theory.exhaustive import solutions
from theory.symbolic import SymbolicGenerator
from theory.world import Observations

X = sp.Symbol("x", real=True)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def fold(z: np.ndarray) -> np.ndarray:
    return np.column_stack([z[:, 0] ** 2 + z[:, 1], z[:, 1], z[:, 2]])


def smooth(z: np.ndarray) -> np.ndarray:
    mixed = z @ np.array([[1.0, 0.4, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 1.0]])
    return mixed + 0.3 * np.tanh(mixed)


def test_a_fold_is_found_with_two_points_of_one_image():
    points = rng().uniform(-1, 1, size=(300, 3))
    verdict = check_invertible(fold, points)
    assert verdict.answer == "fails"
    assert isinstance(verdict.witness, Collision)
    first, second = verdict.witness.first, verdict.witness.second
    np.testing.assert_allclose(fold(first[None]), fold(second[None]), atol=1e-5)
    assert np.max(np.abs(first - second)) > 0.01
    assert np.all(np.abs(second) <= 1.0 + 1e-6)


def test_a_lost_dimension_is_found():
    verdict = check_invertible(lambda z: z[:, :1] + z[:, 1:], rng().normal(size=(50, 2)))
    assert verdict.answer == "fails"
    assert isinstance(verdict.witness, Collision | Flat)


def test_a_flat_point_of_an_injective_map_is_found():
    points = np.linspace(-1, 1, 21)[:, None]
    verdict = check_invertible(lambda z: z**5, points)
    assert isinstance(verdict.witness, Flat)
    assert verdict.witness.point == pytest.approx(0.0)
    assert check_invertible(lambda z: 1e-6 * z, points).answer == "cannot tell"


@pytest.mark.parametrize("seed", range(5))
def test_an_invertible_generator_is_not_refuted(seed: int):
    points = np.random.default_rng(seed).normal(size=(300, 3))
    assert check_invertible(smooth, points, seed=seed).answer == "cannot tell"


def test_a_symbolic_generator_decides_by_itself():
    assert check_invertible(SymbolicGenerator.of([X], [X**3 + X])).answer == "holds"
    assert check_invertible(SymbolicGenerator.of([X], [X**2])).answer == "fails"


FAMILY = CaptionFamily.from_captions([["a", "b"], ["b"]])


def test_full_support_is_not_refuted_even_when_latents_and_captions_depend():
    """The level is 0.001 each: 40 tests raise one false alarm with probability below 0.04."""
    for seed in range(40):
        generator = np.random.default_rng(seed)
        z = generator.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=4000)
        caption = (generator.random(4000) < 0.2 + 0.6 * (z[:, 0] > 0)).astype(int)
        noise = generator.normal(size=(2, 4000, 1))
        seen = Observations.of(
            FAMILY, z=z, caption=caption, image_noise=noise[0], text_noise=noise[1]
        )
        verdict = check_support(seen)
        assert verdict.answer == "cannot tell", verdict


@pytest.mark.parametrize("steepness", [3.0, 10.0, 30.0])
def test_captions_that_depend_steeply_on_a_value_are_allowed(steepness: float):
    for seed in range(10):
        generator = np.random.default_rng(seed)
        z = generator.normal(size=(20_000, 2))
        caption = (generator.random(20_000) < 1 / (1 + np.exp(-steepness * z[:, 0]))).astype(int)
        assert check_support(Observations.of(FAMILY, z=z, caption=caption)).answer == "cannot tell"


def test_nearly_equal_latents_are_allowed_and_equal_ones_are_not():
    for correlation, answer in ((0.95, "cannot tell"), (0.99, "cannot tell"), (1.0, "fails")):
        covariance = [[1, correlation], [correlation, 1]]
        z = rng().multivariate_normal([0, 0], covariance, size=20_000)
        seen = Observations.of(FAMILY, z=z, caption=rng().integers(0, 2, 20_000))
        assert check_support(seen).answer == answer


def test_the_level_is_kept_when_it_is_loose():
    """At level 0.2 and the steepest step that is allowed, at most 0.2 of 60 tests may refute.

    One caption is 4 times rarer below the median: with steepest = 4 that is the worst case that
    the null allows. The band is 12 + 3 standard deviations.
    """
    alarms = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        z = generator.normal(size=(1000, 2))
        caption = (generator.random(1000) < np.where(z[:, 0] < 0, 0.1, 0.4)).astype(int)
        seen = Observations.of(FAMILY, z=z, caption=caption)
        alarms += check_support(seen, steepest=4.0, level=0.2).answer == "fails"
    assert alarms <= 12 + 3 * (60 * 0.2 * 0.8) ** 0.5


def test_a_caption_that_never_comes_with_a_value_is_named():
    z = rng().normal(size=(5000, 2))
    verdict = check_support(Observations.of(FAMILY, z=z, caption=(z[:, 0] > 0).astype(int)))
    assert verdict.answer == "fails"
    assert isinstance(verdict.witness, NeverSeen)
    assert verdict.witness.point is not None
    assert (verdict.witness.point[0] > 0) == (verdict.witness.caption == 0)
    assert verdict.witness.expected > 1000


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_hole_is_found_with_a_point_inside(share: float):
    """A caption that never occurs for the lowest share of one latent, at 20,000 samples."""
    z = rng().normal(size=(20_000, 2))
    edge = np.quantile(z[:, 1], share)
    caption = ((rng().random(20_000) < 0.5) & (z[:, 1] > edge)).astype(int)
    verdict = check_support(Observations.of(FAMILY, z=z, caption=caption))
    assert isinstance(verdict.witness, NeverSeen)
    assert verdict.witness.caption == 1
    assert verdict.witness.point is not None
    assert verdict.witness.point[1] < edge


def test_two_concepts_that_share_a_sign_are_found_from_samples_alone():
    z = np.abs(rng().normal(size=(20_000, 2))) * rng().choice([-1, 1], size=(20_000, 1))
    verdict = check_support(Observations.of(FAMILY, z=z, caption=np.zeros(20_000, dtype=int)))
    assert isinstance(verdict.witness, NeverSeen)
    assert verdict.witness.point is not None
    assert verdict.witness.point.prod() < 0


def test_discrete_latents_have_no_open_support():
    z = rng().normal(size=(1000, 2))
    z[:, 1] = np.round(z[:, 1])
    verdict = check_support(Observations.of(FAMILY, z=z, caption=np.zeros(1000, dtype=int)))
    assert isinstance(verdict.witness, NeverSeen)
    assert verdict.witness.what.startswith("z of b [0] between")
    z[:, 1] = 2.0
    verdict = check_support(Observations.of(FAMILY, z=z, caption=np.zeros(1000, dtype=int)))
    assert verdict.reason == "z of b [0] other than 2 never occurs"


def test_a_concept_in_two_pieces_is_not_connected():
    """Z_a = (0, 1) u (2, 3) is open, and every combination occurs: only the gap tells."""
    z = rng().uniform(0, 1, size=(5000, 2))
    z[:, 0] += 2 * rng().integers(0, 2, 5000)
    verdict = check_support(Observations.of(FAMILY, z=z, caption=rng().integers(0, 2, 5000)))
    assert isinstance(verdict.witness, NeverSeen)
    assert verdict.witness.what.startswith("z of a [0] between")
    assert verdict.witness.point is not None
    assert 0.99 < verdict.witness.point[0] < 2.01


def test_a_world_that_fills_the_gap_is_believed():
    """Two narrow modes far apart, with full support: the world knows that nothing is missing."""
    generator = rng()
    z = generator.normal(size=(5000, 2)) * 0.1
    z[:, 0] += 20 * generator.integers(0, 2, 5000) - 10
    seen = Observations.of(FAMILY, z=z, caption=generator.integers(0, 2, 5000))
    known = check_support(seen, supported=lambda points: np.ones(len(points), dtype=bool))
    assert known.answer == "cannot tell"
    unknown = check_support(seen)
    assert unknown.answer == "fails"
    assert "assuming that no density rises more than 20-fold" in unknown.reason


@pytest.mark.parametrize("law", ["normal", "standard_cauchy", "lognormal", "uniform"])
def test_tails_and_thin_samples_are_no_gap(law: str):
    for seed in range(10):
        generator = np.random.default_rng(seed)
        z = getattr(generator, law)(size=(3000, 2))
        seen = Observations.of(FAMILY, z=z, caption=generator.integers(0, 2, 3000))
        assert check_support(seen).answer == "cannot tell"


def test_shared_noise_is_named():
    z, noise = rng().normal(size=(5000, 2)), np.random.default_rng(1).normal(size=(5000, 1))
    seen = Observations.of(
        FAMILY, z=z, caption=rng().integers(0, 2, 5000), image_noise=noise, text_noise=noise
    )
    verdict = check_support(seen)
    assert "the image noise" in verdict.reason
    assert "the text noise" in verdict.reason


def test_a_known_support_is_refuted_exactly():
    z = rng().uniform(-1, 1, size=(500, 2))
    z = z[np.abs(z).sum(axis=1) < 1.6]
    verdict = check_support(
        Observations.of(FAMILY, z=z, caption=np.zeros(len(z), dtype=int)),
        supported=lambda points: np.abs(points).sum(axis=1) < 1.6,
    )
    assert isinstance(verdict.witness, NeverSeen)
    assert verdict.witness.point is not None
    assert np.abs(verdict.witness.point).sum() >= 1.6


def seen(z: np.ndarray, caption: np.ndarray) -> Observations:
    return Observations.of(FAMILY, z=z, caption=caption)


def test_misalignment_names_the_worst_sample():
    z = rng().normal(size=(100, 2))
    caption = rng().integers(0, 2, 100)
    text = z.copy()
    text[17, 1] += 0.5
    verdict = check_lossless(seen(z, caption), z, text, FAMILY.matrix)
    assert isinstance(verdict.witness, Misaligned)
    assert (verdict.witness.sample, verdict.witness.coordinate) == (17, 1)
    assert verdict.witness.difference == pytest.approx(0.5)


def test_a_collapsed_code_is_refuted_and_an_exact_one_is_not():
    z = rng().normal(size=(300, 2))
    caption = rng().integers(0, 2, 300)
    fine = check_lossless(seen(z, caption), z, z, FAMILY.matrix)
    assert fine.answer == "cannot tell"
    nothing = np.zeros((2, 2), dtype=bool)
    verdict = check_lossless(seen(z, caption), z, z, nothing)
    assert verdict.answer == "fails"
    assert isinstance(verdict.witness, Collision)
    assert not np.allclose(verdict.witness.first, verdict.witness.second)


def test_masks_of_exhaustive_solutions_hold_and_spare_ones_fail():
    captions = [{0, 1}, {0, 2}, {1, 2}]
    family = CaptionFamily.from_captions(captions)
    for code in solutions(captions, [1, 1, 1]):
        assert check_sparsest(family, code.masks).answer == "holds"
        assert check_budget(family, code.masks).answer == "holds"
    refuted = 0
    for code in solutions(captions, [1, 1, 1], spare=1):
        assert check_sparsest(family, code.masks).answer == "holds"
        verdict = check_budget(family, code.masks)
        if code.masks.any(axis=0).sum() == 4:
            refuted += 1
            assert isinstance(verdict.witness, Miscounted)
            first, second = verdict.witness.captions
            assert (code.masks[first] & code.masks[second]).sum() == verdict.witness.opened
            assert verdict.witness.opened < verdict.witness.needed
    assert refuted


def test_all_ones_masks_break_the_sparsest():
    verdict = check_sparsest(FAMILY, np.ones((2, 2), dtype=bool))
    assert verdict.witness == Miscounted(captions=(1,), block=frozenset({"b"}), opened=2, needed=1)
    assert check_budget(FAMILY, np.ones((2, 2), dtype=bool)).answer == "holds"


def test_bad_samples_are_refused_by_name():
    z, zeros = np.zeros((10, 2)), np.zeros(10, dtype=int)
    with pytest.raises(InputError, match="z holds NaN"):
        seen(np.full((10, 2), np.nan), zeros)
    with pytest.raises(InputError, match="captions run from 0 to 7"):
        seen(z, np.arange(10) % 8)
    with pytest.raises(InputError, match=r"z has shape \(10, 3\)"):
        seen(np.zeros((10, 3)), zeros)
    with pytest.raises(InputError, match="kind float64"):
        seen(z, np.zeros(10))
    with pytest.raises(InputError, match="the text noise has shape"):
        Observations.of(FAMILY, z=z, caption=zeros, text_noise=np.zeros((9, 1)))
    with pytest.raises(InputError, match="steepest=0"):
        check_support(seen(z, zeros), steepest=0.5)
    with pytest.raises(InputError, match="the image code has shape"):
        check_lossless(seen(z, zeros), z[:5], z[:5], FAMILY.matrix)
    with pytest.raises(InputError, match="without points"):
        check_invertible(smooth)
    with pytest.raises(InputError, match="points beside"):
        check_invertible(SymbolicGenerator.of([X], [X]), np.zeros((3, 1)))
    with pytest.raises(InputError, match="masks has shape"):
        check_budget(FAMILY, np.ones((3, 2), dtype=bool))
    with pytest.raises(InputError, match="1 points"):
        check_invertible(smooth, np.zeros((1, 3)))


def test_each_file_of_a_condition_registers_it():
    """A new condition is a new file: its name in the file's name, itself in the list."""
    files = sorted(path.stem for path in Path(conditions.__file__).parent.glob("c[0-9]*.py"))
    assert [name.split("_")[0].upper() for name in files] == list(CONDITIONS)


class OneSign:
    """Two latents of one sign; the image is (a^2, b), which folds outside the support only."""

    family = CaptionFamily.from_captions([["a", "b"]])

    def sample(self, n: int, *, seed: int) -> Observations:
        generator = np.random.default_rng(seed)
        z = generator.uniform(0.2, 1, size=(n, 2)) * generator.choice([-1, 1], size=(n, 1))
        return Observations.of(self.family, z=z, caption=np.zeros(n, dtype=int))

    def image_of(self, causes: np.ndarray) -> np.ndarray:
        return np.column_stack([causes[:, 0] ** 2, causes[:, 1]])

    def text_of(self, causes: np.ndarray, caption: int) -> np.ndarray:
        return causes

    def supported(self, z: np.ndarray) -> np.ndarray:
        return z.prod(axis=1) > 0


def test_any_world_can_be_checked_and_folds_outside_its_support_do_not_count():
    assert check_invertible(OneSign()).answer == "cannot tell"
    everywhere = OneSign()
    everywhere.supported = lambda z: np.ones(len(z), dtype=bool)  # type: ignore[method-assign]
    assert check_invertible(everywhere).answer == "fails"
    assert check_support(OneSign()).answer == "fails"


def two_modes(rng: np.random.Generator) -> np.ndarray:
    sign = rng.choice([-6.0, 6.0], size=(20_000, 1))
    return sign + rng.normal(size=(20_000, 2))


def along_a_parabola(rng: np.random.Generator) -> np.ndarray:
    a = rng.normal(size=20_000)
    return np.stack([a, a**2 + 0.05 * rng.normal(size=20_000)], axis=1)


@pytest.mark.parametrize("law", [two_modes, along_a_parabola])
def test_a_full_support_with_steep_densities_is_refuted_on_an_assumption_only(law) -> None:
    """Both laws have a positive density everywhere: C2 holds, and no samples can tell."""
    rng = np.random.default_rng(0)
    family = CaptionFamily.from_captions([["a"], ["b"]])
    seen = Observations.of(family, z=law(rng), caption=rng.integers(0, 2, 20_000))
    verdict = check_support(seen)
    assert verdict.answer == "fails"
    assert "20-fold" in verdict.assumption
    assert verdict.assumption in verdict.reason
    known = check_support(seen, supported=lambda points: np.ones(len(points), bool))
    assert (known.answer, known.assumption) == ("cannot tell", "")


def test_what_cannot_occur_is_refuted_without_an_assumption() -> None:
    rng = np.random.default_rng(0)
    family = CaptionFamily.from_captions([["a"], ["b"]])
    z = np.abs(rng.normal(size=(5000, 2))) * rng.choice([-1, 1], size=(5000, 1))
    seen = Observations.of(family, z=z, caption=rng.integers(0, 2, 5000))
    verdict = check_support(seen, supported=lambda points: points.prod(axis=1) >= 0)
    assert (verdict.answer, verdict.assumption) == ("fails", "")

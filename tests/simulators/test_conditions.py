"""Each condition is broken by a switch of the simulators, and only the broken case is refuted."""

from itertools import product

import numpy as np
import pytest
import torch

from simulators import DigitWorld, SceneWorld, VectorWorld
from simulators.breaks import Folded, Quantised, RankLoss, Saturated
from simulators.captions import Contradicting, Hallucinating, ValueDependent, Weighted
from simulators.latents import Flow, Gaussian, GaussianCopula, SharedSign
from simulators.marginals import Laplace, Normal
from simulators.mixings import Smooth
from theory.captions import CaptionFamily
from theory.conditions import (
    Collision,
    Flat,
    Misaligned,
    NeverSeen,
    check_budget,
    check_invertible,
    check_lossless,
    check_sparsest,
    check_support,
)
from theory.recovery.encoders import known_encoders
from theory.world import Observations

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"], ["a", "c"]])
N = 3000


@pytest.mark.parametrize(
    ("kind", "degree"),
    [(Folded, 0.0), *product([Folded, Quantised, RankLoss, Saturated], [0.5, 1.0])],
)
def test_c1_fails_exactly_where_the_mixing_is_broken(kind, degree):
    family = CaptionFamily.from_captions([["a", "b"], ["b"]])
    mixing = kind(Smooth(3), degree=degree)
    world = VectorWorld(family, image_noise=1, image_mixing=mixing, text_noise=0)
    verdict = check_invertible(world)
    if degree == 0:
        assert verdict.answer == "cannot tell"
        return
    assert verdict.answer == "fails"
    assert verdict.reason.startswith("image: ")
    assert_lost(verdict.witness, world.image_of)


def test_c1_fails_where_a_caption_folds():
    world = VectorWorld(FAMILY, text_mixing=Folded(Smooth(8), degree=0.5))
    verdict = check_invertible(world)
    assert verdict.answer == "fails"
    assert verdict.reason.startswith("caption ")
    assert isinstance(verdict.witness, Collision)
    caption = verdict.witness.caption
    silent = np.setdiff1d(np.arange(3), FAMILY.space.columns(FAMILY.captions[caption]))
    assert not verdict.witness.first[silent].any()
    assert_lost(verdict.witness, lambda causes: world.text_of(causes, caption))


def assert_lost(witness, g):
    if isinstance(witness, Collision):
        assert np.abs(witness.first - witness.second).max() > 0.01
        np.testing.assert_allclose(g(witness.first[None]), g(witness.second[None]), atol=1e-5)
    else:
        assert isinstance(witness, Flat)
        moved = witness.point[None] + 1e-4 * witness.direction
        np.testing.assert_allclose(g(moved), g(witness.point[None]), atol=1e-6)


@pytest.mark.parametrize("degree", [0.0, 0.05, 0.5, 1.0])
def test_c2_fails_where_two_concepts_share_a_sign(degree):
    latents = SharedSign([Normal()] * 3, degree=degree)
    world = VectorWorld(FAMILY, latents=latents)
    verdict = check_support(world)
    assert verdict.answer == ("fails" if degree else "cannot tell")
    if degree:
        assert isinstance(verdict.witness, NeverSeen)
        assert not world.supported(verdict.witness.point[None]).any()


@pytest.mark.parametrize("degree", [0.0, 0.2, 0.5, 1.0])
def test_c2_fails_where_values_choose_the_caption(degree):
    world = VectorWorld(ValueDependent(FAMILY, degree=degree))
    verdict = check_support(world)
    assert verdict.answer == ("fails" if degree else "cannot tell")
    if degree:
        assert isinstance(verdict.witness, NeverSeen)
        rank = world.latents.rank(torch.from_numpy(verdict.witness.point[None])).item()
        second = verdict.witness.caption == 2
        assert (rank < degree / 2) if second else (degree / 2 <= rank < degree)


@pytest.mark.parametrize("degree", [0.0, 0.1, 0.5, 1.0])
def test_c2_fails_where_the_noise_is_shared(degree):
    verdict = check_support(VectorWorld(FAMILY, shared_noise=degree))
    assert verdict.answer == ("fails" if degree else "cannot tell")
    if degree:
        assert "image noise" in verdict.reason
        assert "text noise" in verdict.reason


def test_c2_raises_no_false_alarm_where_it_holds():
    """Level 0.001 each, on worlds with dependence of several kinds."""
    laws = [
        (Gaussian(3, dependence=0.9), 1),
        (GaussianCopula([Laplace()] * 3, dependence=0.8), 1),
        (Flow(3), 1),
        (None, 3),
    ]
    for law, seeds in laws:
        for seed in range(seeds):
            assert check_support(VectorWorld(FAMILY, latents=law), seed=seed).answer != "fails"


@pytest.mark.parametrize("world", [DigitWorld, SceneWorld])
def test_discrete_worlds_have_no_open_domain(world):
    assert check_invertible(world()).answer == "cannot tell"
    verdict = check_support(world())
    assert verdict.answer == "fails"
    assert "between 0 and 1" in verdict.reason
    assert not world().supported(verdict.witness.point[None]).any()


@pytest.mark.parametrize("process", [Contradicting, Hallucinating])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5])
def test_c3_fails_for_the_true_code_where_captions_are_false(process, rate):
    world = VectorWorld(process(Weighted(FAMILY), rate=rate))
    batch = world.sample(N, seed=0)
    z = batch.z.double().numpy()
    said = world.truth.text.inverse(batch.text.double())[:, : FAMILY.dimension].numpy()
    verdict = check_lossless(
        Observations.from_world(world, N, seed=0),
        z,
        said,
        world.family.dimension_masks,
        tolerance=1e-4,
    )
    assert verdict.answer == ("fails" if rate else "cannot tell")
    if rate:
        assert isinstance(verdict.witness, Misaligned)
        assert world.mentions(N, seed=0).false[verdict.witness.sample, verdict.witness.coordinate]


def test_c4_and_c5_are_broken_by_codes_and_hold_for_the_true_one():
    """No world breaks C4 or C5: they speak of the code. Known codes stand in."""
    codes = {encoder.name: encoder.masks for encoder in known_encoders(FAMILY, seed=0)}
    assert check_sparsest(FAMILY, codes["oracle"]).answer == "holds"
    assert check_budget(FAMILY, codes["oracle"]).answer == "holds"
    copied = check_budget(FAMILY, codes["two copies, captions divided"])
    assert copied.answer == "fails"
    assert copied.witness.opened != copied.witness.needed
    redundant = np.hstack([codes["oracle"], codes["oracle"][:, :1]])
    assert check_sparsest(FAMILY, redundant).answer == "fails"

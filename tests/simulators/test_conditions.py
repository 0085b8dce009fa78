"""Each condition is broken by a switch of the simulators, and only the broken case is refuted."""

from itertools import product

import numpy as np
import pytest
import torch

from simulators import VectorWorld
from simulators.breaks import Folded, Quantised, RankLoss, Saturated
from simulators.captions import Contradicting, Hallucinating, ValueDependent, Weighted
from simulators.latents import SharedSign
from simulators.marginals import Normal
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

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"], ["a", "c"]])
N = 3000


def generator(world):
    return lambda x: world.truth.image(torch.from_numpy(x)).numpy()


def causes(world, n=400):
    batch = world.sample(n, seed=0)
    return torch.cat([batch.z, batch.image_noise], dim=1).double().numpy()


@pytest.mark.parametrize(
    ("kind", "degree"),
    [(Folded, 0.0), *product([Folded, Quantised, RankLoss, Saturated], [0.5, 1.0])],
)
def test_c1_fails_exactly_where_the_mixing_is_broken(kind, degree):
    world = VectorWorld(
        FAMILY, image_noise=1, image_mixing=kind(Smooth(4), degree=degree), text_noise=1
    )
    verdict = check_invertible(generator(world), causes(world))
    if degree == 0:
        assert verdict.answer == "cannot tell"
        return
    assert verdict.answer == "fails"
    g = generator(world)
    if isinstance(verdict.witness, Collision):
        first, second = verdict.witness.first, verdict.witness.second
        assert np.abs(first - second).max() > 0.01
        np.testing.assert_allclose(g(first[None]), g(second[None]), atol=1e-5)
    else:
        assert isinstance(verdict.witness, Flat)
        step = 1e-4 * verdict.witness.direction
        np.testing.assert_allclose(
            g(verdict.witness.point[None] + step), g(verdict.witness.point[None]), atol=1e-6
        )


def support(world):
    batch = world.sample(N, seed=0)
    law = world.latents
    return check_support(
        world.family,
        batch.z.double().numpy(),
        batch.caption.numpy(),
        image_noise=batch.image_noise.double().numpy(),
        text_noise=batch.text_noise.double().numpy(),
        supported=lambda z: (law.log_density(torch.from_numpy(z)) > -np.inf).numpy(),
    )


@pytest.mark.parametrize("degree", [0.0, 0.2, 1.0])
def test_c2_fails_where_two_concepts_share_a_sign(degree):
    latents = SharedSign([Normal()] * 3, degree=degree)
    verdict = support(VectorWorld(FAMILY, latents=latents))
    assert verdict.answer == ("fails" if degree else "cannot tell")
    if degree:
        assert isinstance(verdict.witness, NeverSeen)
        point = torch.from_numpy(verdict.witness.point)[None]
        assert latents.log_density(point).item() == -np.inf


@pytest.mark.parametrize("degree", [0.0, 0.95, 1.0])
def test_c2_fails_where_values_choose_the_caption(degree):
    verdict = support(VectorWorld(ValueDependent(FAMILY, degree=degree)))
    assert verdict.answer == ("fails" if degree else "cannot tell")
    if degree:
        assert "caption" in verdict.reason


@pytest.mark.parametrize("degree", [0.0, 0.5, 1.0])
def test_c2_fails_where_the_noise_is_shared(degree):
    verdict = support(VectorWorld(FAMILY, shared_noise=degree))
    assert verdict.answer == ("fails" if degree else "cannot tell")
    if degree:
        assert "noise" in verdict.reason


@pytest.mark.parametrize("process", [Contradicting, Hallucinating])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5])
def test_c3_fails_for_the_true_code_where_captions_are_false(process, rate):
    world = VectorWorld(process(Weighted(FAMILY), rate=rate))
    batch = world.sample(N, seed=0)
    z = batch.z.double().numpy()
    said = world.truth.text.inverse(batch.text.double())[:, : FAMILY.dimension].numpy()
    verdict = check_lossless(
        world.family,
        z,
        batch.caption.numpy(),
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

import math

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import stats

from simulators.latents import (
    Causal,
    Flow,
    Gaussian,
    GaussianCopula,
    Independent,
    SharedSign,
)
from simulators.marginals import Discrete, Laplace, Mixture, Normal, Uniform
from simulators.randomness import Stream, uniforms
from theory.errors import InputError

CHAIN = nx.DiGraph([("a", "b"), ("b", "c")])
FORK = nx.DiGraph([("a", "b"), ("a", "c"), ("b", "c")])
LAWS = {
    "normal": lambda: Gaussian(3),
    "one factor": lambda: Gaussian(3, dependence=0.6),
    "independent": lambda: Independent([Laplace(), Uniform(), Mixture()]),
    "copula": lambda: GaussianCopula([Laplace(), Uniform(), Mixture()], dependence=0.6),
    "flow": lambda: Flow(3),
    "linear causes": lambda: Causal(CHAIN, list("abc"), sizes={"b": 2}, noise=Laplace()),
    "nonlinear causes": lambda: Causal(FORK, list("cab"), sizes={"a": 2}, nonlinear=True),
    "intervention": lambda: Causal(FORK, list("abc"), nonlinear=True).do({"b": 1.0}),
    "shared sign": lambda: SharedSign([Normal(), Laplace(), Uniform()], degree=0.5),
    "no shared sign": lambda: SharedSign([Normal(), Normal()], degree=0.0),
    "one sign": lambda: SharedSign([Normal(), Laplace()], degree=1.0, pair=(1, 0)),
}
N = 100_000


def draw(law, seed=0, n=N):
    return law.from_uniforms(uniforms(n, law.uniforms, seed=seed, stream=Stream.LATENTS))


@pytest.mark.parametrize("name", LAWS)
def test_samples_follow_the_exact_density(name):
    """P(box) from samples and as the integral of exp(log_density); each band is 5 deviations."""
    law = LAWS[name]()
    z = draw(law)
    low, high = z.quantile(0.15, dim=0), z.quantile(0.85, dim=0)
    cube = torch.tensor(stats.qmc.Sobol(law.dimension, rng=0).random_base2(13))
    volume = (high - low).prod()
    for side in range(4):
        # The box, and its halves and quarters along the first two coordinates.
        a, b = low.clone(), high.clone()
        middle = (low + high) / 2
        if side & 1:
            a[0] = middle[0]
        if side & 2:
            b[1] = middle[1]
        part = volume * ((b - a) / (high - low)).prod()
        integral = law.log_density(a + cube * (b - a)).exp().mean().item() * part.item()
        found = ((z > a) & (z < b)).all(1).double().mean().item()
        assert found == pytest.approx(integral, abs=5 * math.sqrt(integral / N) + 1e-3)


@pytest.mark.parametrize("name", LAWS)
def test_the_density_integrates_to_one(name):
    """E_q[p / q] = 1 for a wide reference law q; the band is 5 standard errors."""
    law = LAWS[name]()
    sobol = stats.qmc.Sobol(law.dimension, rng=1).random_base2(14)
    spread = 2.0
    x = torch.tensor(stats.t(4, scale=spread).ppf(sobol.clip(1e-12, 1 - 1e-12)))
    log_q = torch.tensor(stats.t(4, scale=spread).logpdf(x.numpy()).sum(1))
    ratio = (law.log_density(x) - log_q).exp()
    assert ratio.mean().item() == pytest.approx(
        1, abs=5 * ratio.std().item() / math.sqrt(len(ratio)) + 1e-3
    )


@pytest.mark.parametrize("name", LAWS)
def test_the_rank_is_uniform_and_a_function_of_z(name):
    law = LAWS[name]()
    z = draw(law, seed=1, n=20_000)
    rank = law.rank(z)
    assert stats.kstest(rank.numpy(), "uniform").pvalue > 1e-4
    torch.testing.assert_close(rank[:7], law.rank(z[:7]))


@pytest.mark.parametrize("name", LAWS)
def test_samples_lie_in_the_declared_support(name):
    law = LAWS[name]()
    z = draw(law, n=2000)
    assert len(law.support) == law.dimension == z.shape[1]
    for column, support in zip(z.T, law.support, strict=True):
        assert float(support.inf) < column.min()
        assert column.max() < float(support.sup)
    assert torch.isfinite(law.log_density(z)).all()


def test_one_factor_gives_the_correlation_asked_for():
    z = draw(Gaussian(4, dependence=0.6))
    correlation = torch.corrcoef(z.T)[~torch.eye(4, dtype=torch.bool)]
    assert (correlation - 0.6).abs().max() < 0.02
    torch.testing.assert_close(z.std(0), torch.ones(4).double(), atol=0.02, rtol=0)


def test_the_gaussian_density_agrees_with_scipy():
    law = Gaussian(3, dependence=0.4)
    z = draw(law, n=50)
    reference = stats.multivariate_normal(np.zeros(3), law.covariance.numpy())
    torch.testing.assert_close(law.log_density(z), torch.tensor(reference.logpdf(z.numpy())))


def test_discrete_and_continuous_concepts_mix():
    law = Independent([Discrete.evenly(3), Normal()])
    z = draw(law, n=5000)
    assert set(z[:, 0].tolist()) == {0.0, 1.0, 2.0}
    torch.testing.assert_close(law.log_density(z), Normal().log_density(z[:, 1]) - math.log(3))
    assert stats.kstest(law.rank(z).numpy(), "uniform").pvalue > 1e-4
    with pytest.raises(InputError, match="continuous"):
        Independent([Discrete.evenly(3)]).rank(z[:, :1])


def test_an_intervention_cuts_the_causes_and_keeps_the_effects():
    law = Causal(CHAIN, list("abc"), strength=2.0)
    cut = law.do({"b": 3.0})
    before, after = draw(law, n=20_000), draw(cut, n=20_000)
    assert abs(torch.corrcoef(before.T)[0, 1]) > 0.3
    assert abs(torch.corrcoef(after.T)[0, 1]) < 0.04
    assert abs(torch.corrcoef(after.T)[1, 2]) > 0.3
    assert after[:, 1].mean().item() == pytest.approx(3, abs=0.05)
    assert torch.equal(before[:, 0], after[:, 0])
    assert law.interventions == {}


@pytest.mark.parametrize("degree", [0.0, 0.3, 1.0])
def test_a_shared_sign_excludes_exactly_its_region(degree):
    law = SharedSign([Normal(), Normal()], degree=degree)
    assert law.product == (degree == 0)
    ranks = 2 * torch.special.ndtr(draw(law)) - 1
    opposite = ranks.prod(1) < 0
    far = ranks.abs().amax(1) > 1 - degree
    assert not (opposite & far).any()
    expected = 0.5 * (1 - degree) ** 2
    assert opposite.double().mean().item() == pytest.approx(expected, abs=0.01)
    for column in ranks.T:
        assert stats.kstest(column[:20_000].numpy() / 2 + 0.5, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Gaussian(2, dependence=1.0), "dependence"),
        (lambda: GaussianCopula([Discrete.evenly(2)], dependence=0.1), "discrete"),
        (lambda: Causal(nx.DiGraph([("a", "b"), ("b", "a")]), "ab"), "cycle"),
        (lambda: Causal(CHAIN, list("ab")), "nodes"),
        (lambda: Causal(CHAIN, list("abc"), noise=Uniform()), "bounded"),
        (lambda: Causal(CHAIN, list("abc")).do({"x": 0.0}), "intervention"),
        (lambda: SharedSign([Normal()] * 2, degree=1.5), "degree"),
        (lambda: SharedSign([Normal()] * 2, degree=0.5, pair=(0, 0)), "pair"),
        (lambda: SharedSign([Normal(), Discrete.evenly(2)], degree=0.5), "discrete"),
    ],
)
def test_bad_laws_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()

"""z_I ~ p(z), with the exact density and the declared support.

Condition C2 asks for a positive density on a product of open connected sets (SmartCLIP, CVPR 2025,
Condition 4.2-ii). The concepts may be dependent.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy

import networkx as nx
import sympy
import torch
from jaxtyping import Float
from torch import Tensor

from simulators.marginals import REALS, Marginal, Normal
from simulators.mixings import Autoregressive
from simulators.randomness import LARGEST_UNIFORM
from theory.concepts import Concept
from theory.errors import InputError


class Latents(ABC):
    """A law on R^d that turns uniforms into samples.

    Attributes:
        dimension: d.
        uniforms: how many uniforms one sample takes.
        support: per coordinate, an open interval or a finite set.
        product: the support is the product of those; if not, C2 fails.
    """

    dimension: int
    uniforms: int
    support: tuple[sympy.Set, ...]
    product: bool = True

    @abstractmethod
    def from_uniforms(self, u: Float[Tensor, "n w"]) -> Float[Tensor, "n d"]:
        """z, one row for each row of independent uniforms on (0, 1)."""

    @abstractmethod
    def log_density(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """log p(z), exact; -inf outside the support."""

    @abstractmethod
    def rank(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """A continuous function of z whose law is uniform on (0, 1).

        Raises:
            InputError: no coordinate is continuous.
        """


class Gaussian(Latents):
    """z_j = sqrt(r) c + sqrt(1 - r) e_j: standard normals, each pair with correlation r.

    Args:
        dimension: d.
        dependence: r in [0, 1); 0 makes the coordinates independent.

    >>> law = Gaussian(3, dependence=0.6)
    >>> law.covariance[0]
    tensor([1.0000, 0.6000, 0.6000], dtype=torch.float64)
    """

    def __init__(self, dimension: int, *, dependence: float = 0.0) -> None:
        self.dimension = self.uniforms = dimension
        self.dependence = dependence
        self.covariance = _one_factor(dimension, dependence)
        self.support = (REALS,) * dimension
        self._root = torch.linalg.cholesky(self.covariance)

    def from_uniforms(self, u: Float[Tensor, "n w"]) -> Float[Tensor, "n d"]:
        normal = torch.special.ndtri(u)
        return normal @ self._root.T if self.dependence else normal

    def log_density(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        return _log_normal(z, self._root)

    def rank(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        return torch.special.ndtr(z[:, 0])


class Independent(Latents):
    """p(z) = prod_j p_j(z_j), continuous, discrete or mixed.

    Args:
        marginals: p_1, ..., p_d.
    """

    def __init__(self, marginals: Sequence[Marginal]) -> None:
        self.marginals = tuple(marginals)
        self.dimension = self.uniforms = len(self.marginals)
        self.support = tuple(marginal.support for marginal in self.marginals)

    def from_uniforms(self, u: Float[Tensor, "n w"]) -> Float[Tensor, "n d"]:
        columns = zip(self.marginals, u.unbind(1), strict=True)
        return torch.stack([marginal.quantile(column) for marginal, column in columns], dim=1)

    def log_density(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        columns = zip(self.marginals, z.unbind(1), strict=True)
        return torch.stack([marginal.log_density(column) for marginal, column in columns]).sum(0)

    def rank(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        for marginal, column in zip(self.marginals, z.unbind(1), strict=True):
            if marginal.continuous:
                return marginal.cumulative(column)
        raise InputError(
            "latents without a continuous coordinate",
            rule="a rank that is uniform on (0, 1) needs a continuous coordinate",
            fix="make one coordinate continuous",
        )


class GaussianCopula(Latents):
    """z_j = F_j^-1(Phi(x_j)), x normal with correlation r between all pairs: any marginals.

    Args:
        marginals: continuous p_1, ..., p_d.
        dependence: r in [0, 1).
    """

    def __init__(self, marginals: Sequence[Marginal], *, dependence: float) -> None:
        if not all(marginal.continuous for marginal in marginals):
            raise InputError(
                "a discrete marginal in a copula",
                rule="the copula's density is exact for continuous marginals only",
                fix="use Independent, or continuous marginals",
            )
        self.marginals = tuple(marginals)
        self.dimension = self.uniforms = len(self.marginals)
        self.dependence = dependence
        self.support = tuple(marginal.support for marginal in self.marginals)
        self._root = torch.linalg.cholesky(_one_factor(self.dimension, dependence))

    def from_uniforms(self, u: Float[Tensor, "n w"]) -> Float[Tensor, "n d"]:
        ranks = torch.special.ndtr(torch.special.ndtri(u) @ self._root.T)
        return self._independent().from_uniforms(ranks.clamp(1 - LARGEST_UNIFORM, LARGEST_UNIFORM))

    def log_density(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        columns = zip(self.marginals, z.unbind(1), strict=True)
        ranks = torch.stack([marginal.cumulative(column) for marginal, column in columns], dim=1)
        x = torch.special.ndtri(ranks.clamp(1 - LARGEST_UNIFORM, LARGEST_UNIFORM))
        copula = _log_normal(x, self._root) - Normal().log_density(x).sum(1)
        return copula + self._independent().log_density(z)

    def rank(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        return self.marginals[0].cumulative(z[:, 0])

    def _independent(self) -> Independent:
        return Independent(self.marginals)


class Flow(Latents):
    """z = T(e), e standard normal, T two autoregressive rational-quadratic splines.

    A density on R^d with dependence of no simple form.

    Args:
        dimension: d, at least 2.
        strength: 0 gives standard normals; 1 a clearly dependent, skewed law.
        seed: of the splines.
    """

    def __init__(self, dimension: int, *, strength: float = 1.0, seed: int = 0) -> None:
        self.dimension = self.uniforms = dimension
        self.support = (REALS,) * dimension
        self._transform = Autoregressive(dimension, seed=seed, strength=strength)

    def from_uniforms(self, u: Float[Tensor, "n w"]) -> Float[Tensor, "n d"]:
        return self._transform(torch.special.ndtri(u))

    def log_density(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        e = self._transform.inverse(z)
        return Normal().log_density(e).sum(1) - self._transform.log_volume(e)

    def rank(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        return torch.special.ndtr(self._transform.inverse(z)[:, 0])


class Causal(Latents):
    """z_k = sum over parents j of M_jk f(z_j) + e_k along a directed acyclic graph of concepts.

    f is the identity, or tanh(2 z) if `nonlinear`. The noise is positive everywhere, so the
    support is a product however strong the edges are, and C2 holds.

    Args:
        graph: nodes are concepts; an edge j -> k makes j a cause of k.
        concepts: the order in which the concepts are laid out.
        sizes: d_k, 1 where silent.
        strength: size of the effects.
        nonlinear: see above.
        noise: law of each coordinate of e_k.
        interventions: concepts cut from their parents, each with the mean of its new law:
            z_k = value + e_k.
        seed: of the effects M_jk.

    Raises:
        InputError: the graph has a cycle, or its nodes are not the concepts.
    """

    def __init__(
        self,
        graph: nx.DiGraph,
        concepts: Sequence[Concept],
        *,
        sizes: Mapping[Concept, int] | None = None,
        strength: float = 1.0,
        nonlinear: bool = False,
        noise: Marginal | None = None,
        interventions: Mapping[Concept, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.interventions = dict(interventions or {})
        if set(graph) != set(concepts) or not set(self.interventions) <= set(concepts):
            raise InputError(
                f"a graph of {len(graph)} nodes for {len(concepts)} concepts",
                rule="the nodes of the graph, and the targets of interventions, are the concepts",
                fix="add or rename nodes",
            )
        if not nx.is_directed_acyclic_graph(graph):
            raise InputError(
                f"the cycle {nx.find_cycle(graph)}",
                rule="causes come before effects",
                fix="remove one of its edges",
            )
        self.noise = Normal() if noise is None else noise
        if not self.noise.support == REALS:
            raise InputError(
                "noise with a bounded support",
                rule="the support is a product only if the noise is positive everywhere",
                fix="use Normal, Laplace or Mixture",
            )
        self.graph = graph
        self.nonlinear = nonlinear
        width = {k: 1 if sizes is None else sizes.get(k, 1) for k in concepts}
        self.dimension = self.uniforms = sum(width.values())
        self.support = (REALS,) * self.dimension
        starts = torch.tensor([0, *width.values()]).cumsum(0).tolist()
        self._columns = {
            k: slice(start, start + width[k]) for k, start in zip(concepts, starts, strict=False)
        }
        self._order = list(nx.lexicographical_topological_sort(graph, key=list(concepts).index))
        generator = torch.Generator().manual_seed(seed)
        self._effects: dict[tuple[Concept, Concept], Tensor] = {}
        for j in self._order:
            for k in sorted(graph.successors(j), key=list(concepts).index):
                effect = torch.randn(width[j], width[k], generator=generator, dtype=torch.float64)
                self._effects[j, k] = strength * effect / math.sqrt(width[j])

    def do(self, interventions: Mapping[Concept, float]) -> "Causal":
        """The same mechanisms with further concepts cut from their parents."""
        unknown = set(interventions) - set(self._columns)
        if unknown:
            raise InputError(
                f"an intervention on {sorted(map(str, unknown))}",
                rule="interventions name concepts of the graph",
                fix=f"use some of {sorted(map(str, self._columns))}",
            )
        cut = copy(self)
        cut.interventions = self.interventions | dict(interventions)
        return cut

    def _mean(self, z: Float[Tensor, "n d"], k: Concept) -> Float[Tensor, "n k"]:
        columns = self._columns[k]
        mean = torch.zeros_like(z[:, columns])
        if k in self.interventions:
            return mean + self.interventions[k]
        for j in self.graph.predecessors(k):
            cause = z[:, self._columns[j]]
            mean = mean + (torch.tanh(2 * cause) if self.nonlinear else cause) @ self._effects[j, k]
        return mean

    def from_uniforms(self, u: Float[Tensor, "n w"]) -> Float[Tensor, "n d"]:
        z = self.noise.quantile(u)
        for k in self._order:
            z[:, self._columns[k]] += self._mean(z, k)
        return z

    def log_density(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        terms = [
            self.noise.log_density(z[:, columns] - self._mean(z, k)).sum(1)
            for k, columns in self._columns.items()
        ]
        return torch.stack(terms).sum(0)

    def rank(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        root = self._order[0]
        return self.noise.cumulative((z[:, self._columns[root]] - self._mean(z, root))[:, 0])


class SharedSign(Latents):
    """Breaks C2: z_a and z_b never lie on different sides of their medians, on a growing region.

    With a = |2 F(z_a) - 1| and b = |2 F(z_b) - 1|, opposite sides are impossible where
    max(a, b) > 1 - degree; the mass goes to the mirror image of z_b. At 0 the coordinates are
    independent, at 1 they share a sign, which two captions {a} and {b} then both tell. The
    marginals never change.

    Args:
        marginals: continuous p_1, ..., p_d.
        pair: the two coordinates.
        degree: 0 (C2 holds) to 1.
    """

    def __init__(
        self, marginals: Sequence[Marginal], *, degree: float, pair: tuple[int, int] = (0, 1)
    ) -> None:
        self._free = Independent(marginals)
        if not 0 <= degree <= 1:
            raise InputError(
                f"degree={degree}",
                rule="a condition is broken by a degree from 0 (holds) to 1",
                fix="give 0 <= degree <= 1",
            )
        if len(set(pair)) != 2 or not all(0 <= j < len(marginals) for j in pair):
            raise InputError(
                f"pair={pair} of {len(marginals)} coordinates",
                rule="two different coordinates share a sign",
                fix="name two coordinates of z",
            )
        if not all(marginals[j].continuous for j in pair):
            raise InputError(
                "a discrete coordinate in the pair",
                rule="the two coordinates have a median that splits their mass",
                fix="give the pair continuous marginals",
            )
        self.pair = pair
        self.degree = degree
        self.dimension = self.uniforms = len(marginals)
        self.support = self._free.support
        self.product = degree == 0

    def _forbidden(self, u: Float[Tensor, "n d"]) -> Tensor:
        a, b = (2 * u[:, j] - 1 for j in self.pair)
        return (a * b < 0) & (torch.maximum(a.abs(), b.abs()) > 1 - self.degree)

    def _ranks(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        ranks = torch.full_like(z, 0.5)
        for j in self.pair:
            ranks[:, j] = self._free.marginals[j].cumulative(z[:, j])
        return ranks

    def from_uniforms(self, u: Float[Tensor, "n w"]) -> Float[Tensor, "n d"]:
        u = u.clone()
        j = self.pair[1]
        u[:, j] = torch.where(self._forbidden(u), 1 - u[:, j], u[:, j])
        return self._free.from_uniforms(u)

    def log_density(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        ranks = self._ranks(z)
        mirrored = ranks.clone()
        mirrored[:, self.pair[1]] = 1 - ranks[:, self.pair[1]]
        gain = torch.where(self._forbidden(mirrored), math.log(2), 0.0)
        gain = gain.masked_fill(self._forbidden(ranks), -math.inf)
        return self._free.log_density(z) + gain

    def rank(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        return self._free.rank(z)


def _one_factor(dimension: int, dependence: float) -> Float[Tensor, "d d"]:
    if not 0 <= dependence < 1:
        raise InputError(
            f"dependence={dependence}",
            rule="a common factor explains a share of the variance, and not all of it",
            fix="give 0 <= dependence < 1",
        )
    identity = torch.eye(dimension, dtype=torch.float64)
    return (1 - dependence) * identity + dependence


def _log_normal(x: Float[Tensor, "n d"], root: Float[Tensor, "d d"]) -> Float[Tensor, " n"]:
    """log N(x; 0, R R^T)."""
    white = torch.linalg.solve_triangular(root, x.T, upper=False)
    constant = root.diagonal().log().sum() + 0.5 * len(root) * math.log(2 * math.pi)
    return -0.5 * white.square().sum(0) - constant

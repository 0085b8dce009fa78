"""Encoders made to mislead a verdict of recovery, each with the truth known by construction.

Four concepts in two captions, {a, b} and {a, c}; a has two dimensions. The coordinates of each
concept k are zhat_k = f_k(z_k; z_j for j in reads_k). For the masks of an oracle (derived here):

    B is identified  iff  for every k in B: f_k is injective in z_k whatever the z_j,
                          reads_k lies within B, and nothing random enters f_k.

Laws are heavy-tailed, far apart or bounded; maps are steep, rough, or keep the law of the code.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from theory import CaptionFamily, Concept

FAMILY = CaptionFamily.from_captions([["a", "b"], ["a", "c"]], sizes={"a": 2})
DEPENDENCE = 0.6

Column = Float[np.ndarray, " n"]
Law = Callable[[Column], Column]
"""Takes a standard normal sample; monotone, so the rank of every sample is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latents:
    """One sample by concept, and what is random beside it."""

    a: Column
    second: Column
    b: Column
    c: Column
    noise: Column


Made = tuple[Column, Column, Column, Column]


@dataclass(frozen=True, kw_only=True, slots=True)
class Map:
    """How the code is made of the latents.

    Attributes:
        name: what it does.
        code: the coordinates of a (two), b and c.
        lost: the concepts that their own coordinates do not determine, or that noise enters.
        reads: further concepts that the coordinates of a concept depend on.
        unseen: why no verdict at this sample size can see the fault; empty if one can.
    """

    name: str
    code: Callable[[Latents], Made]
    lost: frozenset[Concept] = frozenset()
    reads: tuple[tuple[Concept, Concept], ...] = ()
    unseen: str = ""

    def identifies(self, block: Iterable[Concept]) -> bool:
        """The truth about a block under the masks of an oracle."""
        inside = set(block)
        return not inside & self.lost and all(j in inside for k, j in self.reads if k in inside)


@dataclass(frozen=True, kw_only=True, slots=True)
class Adversary:
    """A law of the latents with a map that makes the code."""

    law: str
    map: Map
    dependent: bool

    @property
    def name(self) -> str:
        return f"{self.map.name}, {self.law}{', dependent' if self.dependent else ''}"

    def sample(
        self, rows: int, *, seed: int
    ) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, "n 4"]]:
        """z and zhat."""
        rng = np.random.default_rng(seed)
        strength = DEPENDENCE if self.dependent else 0.0
        own = (1 - strength) ** 0.5 * rng.normal(size=(rows, 4))
        normal = own + strength**0.5 * rng.normal(size=(rows, 1))
        z = np.stack([LAWS[self.law](column) for column in normal.T], 1)
        a, second, b, c = z.T
        known = Latents(a=a, second=second, b=b, c=c, noise=rng.normal(size=rows))
        return z, np.stack(self.map.code(known), 1)


def _far_modes(x: Column) -> Column:
    """(N(-10, 0.1^2) + N(10, 0.1^2)) / 2, by its quantiles: half of the ranks in either mode."""
    p = ndtr(x).clip(1e-15, 1 - 1e-15)
    within = ndtri((2 * p % 1).clip(1e-15, 1 - 1e-15))
    return np.where(p < 0.5, -10.0, 10.0) + 0.1 * within


def _student(x: Column) -> Column:
    from scipy.stats import t

    return t.ppf(ndtr(x).clip(1e-15, 1 - 1e-15), 1.5)


LAWS: dict[str, Law] = {
    "normal": lambda x: x,
    "uniform": lambda x: 2 * ndtr(x) - 1,
    "Cauchy": lambda x: np.tan(np.pi * (ndtr(x).clip(1e-12, 1 - 1e-12) - 0.5)),
    "t(1.5)": _student,
    "lognormal": np.exp,
    "Pareto": lambda x: ndtr(-x) ** (-1 / 1.2),
    "exp(4 normal)": lambda x: np.exp(4 * x),
    "modes at -10 and 10": _far_modes,
    "arcsine": lambda x: np.sin(np.pi * (ndtr(x) - 0.5)),
    "exponential": lambda x: -np.log(ndtr(-x)),
}


def _scaled(x: Column) -> Column:
    """To ranks between -1 and 1: what a map of bounded reach needs of any law."""
    return 2 * x.argsort().argsort() / len(x) - 1


def _each(bend: Callable[[Column], Column]) -> Callable[[Latents], Made]:
    return lambda z: (bend(z.a), bend(z.second), bend(z.b), bend(z.c))


def _rank(x: Column) -> Column:
    """Normal scores of the sample: the same strictly increasing map for all rows."""
    return ndtri((x.argsort().argsort() + 0.5) / len(x))


MONOTONE = (
    Map(name="identity", code=_each(lambda x: x)),
    Map(name="minus the cube", code=_each(lambda x: -(x**3))),
    Map(name="squashed", code=_each(lambda x: np.tanh(3 * _rank(x)))),
    Map(name="steep at one point", code=_each(lambda x: _rank(x) + 10 * ndtr(20 * _rank(x)))),
    Map(name="stretched tails", code=_each(lambda x: np.sinh(3 * _rank(x)))),
)

FAITHFUL = (
    Map(
        name="a turned in itself",
        code=lambda z: (0.6 * z.a + 0.8 * z.second, 0.8 * z.a - 0.6 * z.second, z.b, z.c),
    ),
    Map(
        name="a sheared by a smooth function",
        code=lambda z: (z.a + np.sin(2 * z.second), z.second, z.b, z.c),
    ),
    Map(
        name="a sheared by sin 6 z",
        code=lambda z: (z.a + np.sin(6 * z.second), z.second, z.b, z.c),
    ),
    Map(
        name="a sheared by sin 20 z",
        code=lambda z: (z.a + np.sin(20 * z.second), z.second, z.b, z.c),
    ),
    Map(
        name="a sheared by sin 60 z, tenfold",
        code=lambda z: (z.a + 10 * np.sin(60 * z.second), z.second, z.b, z.c),
    ),
    Map(
        name="a wound on a ring, the seam open",
        code=lambda z: (
            np.exp(0.3 * z.a) * np.cos(3 * _scaled(z.second)),
            np.exp(0.3 * z.a) * np.sin(3 * _scaled(z.second)),
            z.b,
            z.c,
        ),
    ),
    Map(
        name="b scaled by a",
        code=lambda z: (z.a, z.second, z.b * np.exp(0.5 * z.a), z.c),
        reads=(("b", "a"),),
    ),
    Map(
        name="b shifted by sin 6 a",
        code=lambda z: (z.a, z.second, z.b + np.sin(6 * z.a), z.c),
        reads=(("b", "a"),),
    ),
    Map(
        name="b reflected by the sign of a",
        code=lambda z: (z.a, z.second, np.where(_rank(z.a) > 0, 1.0, -1.0) * _rank(z.b), z.c),
        reads=(("b", "a"),),
    ),
)

FAULTS = (
    Map(
        name="b folded",
        code=lambda z: (z.a, z.second, np.abs(_rank(z.b)), z.c),
        lost=frozenset({"b"}),
    ),
    Map(
        name="the sign of b",
        code=lambda z: (z.a, z.second, np.sign(_rank(z.b)), z.c),
        lost=frozenset({"b"}),
    ),
    Map(
        name="b in four steps",
        code=lambda z: (z.a, z.second, np.floor(2 * _scaled(z.b)), z.c),
        lost=frozenset({"b"}),
    ),
    Map(
        name="b modulo a quarter of its range",
        code=lambda z: (z.a, z.second, _scaled(z.b) % 0.5, z.c),
        lost=frozenset({"b"}),
    ),
    Map(
        name="a squared as a complex number",
        code=lambda z: (
            _rank(z.a) ** 2 - _rank(z.second) ** 2,
            2 * _rank(z.a) * _rank(z.second),
            z.b,
            z.c,
        ),
        lost=frozenset({"a"}),
    ),
    Map(
        name="a twice, its second half lost",
        code=lambda z: (z.a, -(z.a**3), z.b, z.c),
        lost=frozenset({"a"}),
    ),
    Map(name="b is noise", code=lambda z: (z.a, z.second, z.noise, z.c), lost=frozenset({"b"})),
    Map(
        name="b with half noise",
        code=lambda z: (z.a, z.second, _rank(z.b) + z.noise, z.c),
        lost=frozenset({"b"}),
    ),
    Map(
        name="b is c",
        code=lambda z: (z.a, z.second, z.c, z.c),
        lost=frozenset({"b"}),
        reads=(("b", "c"),),
    ),
    Map(
        name="b plus c",
        code=lambda z: (z.a, z.second, _rank(z.b) + _rank(z.c), z.c),
        reads=(("b", "c"),),
    ),
    Map(
        name="b plus 0.4 c",
        code=lambda z: (z.a, z.second, _rank(z.b) + 0.4 * _rank(z.c), z.c),
        reads=(("b", "c"),),
    ),
    Map(
        name="b plus 0.4 sign of c",
        code=lambda z: (z.a, z.second, _rank(z.b) + 0.4 * np.sign(_rank(z.c)), z.c),
        reads=(("b", "c"),),
    ),
    Map(
        name="b plus sin 20 c",
        code=lambda z: (z.a, z.second, _rank(z.b) + np.sin(20 * _rank(z.c)), z.c),
        reads=(("b", "c"),),
    ),
    Map(
        name="b scaled by c",
        code=lambda z: (z.a, z.second, _rank(z.b) * np.exp(0.7 * _rank(z.c)), z.c),
        reads=(("b", "c"),),
    ),
    Map(
        name="b reflected by the sign of c",
        code=lambda z: (z.a, z.second, _rank(z.b) * np.sign(_rank(z.c)), z.c),
        reads=(("b", "c"),),
    ),
    Map(
        name="a turned by c",
        code=lambda z: (
            np.cos(1.5 * _rank(z.c)) * _rank(z.a) - np.sin(1.5 * _rank(z.c)) * _rank(z.second),
            np.sin(1.5 * _rank(z.c)) * _rank(z.a) + np.cos(1.5 * _rank(z.c)) * _rank(z.second),
            z.b,
            z.c,
        ),
        reads=(("a", "c"),),
    ),
)

BLIND = (
    Map(
        name="b plus 0.1 c",
        code=lambda z: (z.a, z.second, _rank(z.b) + 0.1 * _rank(z.c), z.c),
        reads=(("b", "c"),),
        unseen="1 % of the variance leaks, and the bar is 5 %",
    ),
    Map(
        name="b plus c where c is in its top per cent",
        code=lambda z: (z.a, z.second, _rank(z.b) + np.where(_scaled(z.c) > 0.98, 1.0, 0.0), z.c),
        reads=(("b", "c"),),
        unseen="one row in a hundred is touched, about 1 % of the variance",
    ),
    Map(
        name="b folded in its top two per cent",
        code=lambda z: (z.a, z.second, 1.8 - np.abs(1.8 - _rank(z.b).clip(None, 2.4)), z.c),
        lost=frozenset({"b"}),
        unseen="the few rows that are folded move less than the bar",
    ),
    Map(
        name="b rounded to a hundredth of its range",
        code=lambda z: (z.a, z.second, np.round(50 * _scaled(z.b)), z.c),
        lost=frozenset({"b"}),
        unseen="0.01 % of the variance is lost",
    ),
    Map(
        name="b with a hundredth of noise",
        code=lambda z: (z.a, z.second, _rank(z.b) + 0.1 * z.noise, z.c),
        lost=frozenset({"b"}),
        unseen="1 % of the variance is noise, and the bar is 5 %",
    ),
)


def adversaries() -> Iterator[Adversary]:
    """All of them: monotone codes of every law, the others of a few, independent and dependent."""
    few = ("normal", "uniform", "lognormal", "modes at -10 and 10")
    for dependent in (False, True):
        for law in LAWS:
            for made in MONOTONE:
                yield Adversary(law=law, map=made, dependent=dependent)
        for law in few:
            for made in (*FAITHFUL, *FAULTS, *BLIND):
                yield Adversary(law=law, map=made, dependent=dependent)

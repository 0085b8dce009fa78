"""C1-C5: what the theorem assumes of the world (C1, C2) and of the trained code (C3, C4, C5).

SmartCLIP, CVPR 2025, Condition 4.2 and Theorem 4.3 (C1, C2, C4); the sharper wording of C2, and C3
and C5, are derived here. Each check answers with a verdict and, where it refutes, a witness.
Samples refute and never prove, so they answer "fails" or "cannot tell"; masks, which are seen
whole, and symbolic generators (`theory.symbolic`) can also answer "holds".
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.optimize import least_squares
from scipy.spatial import KDTree

from theory.captions import CaptionFamily
from theory.concepts import Block
from theory.errors import InputError
from theory.world import Observations, World

Answer = Literal["holds", "fails", "cannot tell"]
Generator = Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, "n p"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One assumption: its name, what it says, and what is lost without it.

    >>> CONDITIONS["C5"].title
    'budget'
    """

    name: str
    title: str
    latex: str
    meaning: str
    without: str
    source: str

    def _repr_latex_(self) -> str:
        return f"$\\text{{{self.name} ({self.title}): }} {self.latex}$"


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition(
            name="C1",
            title="smooth and invertible",
            latex=r"g_I,\ g_T(\cdot, m) \in C^1 \text{ injective},\ \operatorname{rank} Dg = d",
            meaning="images and captions determine the latents they were made from, smoothly, "
            "and a caption determines its mask",
            without="a block is lost where the generator folds",
            source="SmartCLIP, CVPR 2025, Condition 4.2-i",
        ),
        Condition(
            name="C2",
            title="full support",
            latex=r"\operatorname{supp} p(z, m, e_I, e_T)"
            r" = \textstyle\prod_k \mathcal Z_k \times \mathcal C"
            r" \times \mathcal E_I \times \mathcal E_T",
            meaning="every combination of latents, caption and the two noises occurs; latents may "
            "be dependent and captions may depend on them, but no combination is missing and "
            "the two noises are not shared",
            without="coordinates common to two captions may hold more than their intersection, "
            "and shared noise may enter the code",
            source="SmartCLIP, CVPR 2025, Condition 4.2-ii; sharpened here",
        ),
        Condition(
            name="C3",
            title="lossless alignment",
            latex=r"f_I,\ f_T \text{ continuous},\quad \hat m(t) = \hat m(m),\quad"
            r" \hat z_I \odot \hat m = f_T(t),\quad"
            r" \hat z_{\hat m} \mapsto z_{B(m)} \text{ a function}",
            meaning="on the open coordinates image and caption agree exactly, those coordinates "
            "determine everything the caption mentions, the mask follows what is mentioned and "
            "not its values, and the encoders do not jump",
            without="the code may collapse, or swap coordinates with the values of z",
            source="derived here",
        ),
        Condition(
            name="C4",
            title="sparsest masks",
            latex=r"\mathbb E\,|\hat m| = \mathbb E\, d(B(m))",
            meaning="no caption opens more coordinates than it mentions latent dimensions",
            without="a caption may hold redundant coordinates (C3 with C5 rules that out)",
            source="SmartCLIP, CVPR 2025, Theorem 4.3",
        ),
        Condition(
            name="C5",
            title="budget",
            latex=r"|\hat U(\mathcal C)| = d(U(\mathcal C))",
            meaning="all captions together open as many coordinates as they mention dimensions",
            without="two captions may hold two copies of what they share, so an intersection "
            "stays pure and may be incomplete",
            source="derived here",
        ),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Collision:
    """Two latents that the generator, or the code of one caption, cannot tell apart.

    Attributes:
        first: one latent point [d].
        second: another [d].
        distance: between their images or codes.
        caption: the number of the caption, where a code is meant.

    >>> import numpy as np
    >>> verdict = check_invertible(np.abs, np.linspace(-1, 1, 50)[:, None])
    >>> bool(np.isclose(verdict.witness.first, -verdict.witness.second).all())
    True
    """

    first: Float[np.ndarray, " d"]
    second: Float[np.ndarray, " d"]
    distance: float
    caption: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Flat:
    """A latent point where the Jacobian loses rank.

    Attributes:
        point: the latent point [d].
        direction: a direction in which the image does not move [d].
        singular_value: the smallest singular value, of the Jacobian from the unit box onto images
            of unit spread.

    >>> import numpy as np
    >>> verdict = check_invertible(lambda z: z**3, np.zeros((2, 1)) + [[0.0], [1.0]])
    >>> verdict.witness.point
    array([0.])
    """

    point: Float[np.ndarray, " d"]
    direction: Float[np.ndarray, " d"]
    singular_value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NeverSeen:
    """A combination that does not occur.

    Attributes:
        what: the combination in words.
        expected: how often it would have been seen, were it as frequent as what lies beside it; of
            recombined concepts, how many recombinations cannot occur.
        point: a latent point [d] that is ruled out (with `caption`, where that is given).
        caption: the number of the caption.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> z = np.random.default_rng(0).normal(size=(5000, 2))
    >>> seen = Observations.of(family, z=z, caption=(z[:, 0] > 0).astype(int))
    >>> check_support(seen).witness.what
    'caption 1 (b) with z of a [0] up to -0.0112'
    """

    what: str
    expected: float
    point: Float[np.ndarray, " d"] | None = None
    caption: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Misaligned:
    """The sample and coordinate where image and caption disagree most.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> z = np.arange(4.0)[:, None]
    >>> seen = Observations.of(family, z=z, caption=np.zeros(4, dtype=int))
    >>> check_lossless(seen, z, -z, np.array([[True]])).witness
    Misaligned(sample=3, coordinate=0, difference=6.0)
    """

    sample: int
    coordinate: int
    difference: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Miscounted:
    """A set of captions whose masks open the wrong number of coordinates together.

    Attributes:
        captions: their numbers.
        block: the concepts they share (or mention, for one caption or all of them).
        opened: coordinates that all of them open (or that any opens).
        needed: latent dimensions of the block.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> check_sparsest(family, np.array([[True, True]])).witness
    Miscounted(captions=(0,), block=frozenset({'a'}), opened=2, needed=1)
    """

    captions: tuple[int, ...]
    block: Block
    opened: int
    needed: int


Witness = Collision | Flat | NeverSeen | Misaligned | Miscounted


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Does a condition hold: the answer, the reason in words, and a witness if it fails.

    Attributes:
        condition: C1 to C5.
        answer: holds, fails or cannot tell.
        reason: one sentence.
        witness: what refutes the condition.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> check_budget(family, np.array([[True]]))
    Verdict(condition='C5', answer='holds', reason='1 coordinates are used for 1 mentioned \
dimensions', witness=None)
    """

    condition: str
    answer: Answer
    reason: str
    witness: Witness | None = None


@runtime_checkable
class Decided(Protocol):
    """A generator that decides C1 by itself, such as `theory.symbolic.SymbolicGenerator`."""

    def check(self, *, seed: int = 0) -> Verdict: ...


def check_invertible(
    subject: World | Decided | Generator,
    points: Float[np.ndarray, "n d"] | None = None,
    *,
    tolerance: float = 1e-7,
    seed: int = 0,
) -> Verdict:
    """C1: g(x) = g(y) implies x = y, and the Jacobian of g has full rank.

    Searches for a fold: central differences at the points, then least squares for a second point y
    of the bounding box with the image of x, from the nearest images and random starts. Of a world,
    g_I is searched on [z, e_I], then g_T( . , m) on [z_{B(m)}, e_T] for every caption.

    Args:
        subject: a world; a symbolic generator, which decides by itself; or a function
            [n, d] -> [n, p] in double precision.
        points: samples of the domain [n, d] of a function; their bounding box is searched. A world
            samples its own and a symbolic generator knows its domain.
        tolerance: images closer than this, relative to their spread, count as equal.
        seed: of the samples and the random starts.

    Returns:
        "fails" with the two points that collide or the point where the rank drops. "holds" for a
        symbolic generator whose injectivity is proved. Else "cannot tell", also for a world whose
        latents are discrete: there C1 has no open domain to speak of.

    Raises:
        InputError: points that are not finite, fewer than two, or given without a function.

    Source: SmartCLIP, CVPR 2025, Condition 4.2-i.

    >>> import numpy as np
    >>> points = np.random.default_rng(0).uniform(-1, 1, size=(200, 1))
    >>> check_invertible(lambda z: z**2, points).answer
    'fails'
    >>> check_invertible(lambda z: z**3 + z, points).answer
    'cannot tell'
    """
    if not isinstance(subject, World | Decided):
        if points is None:
            raise InputError(
                "a function without points",
                rule="a function is searched between samples of its domain",
                fix="give points [n, d], or a world",
            )
        return _search(subject, points, lambda rows: np.ones(len(rows), bool), tolerance, seed)
    if points is not None:
        raise InputError(
            "points beside a world or a symbolic generator",
            rule="these know their own domain",
            fix="leave points out",
        )
    if isinstance(subject, Decided):
        return subject.check(seed=seed)
    return _world_invertible(subject, tolerance, seed)


def _world_invertible(world: World, tolerance: float, seed: int) -> Verdict:
    seen = Observations.from_world(world, FEW, seed=seed)
    discrete = _discrete(seen)
    if discrete is not None:
        return Verdict(
            condition="C1",
            answer="cannot tell",
            reason=f"{discrete.what} never occurs, and C1 speaks of generators on an open domain",
        )
    d = seen.family.dimension

    def known(rows: Float[np.ndarray, "n c"]) -> Bool[np.ndarray, " n"]:
        return world.supported(rows[:, :d])

    causes = np.hstack([seen.z, seen.image_noise])
    found = _search(world.image_of, causes, known, tolerance, seed)
    if found.answer == "fails":
        return replace(found, reason=f"image: {found.reason}")
    for index, block in enumerate(seen.family.captions):
        open_ = np.zeros(d + seen.text_noise.shape[1], dtype=bool)
        open_[seen.family.space.columns(block)] = open_[d:] = True
        causes = np.hstack([seen.z, seen.text_noise])[:, open_]

        def said(
            rows: Float[np.ndarray, "n c"],
            open_: Bool[np.ndarray, " e"] = open_,
            index: int = index,
        ) -> Float[np.ndarray, "n q"]:
            return world.text_of(_spread(rows, open_), index)

        found = _search(said, causes, lambda rows: np.ones(len(rows), bool), tolerance, seed)
        if found.answer == "fails":
            witness = found.witness
            if isinstance(witness, Collision):
                pair = _spread(np.stack([witness.first, witness.second]), open_)
                witness = replace(witness, first=pair[0], second=pair[1], caption=index)
            elif isinstance(witness, Flat):
                pair = _spread(np.stack([witness.point, witness.direction]), open_)
                witness = replace(witness, point=pair[0], direction=pair[1])
            reason = f"caption {index} ({_names(seen.family, block)}): {found.reason}"
            return replace(found, reason=reason, witness=witness)
    return Verdict(
        condition="C1",
        answer="cannot tell",
        reason=f"no fold found in the image or in {len(seen.family.captions)} captions; samples "
        "cannot prove injectivity",
    )


def _search(
    generator: Generator,
    points: Float[np.ndarray, "n d"],
    inside: Callable[[Float[np.ndarray, "n d"]], Bool[np.ndarray, " n"]],
    tolerance: float,
    seed: int,
) -> Verdict:
    """Two points of the domain with one image, or a point where the rank drops."""
    _finite(points, "the points")
    if len(points) < 2:
        raise InputError(
            f"{len(points)} points", rule="a collision takes two points", fix="give more samples"
        )
    rng = np.random.default_rng(seed)
    low, high = points.min(axis=0), points.max(axis=0)
    width = np.maximum(high - low, 1e-12)
    middle = (low + high) / 2
    images = generator(points)
    _finite(images, "the generator's values")
    spread = float(images.std()) or 1.0
    tree = KDTree(images)
    anchors = points[rng.permutation(len(points))[:24]]
    for anchor in anchors:
        target = generator(anchor[None])[0]
        _, near = tree.query(target, k=min(12, len(points)))
        far = [i for i in np.atleast_1d(near) if np.max(np.abs(points[i] - anchor) / width) > 0.05]
        starts = [*points[far[:3]], rng.uniform(low, high), low + high - anchor]

        def miss(
            y: Float[np.ndarray, " d"], target: Float[np.ndarray, " p"] = target
        ) -> Float[np.ndarray, " p"]:
            return (generator(y[None])[0] - target) / spread

        def slope(y: Float[np.ndarray, " d"]) -> Float[np.ndarray, "p d"]:
            # One call for all columns; steps point inwards, for outside g may not be defined.
            step = 1e-7 * np.where(y < middle, width, -width)
            images = generator(np.vstack([y, y + np.diag(step)]))
            return ((images[1:] - images[0]) / step[:, None]).T / spread

        for start in starts:
            found = least_squares(
                miss,
                np.clip(start, low + 1e-9 * width, high - 1e-9 * width),
                jac=slope,  # pyright: ignore[reportArgumentType]
                bounds=(low - 1e-9 * width, high + 1e-9 * width),
                xtol=1e-14,
                ftol=1e-14,
                gtol=1e-14,
                max_nfev=60,
            )
            distance = float(np.max(np.abs(found.fun)))
            apart = float(np.max(np.abs(found.x - anchor) / width))
            if distance < tolerance and apart > 0.01 and inside(np.stack([anchor, found.x])).all():
                return Verdict(
                    condition="C1",
                    answer="fails",
                    reason=f"{_point(anchor)} and {_point(found.x)} have the same image",
                    witness=Collision(first=anchor, second=found.x, distance=distance * spread),
                )
    for anchor in anchors:
        jacobian = _jacobian(generator, anchor, 1e-5 * width)
        _, values, directions = np.linalg.svd(jacobian * width)
        ratio = 0.0 if len(values) < len(anchor) else float(values[-1]) / spread
        if ratio < 1e-7:
            return Verdict(
                condition="C1",
                answer="fails",
                reason=f"the Jacobian at {_point(anchor)} does not have full rank",
                witness=Flat(point=anchor, direction=directions[-1] * width, singular_value=ratio),
            )
    return Verdict(
        condition="C1",
        answer="cannot tell",
        reason=f"no fold found from {len(anchors)} points; samples cannot prove injectivity",
    )


def check_support(
    subject: World | Observations,
    *,
    supported: Callable[[Float[np.ndarray, "n d"]], Bool[np.ndarray, " n"]] | None = None,
    steepest: float = 20.0,
    level: float = 0.001,
    seed: int = 0,
) -> Verdict:
    """C2: supp p(z, m, e_I, e_T) = Z_1 x ... x Z_K x C x E_I x E_T, each Z_k open.

    Two searches. *Recombination*: where the support of p(z) is known, concepts are mixed across
    samples, and a mixture outside the support refutes exactly. *Holes*: each coordinate of z and of
    the noises is cut into strips of equal probability; then within each caption, and within each
    quarter and sixteenth of each other variable, an interval of one strip with c samples, next to
    an empty interval of four strips, refutes if

        tests * (1 + 4 / steepest)^-c <= level.

    Why that bounds false alarms: let the one be at most `steepest` times as dense as the other. Of
    c samples in both together, all fall into the first with probability (1 + 4 / steepest)^-c at
    most; the factor `tests` pays for looking everywhere (Bonferroni). So any dependence is allowed
    that is not that steep: correlated latents, and captions that depend on z, do not refute. Power:
    strips are as narrow as the samples allow, some 170 in each; a hole is found if it is five
    strips wide and ends sharply. For a caption with weight p(m) that is a share 800 / (n p(m)) of
    the law of a coordinate: 0.024 for one of three captions and n = 100,000.

    Args:
        subject: a world, of which 100,000 samples are taken, or observations.
        supported: which points lie in the support of p(z); a world knows. Without it concepts are
            also searched for holes against each other.
        steepest: how many times denser than the four strips beside it one strip may be.
        level: probability of any false alarm among the holes.
        seed: of the samples and of the recombination.

    Returns:
        "fails" with what is never seen, else "cannot tell".

    Raises:
        InputError: a `steepest` or `level` out of range.

    Source: SmartCLIP, CVPR 2025, Condition 4.2-ii; sharpened, and the test derived, here.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> rng = np.random.default_rng(0)
    >>> z = np.abs(rng.normal(size=(5000, 2))) * rng.choice([-1, 1], size=(5000, 1))
    >>> seen = Observations.of(family, z=z, caption=rng.integers(0, 2, 5000))
    >>> check_support(seen).answer
    'fails'
    """
    if steepest < 1 or not 0 < level < 1:
        raise InputError(
            f"steepest={steepest}, level={level}",
            rule="densities are compared by a factor of at least 1, and a level is a probability",
            fix="give for example steepest=20, level=0.001",
        )
    if isinstance(subject, World):
        supported = supported or subject.supported

    def drawn(samples: int) -> Observations:
        if isinstance(subject, Observations):
            return subject
        return Observations.from_world(subject, samples, seed=seed)

    gap = _discrete(drawn(FEW))
    if gap is not None:
        return Verdict(
            condition="C2", answer="fails", reason=f"{gap.what} never occurs", witness=gap
        )
    seen = drawn(MANY)
    if supported is not None:
        rng = np.random.default_rng(seed)
        mixed = seen.z.copy()
        for concept in seen.family.concepts:
            columns = seen.family.space.columns([concept])
            mixed[:, columns] = seen.z[rng.permutation(len(seen))][:, columns]
        outside = np.flatnonzero(~supported(mixed))
        if len(outside):
            return Verdict(
                condition="C2",
                answer="fails",
                reason=f"{_point(mixed[outside[0]])} cannot occur, each of its concepts can",
                witness=NeverSeen(
                    what="a combination of concepts",
                    expected=float(len(outside)),
                    point=mixed[outside[0]],
                ),
            )
    return _without_holes(seen, apart=supported is None, steepest=steepest, level=level)


FEW, MANY = 400, 100_000
PARTS = 4
HOLE = 4
ROWS = (4, 16)
COARSE = 16
LARGEST = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class _Variable:
    """One coordinate of z or of a noise; `group` holds those that need not form a product."""

    group: str
    name: str
    values: Float[np.ndarray, " n"]
    rank: Int[np.ndarray, " n"]
    column: int | None

    @classmethod
    def of(
        cls, group: str, name: str, values: Float[np.ndarray, " n"], column: int | None = None
    ) -> "_Variable":
        rank = np.empty(len(values), dtype=np.int64)
        rank[np.argsort(values, kind="stable")] = np.arange(len(values))
        return cls(group=group, name=name, values=values, rank=rank, column=column)

    def cut(self, parts: int) -> Int[np.ndarray, " n"]:
        """The part of each sample when the law is cut into parts of equal probability."""
        return self.rank * parts // len(self.rank)

    def span(self, within: Bool[np.ndarray, " n"]) -> tuple[float, str]:
        """A value in the middle of a part, and the part in words."""
        low, high = self.values[within].min(), self.values[within].max()
        middle = float(np.median(self.values[within]))
        if self.rank[within].min() == 0:
            return middle, f"{self.name} up to {high:.3g}"
        if self.rank[within].max() == len(self.rank) - 1:
            return middle, f"{self.name} from {low:.3g}"
        return middle, f"{self.name} from {low:.3g} to {high:.3g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Hole:
    """Empty cuts of `variable` among the samples of one row, and how many lie beside them."""

    beside: int
    variable: _Variable
    other: _Variable | None
    rows: int
    row: int
    cuts: int
    first: int
    last: int

    def witness(self, seen: Observations) -> NeverSeen:
        cut = self.variable.cut(self.cuts)
        within = (self.first <= cut) & (cut <= self.last)
        middle, words = self.variable.span(within)
        expected = self.beside * (self.last - self.first + 1) / PARTS
        point = None
        if self.other is None:
            if self.variable.column is not None:
                nearest = np.abs(np.where(within, self.variable.values, np.inf) - middle).argmin()
                point = seen.z[nearest]
            block = seen.family.captions[self.row]
            what = f"caption {self.row} ({_names(seen.family, block)}) with {words}"
            return NeverSeen(what=what, expected=expected, point=point, caption=self.row)
        row = self.other.cut(self.rows) == self.row
        if self.variable.column is not None and self.other.column is not None:
            point = seen.z[np.flatnonzero(row)[0]].copy()
            point[self.variable.column] = middle
        what = f"{self.other.span(row)[1]} with {words}"
        return NeverSeen(what=what, expected=expected, point=point)


def _without_holes(seen: Observations, *, apart: bool, steepest: float, level: float) -> Verdict:
    """The search for holes; concepts against each other only if `apart`."""
    variables = [
        _Variable.of(f"concept {concept}", f"z of {concept} [{number}]", seen.z[:, column], column)
        for concept in seen.family.concepts
        for number, column in enumerate(seen.family.space.columns([concept]))
    ]
    for label, noise in (("image", seen.image_noise), ("text", seen.text_noise)):
        for number, column in enumerate(noise.T):
            variables.append(_Variable.of(label, f"the {label} noise [{number}]", column))
    slices: list[tuple[_Variable, _Variable | None, int]] = [
        (variable, None, len(seen.family.captions)) for variable in variables
    ]
    slices += [
        (one, other, rows)
        for one, other in permutations(variables, 2)
        if one.group != other.group and (apart or one.column is None or other.column is None)
        for rows in ROWS
    ]
    # Strips are half as full again as a test for a hundred thousand places demands.
    full = 1.5 * np.log(1e5 / level) / np.log1p(HOLE / steepest)
    tests, worst = 1, None
    for variable, other, rows in slices:
        row_of = seen.caption if other is None else other.cut(rows)
        # A row has its own number of strips: the denser it is somewhere, the more. A strong
        # dependence crowds its samples, and coarse strips would make its slope look like a step.
        coarse = np.bincount(row_of * COARSE + variable.cut(COARSE), minlength=rows * COARSE)
        peak = COARSE * coarse.reshape(rows, COARSE).max(axis=1)
        strips = np.clip(peak / full, 0, LARGEST).astype(int)
        for count in np.unique(strips[strips > HOLE]):
            chosen = np.flatnonzero(strips == count)
            number = np.full(rows, -1)
            number[chosen] = np.arange(len(chosen))
            at = number[row_of]
            cuts = int(count) * PARTS
            cell = (at * cuts + variable.cut(cuts))[at >= 0]
            table = np.bincount(cell, minlength=len(chosen) * cuts).reshape(len(chosen), cuts)
            tests += 2 * table.size
            for turned in (False, True):
                beside = _beside(table[:, ::-1] if turned else table)
                row, start = map(int, np.unravel_index(int(beside.argmax()), beside.shape))
                if beside[row, start] <= (worst.beside if worst else 0):
                    continue
                taken = np.flatnonzero(table[row, ::-1] if turned else table[row])
                last = int(taken[taken >= start].min(initial=cuts)) - 1
                first, last = (cuts - 1 - last, cuts - 1 - start) if turned else (start, last)
                worst = _Hole(
                    beside=int(beside[row, start]),
                    variable=variable,
                    other=other,
                    rows=rows,
                    row=int(chosen[row]),
                    cuts=cuts,
                    first=first,
                    last=last,
                )
    enough = int(np.ceil(np.log(tests / level) / np.log1p(HOLE / steepest)))
    if worst is None or worst.beside < enough:
        return Verdict(
            condition="C2",
            answer="cannot tell",
            reason=f"no missing combination in {len(seen):,} samples; a hole can hide if it is "
            f"narrow, or if fewer than {enough} samples lie in a strip beside it",
        )
    witness = worst.witness(seen)
    return Verdict(
        condition="C2",
        answer="fails",
        reason=f"{witness.what} never occurs; if it were as frequent as what lies beside it, it "
        f"would have occurred {witness.expected:,.0f} times",
        witness=witness,
    )


def _beside(table: Int[np.ndarray, "r q"]) -> Int[np.ndarray, "r q"]:
    """At each cut where a hole begins, the count of the strip on its left; elsewhere 0."""
    summed = np.cumsum(np.pad(table, ((0, 0), (1, 0))), axis=1)
    wide = PARTS * HOLE
    found = np.zeros(table.shape, dtype=np.int64)
    last = table.shape[1] - wide + 1
    empty = summed[:, wide:] == summed[:, :-wide]
    left = summed[:, PARTS:last] - summed[:, : last - PARTS]
    found[:, PARTS:last] = np.where(empty[:, PARTS:], left, 0)
    return found


def _discrete(seen: Observations) -> NeverSeen | None:
    """The first coordinate of z that takes few values, and a point between two of them."""
    for concept in seen.family.concepts:
        for number, column in enumerate(seen.family.space.columns([concept])):
            values, counts = np.unique(seen.z[:, column], return_counts=True)
            if len(values) > len(seen) // 10:
                continue
            name, point = f"z of {concept} [{number}]", seen.z[0].copy()
            if len(values) == 1:
                what, point[column] = f"{name} other than {values[0]:.3g}", values[0] + 1
            else:
                what = f"{name} between {values[0]:.3g} and {values[1]:.3g}"
                point[column] = values[:2].mean()
            return NeverSeen(what=what, expected=float(counts[0]), point=point)
    return None


def check_lossless(
    seen: Observations,
    image_code: Float[np.ndarray, "n D"],
    text_code: Float[np.ndarray, "n D"],
    masks: Bool[np.ndarray, "m D"],
    *,
    tolerance: float = 1e-6,
) -> Verdict:
    """C3: z^_I * m^ = f_T(t), and for every m the open coordinates determine z_{B(m)}.

    Args:
        seen: latents and captions.
        image_code: z^_I, a row for each of `seen`.
        text_code: f_T(t); only its open coordinates are read.
        masks: coordinates that each caption opens.
        tolerance: differences up to this, relative to the spread of the code, are none.

    Returns:
        "fails" with the worst sample, or with two samples of one caption whose codes are equal and
        whose block is not; else "cannot tell", for between samples a code may still fold.

    Raises:
        InputError: shapes that do not fit.

    Source: derived here.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"]])
    >>> z = np.linspace(-1, 1, 101)[:, None]
    >>> seen = Observations.of(family, z=z, caption=np.zeros(101, dtype=int))
    >>> check_lossless(seen, np.abs(z), np.abs(z), np.array([[True]])).answer
    'fails'
    """
    family, z, caption = seen.family, seen.z, seen.caption
    _masks(family, masks)
    for given, name in ((image_code, "the image code"), (text_code, "the text code")):
        _finite(given, name)
        if given.shape != (len(seen), masks.shape[1]):
            raise InputError(
                f"{name} has shape {given.shape}",
                rule="each row has one code, as wide as the masks",
                fix=f"give [{len(seen)}, {masks.shape[1]}]",
            )
    spread = float(image_code.std()) or 1.0
    difference = np.abs(np.where(masks[caption], image_code - text_code, 0.0))
    sample, coordinate = np.unravel_index(int(difference.argmax()), difference.shape)
    worst = float(difference[sample, coordinate])
    if worst > tolerance * spread:
        return Verdict(
            condition="C3",
            answer="fails",
            reason=f"sample {sample}: image and caption differ by {worst:.3g} on coordinate "
            f"{coordinate}",
            witness=Misaligned(sample=int(sample), coordinate=int(coordinate), difference=worst),
        )
    for index, block in enumerate(family.captions):
        rows = np.flatnonzero(caption == index)
        if len(rows) < 2:
            continue
        columns = family.space.columns(block)
        codes = np.where(masks[index], image_code[rows], 0.0)
        found = KDTree(codes).query(codes, k=2)
        distance, neighbour = np.asarray(found[0]), np.asarray(found[1])
        # With equal codes the point itself may be listed second.
        other = np.where(neighbour[:, 1] == np.arange(len(rows)), neighbour[:, 0], neighbour[:, 1])
        apart = np.max(np.abs(z[rows][:, columns] - z[rows[other]][:, columns]), axis=1)
        scale = float(z[rows][:, columns].std()) or 1.0
        collide = (distance[:, 1] <= tolerance * spread) & (apart > 0.01 * scale)
        if collide.any():
            at = int(np.argmax(np.where(collide, apart, 0.0)))
            first, second = rows[at], rows[other[at]]
            return Verdict(
                condition="C3",
                answer="fails",
                reason=f"samples {first} and {second} have one code under caption {index} "
                f"({_names(family, block)}) and differ in what it mentions",
                witness=Collision(
                    first=z[first], second=z[second], distance=float(distance[at, 1]), caption=index
                ),
            )
    return Verdict(
        condition="C3",
        answer="cannot tell",
        reason=f"aligned on all {len(z)} samples and no two codes collide; between samples a "
        "code may still fold",
    )


def check_sparsest(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> Verdict:
    """C4: |m^| = d(B(m)) for every caption, the smallest size that loses nothing.

    Args:
        family: the captions.
        masks: coordinates that each caption opens.

    Returns:
        "holds", or "fails" with the caption that is furthest off.

    Raises:
        InputError: not one mask for each caption.

    Source: SmartCLIP, CVPR 2025, Theorem 4.3; the smallest value is derived here.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> check_sparsest(family, np.array([[True, False], [True, True]])).witness.captions
    (1,)
    """
    _masks(family, masks)
    opened = masks.sum(axis=1)
    needed = np.array([family.space.size(caption) for caption in family.captions])
    worst = int(np.argmax(np.abs(opened - needed)))
    if opened[worst] == needed[worst]:
        return Verdict(
            condition="C4", answer="holds", reason="every mask is as large as what it stands for"
        )
    block = family.captions[worst]
    return Verdict(
        condition="C4",
        answer="fails",
        reason=f"caption {worst} ({_names(family, block)}) opens {opened[worst]} coordinates for "
        f"{needed[worst]} dimensions",
        witness=Miscounted(
            captions=(worst,), block=block, opened=int(opened[worst]), needed=int(needed[worst])
        ),
    )


def check_budget(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> Verdict:
    """C5: |U^(C)| = d(U(C)), as many used coordinates as mentioned dimensions.

    Args:
        family: the captions.
        masks: coordinates that each caption opens.

    Returns:
        "holds", or "fails" with two captions that share less than they should, which is where a
        dimension has been copied; with all captions if no pair shows it.

    Raises:
        InputError: not one mask for each caption.

    Source: derived here.

    >>> import numpy as np
    >>> family = CaptionFamily.from_captions([["s", "a"], ["s", "b"]])
    >>> copied = np.array([[True, True, False, False], [False, False, True, True]])
    >>> verdict = check_budget(family, copied)
    >>> verdict.answer, verdict.witness.captions, verdict.witness.opened, verdict.witness.needed
    ('fails', (0, 1), 0, 1)
    """
    _masks(family, masks)
    used = int(masks.any(axis=0).sum())
    needed = family.space.size(family.mentioned)
    if used == needed:
        return Verdict(
            condition="C5",
            answer="holds",
            reason=f"{used} coordinates are used for {needed} mentioned dimensions",
        )
    witness = Miscounted(
        captions=tuple(range(len(family.captions))),
        block=family.mentioned,
        opened=used,
        needed=needed,
    )
    reason = f"{used} coordinates are used for {needed} mentioned dimensions"
    for first, second in combinations(range(len(family.captions)), 2):
        shared = family.captions[first] & family.captions[second]
        opened = int((masks[first] & masks[second]).sum())
        if opened < family.space.size(shared):
            witness = Miscounted(
                captions=(first, second),
                block=shared,
                opened=opened,
                needed=family.space.size(shared),
            )
            reason += (
                f"; captions {first} and {second} share {_names(family, shared)} and open "
                f"{opened} coordinates in common, not {witness.needed}"
            )
            break
    return Verdict(condition="C5", answer="fails", reason=reason, witness=witness)


def _masks(family: CaptionFamily, masks: Bool[np.ndarray, "m D"]) -> None:
    if len(masks) != len(family.captions):
        raise InputError(
            f"masks has shape {masks.shape}",
            rule=f"the family has {len(family.captions)} captions, each with one mask",
            fix=f"give masks [{len(family.captions)}, D]",
        )


def _finite(values: Num[np.ndarray, "..."], name: str) -> None:
    if not np.all(np.isfinite(values)):
        raise InputError(
            f"{name} hold NaN or infinity",
            rule="checks need finite numbers",
            fix="drop those samples",
        )


def _jacobian(
    generator: Generator, point: Float[np.ndarray, " d"], step: Float[np.ndarray, " d"]
) -> Float[np.ndarray, "p d"]:
    forward = generator(point + np.diag(step))
    backward = generator(point - np.diag(step))
    return ((forward - backward) / (2 * step[:, None])).T


def _point(values: Num[np.ndarray, " d"]) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"


def _names(family: CaptionFamily, block: Block) -> str:
    return ", ".join(str(name) for name in family.space.ordered(block))


def _spread(
    rows: Float[np.ndarray, "n o"], open_: Bool[np.ndarray, " e"]
) -> Float[np.ndarray, "n e"]:
    """The rows with zeros where a caption is silent."""
    full = np.zeros((len(rows), len(open_)))
    full[:, open_] = rows
    return full

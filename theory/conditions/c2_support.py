"""C2: every combination of latents, caption and the two noises occurs.

SmartCLIP, CVPR 2025, Condition 4.2-ii; sharpened here: latents may be dependent and captions may
depend on them, each Z_k is open and connected, and the two noises are not shared.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Bool, Float, Int

from theory.conditions.condition import Condition, register
from theory.conditions.discreteness import FEW, discrete_gap
from theory.conditions.verdict import ConditionVerdict, NeverSeen, block_words, point_words
from theory.errors import InputError
from theory.world import CheckableWorld, Observations

FULL_SUPPORT = register(
    Condition(
        name="C2",
        title="full support",
        latex=r"\operatorname{supp} p(z, m, e_I, e_T)"
        r" = \textstyle\prod_k \mathcal Z_k \times \mathcal C"
        r" \times \mathcal E_I \times \mathcal E_T,"
        r"\quad \mathcal Z_k \subseteq \mathbb R^{d_k} \text{ open and connected}",
        meaning="every combination of latents, caption and the two noises occurs, and the values "
        "of a concept form one piece; latents may be dependent and captions may depend on them, "
        "but no combination is missing and the two noises are not shared",
        without="coordinates common to two captions may hold more than their intersection, "
        "shared noise may enter the code, and a concept in two pieces may lose which of them it is "
        "in",
        costs=frozenset({"purity"}),
        source="SmartCLIP, CVPR 2025, Condition 4.2-ii; sharpened here",
    )
)


def check_support(
    subject: CheckableWorld | Observations,
    *,
    supported: Callable[[Float[np.ndarray, "n d"]], Bool[np.ndarray, " n"]] | None = None,
    steepest: float = 20.0,
    level: float = 0.001,
    seed: int = 0,
) -> ConditionVerdict:
    """C2: supp p(z, m, e_I, e_T) = Z_1 x ... x Z_K x C x E_I x E_T, each Z_k open.

    Three searches. *Recombination*: where the support of p(z) is known, concepts are mixed across
    samples, and a mixture outside the support refutes exactly. *Gaps*: as Z_k is connected, the
    values of one coordinate of z form an interval; an empty stretch between two neighbouring
    values refutes if the strips of a quarter of its width on both sides hold c samples each.
    *Holes*: each coordinate of z and of the noises is cut into strips of equal probability; then
    within each caption, and within each quarter and sixteenth of each other variable, an interval
    of one strip with c samples, next to an empty interval of four strips, refutes if

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
        "fails" with what is never seen, else "cannot tell". Gaps and holes refute on the assumption
        that no density rises more than `steepest`-fold, which stands in the reason and in
        `assumption`: two distant modes have full support, and look like two pieces. Where the
        support is known it is asked instead: a gap that it fills is none.

    Raises:
        InputError: a `steepest` or `level` out of range.

    Source: SmartCLIP, CVPR 2025, Condition 4.2-ii; sharpened, and the test derived, here.

    >>> import numpy as np
    >>> from theory.captions import CaptionFamily
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
    if isinstance(subject, CheckableWorld):
        supported = supported or subject.supported

    def drawn(samples: int) -> Observations:
        if isinstance(subject, Observations):
            return subject
        return Observations.from_world(subject, samples, seed=seed)

    gap = discrete_gap(drawn(FEW))
    if gap is not None:
        return ConditionVerdict(
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
            return ConditionVerdict(
                condition="C2",
                answer="fails",
                reason=f"{point_words(mixed[outside[0]])} cannot occur, each of its concepts can",
                witness=NeverSeen(
                    what="a combination of concepts",
                    expected=float(len(outside)),
                    point=mixed[outside[0]],
                ),
            )
    gap = _gap(seen, supported=supported, steepest=steepest, level=level)
    if gap is not None:
        return ConditionVerdict(
            condition="C2",
            answer="fails",
            reason=f"{gap.what} never occurs, between values that do: the concept is in two "
            f"pieces, assuming that {_assumed(steepest)}",
            witness=gap,
            assumption=_assumed(steepest),
        )
    return _without_holes(seen, apart=supported is None, steepest=steepest, level=level)


MANY = 100_000
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
            what = f"caption {self.row + 1} ({block_words(seen.family, block)}) with {words}"
            return NeverSeen(what=what, expected=expected, point=point, caption=self.row)
        row = self.other.cut(self.rows) == self.row
        if self.variable.column is not None and self.other.column is not None:
            point = seen.z[np.flatnonzero(row)[0]].copy()
            point[self.variable.column] = middle
        what = f"{self.other.span(row)[1]} with {words}"
        return NeverSeen(what=what, expected=expected, point=point)


def _gap(
    seen: Observations,
    *,
    supported: Callable[[Float[np.ndarray, "n d"]], Bool[np.ndarray, " n"]] | None,
    steepest: float,
    level: float,
) -> NeverSeen | None:
    """The widest empty stretch inside the values of one coordinate, if it is one too wide."""
    tests = 2 * len(seen) * seen.z.shape[1]
    enough = int(np.ceil(np.log(tests / level) / np.log1p(HOLE / steepest)))
    for concept in seen.family.concepts:
        for number, column in enumerate(seen.family.space.columns([concept])):
            values = np.sort(seen.z[:, column])
            width = np.diff(values)
            # The stretch from value i to value i + 1; a strip of a quarter of it on either side.
            left = np.arange(1, len(values)) - np.searchsorted(values, values[:-1] - width / HOLE)
            right = np.searchsorted(values, values[1:] + width / HOLE, side="right") - np.arange(
                1, len(values)
            )
            # A heavy tail crowds on one side of its widest gap only; two pieces crowd on both.
            beside = np.minimum(left, right)
            at = int(beside.argmax())
            if beside[at] < enough:
                continue
            points = seen.z[:FEW].copy()
            points[:, column] = (values[at] + values[at + 1]) / 2
            if supported is not None and supported(points).any():
                continue
            return NeverSeen(
                what=f"z of {concept} [{number}] between {values[at]:.3g} and {values[at + 1]:.3g}",
                expected=float(HOLE * beside[at]),
                point=points[0],
            )
    return None


def _without_holes(
    seen: Observations, *, apart: bool, steepest: float, level: float
) -> ConditionVerdict:
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
        return ConditionVerdict(
            condition="C2",
            answer="cannot tell",
            reason=f"no missing combination in {len(seen):,} samples; a hole can hide if it is "
            f"narrow, or if fewer than {enough} samples lie in a strip beside it",
        )
    witness = worst.witness(seen)
    return ConditionVerdict(
        condition="C2",
        answer="fails",
        reason=f"{witness.what} never occurs; if it were as frequent as what lies beside it, it "
        f"would have occurred {witness.expected:,.0f} times; assuming that {_assumed(steepest)}",
        witness=witness,
        assumption=_assumed(steepest),
    )


def _assumed(steepest: float) -> str:
    """A full support can be thinner than any samples show, as between two distant modes."""
    return f"no density rises more than {steepest:g}-fold within a strip"


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

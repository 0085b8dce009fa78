"""Second solutions: other codes that meet the same conditions and hold other blocks.

Each witness is a small world with two exact solutions, the plain code z^ = z and another one.
`evaluate` measures both: alignment, losslessness, sparsity, coordinates used, InfoNCE, and what the
coordinates of one block hold. Derived here (3.3, 3.5, 3.6, 3.8 and the conditions).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from scipy.special import expit, logit, logsumexp

from theory.captions import CaptionFamily
from theory.concepts import Block

Masks = Bool[np.ndarray, "_ _"]
Rows = Float[np.ndarray, "_ _"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """Encoders and masks in closed form.

    Attributes:
        image: z^_I as a function of (z, noise) [n, v] -> [n, D].
        text: f_T(t) of caption m, from (z * m, noise); entries not mentioned arrive as NaN.
        masks: m^ of caption m from the same; [n, D].
        decode: z_{B(m)} from the open coordinates; the proof that nothing is lost.
        coordinates: B^, those held to carry the block in question.

    >>> import numpy as np
    >>> duplicated_code().other.image(np.array([[1.0, 2.0, 3.0]]))
    array([[1., 2., 3., 1.]])
    """

    image: Callable[[Rows], Rows]
    text: Callable[[Rows, int], Rows]
    masks: Callable[[Rows, int], Masks]
    decode: Callable[[Rows, int], Rows]
    coordinates: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one solution does on samples.

    Attributes:
        alignment_error: largest |z^_I - f_T(t)| on open coordinates.
        decoding_error: largest error of z_{B(m)} decoded from the open coordinates.
        open_coordinates: E |m^|.
        used_coordinates: |U^(C)|.
        loss: InfoNCE on -tau |m^_j * (z^_i - f_T(t_j))|^2, mean of both directions, in nats.
        leak: how far the block's coordinates move when everything but the block is redrawn,
            relative to their spread; 0 is pure.
        completeness: R^2 of the block from its coordinates (nearest neighbours); 1 is complete.

    >>> duplicated_code().evaluate(200).plain.used_coordinates
    3
    """

    alignment_error: float
    decoding_error: float
    open_coordinates: float
    used_coordinates: int
    loss: float
    leak: float
    completeness: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The two solutions of a witness, measured on the same samples.

    >>> duplicated_code().evaluate(200).needed_coordinates
    2.0
    """

    plain: Measured
    other: Measured
    needed_coordinates: float
    mentioned_dimensions: int

    def _repr_html_(self) -> str:
        names = [entry.name for entry in fields(Measured)]
        rows = "".join(
            f"<tr><td>{name.replace('_', ' ')}</td><td>{getattr(self.plain, name):.4g}</td>"
            f"<td>{getattr(self.other, name):.4g}</td></tr>"
            for name in names
        )
        return f"<table><tr><th></th><th>plain</th><th>other</th></tr>{rows}</table>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """Two solutions of one world that disagree on a block.

    Attributes:
        title: what it shows.
        statement: number of the statement it belongs to.
        breaks: the condition the world or the other solution breaks; empty if none.
        family: the captions.
        draw: (z, noise) [n, v] from a generator; the first d columns are z.
        plain: z^ = z.
        other: the second solution.
        block: the block that the two treat differently.
        coupling: a map of (z, noise) that keeps its law and takes the codes of `other` to those of
            `plain`; None if there is none. It makes losses equal sample by sample.
        said: the caption of each row where values decide it; None where p(m) alone does.

    >>> witness = linked_support()
    >>> witness.breaks, witness.block
    ('C2', frozenset({'c'}))
    """

    title: str
    statement: str
    breaks: str
    family: CaptionFamily
    draw: Callable[[np.random.Generator, int], Rows]
    plain: Solution
    other: Solution
    block: Block
    coupling: Callable[[Rows], Rows] | None = None
    said: Callable[[Rows], Int[np.ndarray, " n"]] | None = None

    def evaluate(
        self, samples: int = 2000, *, seed: int = 0, tau: float = 2.0, batch: int = 128
    ) -> Comparison:
        """Measure both solutions on the same samples (through the coupling, if there is one).

        Args:
            samples: number of draws.
            seed: of the draws.
            tau: scale of the squared distance in InfoNCE.
            batch: batch size of InfoNCE.
        """
        rng = np.random.default_rng(seed)
        rows = self.draw(rng, samples)
        redrawn = self.draw(rng, samples)
        caption = (
            rng.choice(len(self.family.captions), size=samples, p=self.family.weights)
            if self.said is None
            else self.said(rows)
        )
        plain = self._measure(self.plain, rows, redrawn, caption, tau, batch)
        if self.coupling is not None:
            rows, redrawn = self.coupling(rows), self.coupling(redrawn)
        other = self._measure(self.other, rows, redrawn, caption, tau, batch)
        sizes = [self.family.space.size(block) for block in self.family.captions]
        return Comparison(
            plain=plain,
            other=other,
            needed_coordinates=float(np.mean(np.array(sizes)[caption])),
            mentioned_dimensions=self.family.space.size(self.family.mentioned),
        )

    def _measure(
        self,
        solution: Solution,
        rows: Rows,
        redrawn: Rows,
        caption: np.ndarray,
        tau: float,
        batch: int,
    ) -> Measured:
        space = self.family.space
        image = solution.image(rows)
        text = np.zeros_like(image)
        masks = np.zeros(image.shape, dtype=bool)
        decoding_error = 0.0
        for index, mentioned in enumerate(self.family.captions):
            at = caption == index
            columns = space.columns(mentioned)
            said = rows[at].copy()
            # What a caption does not mention is NaN here: a text code that used it would show.
            said[:, [c for c in range(space.dimension) if c not in columns]] = np.nan
            text[at] = solution.text(said, index)
            masks[at] = solution.masks(said, index)
            decoded = solution.decode(np.where(masks[at], image[at], 0.0), index)
            error = np.abs(decoded - rows[at][:, columns])
            decoding_error = max(decoding_error, float(error.max(initial=0.0)))
        difference = np.where(masks, np.abs(image - text), 0.0)
        text = np.where(masks, text, 0.0)

        held = space.columns(self.block)
        swapped = redrawn.copy()
        swapped[:, held] = rows[:, held]
        coordinates = list(solution.coordinates)
        codes = image[:, coordinates]
        moved = np.abs(solution.image(swapped)[:, coordinates] - codes)
        spread = np.maximum(codes.std(axis=0), 1e-12)
        return Measured(
            alignment_error=float(difference.max()),
            decoding_error=decoding_error,
            open_coordinates=float(masks.sum(axis=1).mean()),
            used_coordinates=int(masks.any(axis=0).sum()),
            loss=_info_nce(image, text, masks, tau, batch),
            leak=float((moved / spread).max(initial=0.0)),
            completeness=_nearest_r2(codes, rows[:, held]),
        )


def rotation() -> Witness:
    """z^_k = R(theta(z_j)) z_k: d_k = 2, j accompanies k, all conditions hold, equal loss.

    z_k is isotropic and independent of z_j, so the law of the code is that of z, and InfoNCE is
    the same at every batch size and temperature. The block {k} is complete in one solution and
    mixed with j in the other.

    Source: derived here (3.5).

    >>> measured = rotation().evaluate(500)
    >>> measured.plain.leak, measured.other.leak > 0.5
    (0.0, True)
    >>> bool(np.isclose(measured.plain.loss, measured.other.loss, rtol=1e-12))
    True
    """
    family = CaptionFamily.from_captions([["j", "k"], ["j"]], sizes={"k": 2})

    return Witness(
        title="k turned by an angle that j sets",
        statement="3.5",
        breaks="",
        family=family,
        draw=lambda rng, n: rng.normal(size=(n, 3)),
        plain=_plain(family, frozenset({"k"})),
        other=_mapped(
            family,
            forward=lambda rows: _turned(rows, 1.0),
            backward=lambda code: _turned(code, -1.0),
            coordinates=(1, 2),
        ),
        block=frozenset({"k"}),
        coupling=lambda rows: _turned(rows, -1.0),
    )


def reflection(correlation: float = 0.6) -> Witness:
    """z^_k = E[z_k | z_j] - (z_k - E[z_k | z_j]): d_k = 1, all conditions hold, equal loss.

    For normal latents z_k -> F^-1(1 - F(z_k | z_j) | z_j) is z_k -> 2 r z_j - z_k. It keeps the law
    of z and is its own inverse, so InfoNCE is the same at every batch size and temperature.

    Args:
        correlation: r of z_j and z_k, in (-1, 1) and not 0, where the reflection is pure.

    Source: derived here (3.5).

    >>> measured = reflection().evaluate(500)
    >>> bool(np.isclose(measured.plain.loss, measured.other.loss, rtol=1e-12))
    True
    >>> measured.other.leak > 0.5
    True
    """
    family = CaptionFamily.from_captions([["j", "k"], ["j"]])

    def draw(rng: np.random.Generator, n: int) -> Rows:
        j, e = rng.normal(size=(2, n))
        return np.column_stack([j, correlation * j + np.sqrt(1 - correlation**2) * e])

    def reflected(rows: Rows) -> Rows:
        return np.column_stack([rows[:, 0], 2 * correlation * rows[:, 0] - rows[:, 1]])

    return Witness(
        title="k reflected about what j tells of it",
        statement="3.5",
        breaks="",
        family=family,
        draw=draw,
        plain=_plain(family, frozenset({"k"})),
        other=_mapped(family, forward=reflected, backward=reflected, coordinates=(1,)),
        block=frozenset({"k"}),
        coupling=reflected,
    )


def rotation_where_values_choose_captions() -> Witness:
    """The code of `rotation`, where z_k1 > 0 decides whether l is left out: the losses differ.

    Captions {j, k} if z_k1 > 0, else {j, k, l}. All conditions hold for both codes, but p(m | z) is
    not invariant under the rotation: a caption of one kind lies on one side of the plain code, and
    anywhere in the rotated one. So value-dependent captions can break the tie that 3.5 describes.
    They need not: with {j, k} and {j} no difference is measured.

    Source: derived here (3.5).

    >>> measured = rotation_where_values_choose_captions().evaluate(4000)
    >>> measured.plain.loss < measured.other.loss
    True
    """
    family = CaptionFamily.from_captions([["j", "k"], ["j", "k", "l"]], sizes={"k": 2})
    return Witness(
        title="k turned, where the value of k decides whether l is mentioned",
        statement="3.5",
        breaks="",
        family=family,
        draw=lambda rng, n: rng.normal(size=(n, 4)),
        plain=_plain(family, frozenset({"k"})),
        other=_mapped(
            family,
            forward=lambda rows: _turned(rows, 1.0),
            backward=lambda code: _turned(code, -1.0),
            coordinates=(1, 2),
        ),
        block=frozenset({"k"}),
        said=lambda rows: np.where(rows[:, 1] > 0, 0, 1),
    )


def shear(correlation: float = 0.0) -> Witness:
    """z^_k = (z_k + a z_j) / |.|, d_k = 1: all conditions hold and InfoNCE breaks the tie.

    With independent latents a = 1 and the plain code has the smaller loss. With dependent ones
    a = -correlation, the whitened code: it is impure and has the smaller loss.

    Args:
        correlation: of z_j and z_k, in (-1, 1).

    Source: derived here (3.5).

    >>> measured = shear().evaluate(4000)
    >>> measured.plain.loss < measured.other.loss, measured.other.leak > 0.5
    (True, True)
    """
    family = CaptionFamily.from_captions([["j", "k"], ["j"]])
    slope = -correlation if correlation else 1.0
    scale = np.sqrt(1 + slope**2 + 2 * slope * correlation)

    def draw(rng: np.random.Generator, n: int) -> Rows:
        j, e = rng.normal(size=(2, n))
        return np.column_stack([j, correlation * j + np.sqrt(1 - correlation**2) * e])

    return Witness(
        title="k plus a multiple of j",
        statement="3.5",
        breaks="",
        family=family,
        draw=draw,
        plain=_plain(family, frozenset({"k"})),
        other=_mapped(
            family,
            forward=lambda rows: np.column_stack(
                [rows[:, 0], (rows[:, 1] + slope * rows[:, 0]) / scale]
            ),
            backward=lambda code: np.column_stack(
                [code[:, 0], code[:, 1] * scale - slope * code[:, 0]]
            ),
            coordinates=(1,),
        ),
        block=frozenset({"k"}),
    )


def duplicated_code() -> Witness:
    """z^ = (s, a, b, s), masks {s, a} and {b, s'}: one spare coordinate, two copies of s.

    Every mask is as small as it can be and alignment is exact, so C1-C4 hold and InfoNCE is the
    same; but no coordinate is open in both captions, and their intersection {s} is lost.

    Source: derived here (3.6).

    >>> measured = duplicated_code().evaluate(500)
    >>> measured.other.used_coordinates, measured.mentioned_dimensions
    (4, 3)
    >>> measured.other.completeness, measured.plain.loss == measured.other.loss
    (0.0, True)
    """
    family = CaptionFamily.from_captions([["s", "a"], ["s", "b"]])
    masks = np.array([[True, True, False, False], [False, False, True, True]])
    columns = [[0, 1], [3, 2]]
    return Witness(
        title="two copies of what two captions share",
        statement="3.6",
        breaks="C5",
        family=family,
        draw=lambda rng, n: rng.normal(size=(n, 3)),
        plain=_plain(family, frozenset({"s"})),
        other=Solution(
            image=lambda rows: rows[:, [0, 1, 2, 0]],
            text=lambda rows, caption: rows[:, [0, 1, 2, 0]],
            masks=lambda rows, caption: np.tile(masks[caption], (len(rows), 1)),
            decode=lambda code, caption: code[:, columns[caption]],
            coordinates=(),
        ),
        block=frozenset({"s"}),
    )


def value_dependent_mask() -> Witness:
    """z^ = (a, b) if a > 0 else (b, a), a in (-1, 1), b in (2, 3): masks follow the value of a.

    Alignment, losslessness, sparsity and budget all hold, and neither coordinate holds a alone. It
    breaks two lines of C3: the mask depends on more than m, and the encoder jumps at a = 0. The
    jump is no accident: on both sides of a = 0 the coordinate that is open under {a} holds a alone,
    so a continuous code is constant in b on the whole line a = 0 and loses b there.

    Source: derived here (conditions).

    >>> measured = value_dependent_mask().evaluate(500)
    >>> measured.other.alignment_error, measured.other.decoding_error, measured.other.leak > 0.5
    (0.0, 0.0, True)
    """
    family = CaptionFamily.from_captions([["a"], ["a", "b"]])

    def swapped(rows: Rows) -> Rows:
        # Under {a} the unmentioned b is NaN and so is the coordinate it would fill: closed.
        return np.where(rows[:, :1] > 0, rows, rows[:, ::-1])

    def masks(rows: Rows, caption: int) -> Masks:
        if caption == 1:
            return np.ones(rows.shape, dtype=bool)
        return np.column_stack([rows[:, 0] > 0, rows[:, 0] <= 0])

    def decode(code: Rows, caption: int) -> Rows:
        if caption == 0:
            return code.sum(axis=1, keepdims=True)
        return np.where(code[:, :1] < 1.5, code, code[:, ::-1])

    return Witness(
        title="masks that follow the value of a concept",
        statement="3.3",
        breaks="C3",
        family=family,
        draw=lambda rng, n: np.column_stack([rng.uniform(-1, 1, n), rng.uniform(2, 3, n)]),
        plain=_plain(family, frozenset({"a"})),
        other=Solution(
            image=swapped,
            text=lambda rows, caption: swapped(rows),
            masks=masks,
            decode=decode,
            coordinates=(0,),
        ),
        block=frozenset({"a"}),
    )


def shared_noise() -> Witness:
    """z^ = a + 2 e with a in (0, 1) and one e in {0, 1} in both image and caption.

    The code of a caption holds something no caption mentions. Discrete noise has room beside a
    within one coordinate; continuous noise would need a further one.

    Source: derived here (C2).

    >>> shared_noise().evaluate(500).other.leak > 0.5
    True
    """
    family = CaptionFamily.from_captions([["a"]])
    return Witness(
        title="noise shared by image and caption",
        statement="3.1",
        breaks="C2",
        family=family,
        draw=lambda rng, n: np.column_stack(
            [rng.uniform(0, 1, n), rng.integers(0, 2, n).astype(float)]
        ),
        plain=_plain(family, frozenset({"a"})),
        other=Solution(
            image=lambda rows: rows[:, :1] + 2 * rows[:, 1:],
            text=lambda rows, caption: rows[:, :1] + 2 * rows[:, 1:],
            masks=lambda rows, caption: np.ones((len(rows), 1), dtype=bool),
            decode=lambda code, caption: code - 2 * (code > 1.5),
            coordinates=(0,),
        ),
        block=frozenset({"a"}),
    )


def linked_support() -> Witness:
    """Z = {a b > 0} x (-1, 1), z^ = (a, b, c + 3 sign a), captions {a, c} and {b, c}.

    Both captions know the common sign, so the coordinate they share holds c and the sign. C1, C3,
    C4 and C5 hold, the code is continuous on Z; only the product support is missing.

    Source: derived here (C2).

    >>> measured = linked_support().evaluate(500)
    >>> measured.other.leak > 0.5, measured.other.used_coordinates
    (True, 3)
    """
    family = CaptionFamily.from_captions([["a", "c"], ["b", "c"]], concepts=["a", "b", "c"])

    def draw(rng: np.random.Generator, n: int) -> Rows:
        sign = rng.choice([-1.0, 1.0], size=n)
        a, b = sign * np.abs(rng.normal(size=(2, n)))
        return np.column_stack([a, b, rng.uniform(-1, 1, n)])

    def known(rows: Rows, caption: int) -> Rows:
        return np.column_stack([rows[:, 0], rows[:, 1], rows[:, 2] + 3 * np.sign(rows[:, caption])])

    return Witness(
        title="two concepts with one sign",
        statement="3.3",
        breaks="C2",
        family=family,
        draw=draw,
        plain=_plain(family, frozenset({"c"})),
        other=Solution(
            image=lambda rows: known(rows, 0),
            text=known,
            masks=lambda rows, caption: np.tile(family.dimension_masks[caption], (len(rows), 1)),
            decode=lambda code, caption: np.column_stack(
                [code[:, caption], code[:, 2] - 3 * np.sign(code[:, 2])]
            ),
            coordinates=(2,),
        ),
        block=frozenset({"c"}),
    )


def two_pieces() -> Witness:
    """Z_n = (0, 1) u (2, 3), z^ = (n mod 2, a + 5 [n > 1.5], b + 5 [n > 1.5]).

    Captions {n, a} and {n, b}. The code is continuous on Z, aligned, lossless and sparsest, and the
    support is a product of open sets; but Z_n is not connected, and the common coordinate forgets
    in which piece n lies.

    Source: derived here (C2).

    >>> measured = two_pieces().evaluate(500)
    >>> measured.other.completeness < 0.8, measured.other.used_coordinates
    (True, 3)
    """
    family = CaptionFamily.from_captions([["n", "a"], ["n", "b"]], concepts=["n", "a", "b"])

    def coded(rows: Rows) -> Rows:
        upper = (rows[:, :1] > 1.5).astype(float)
        return np.hstack([rows[:, :1] - 2 * upper, rows[:, 1:] + 5 * upper])

    def decode(code: Rows, caption: int) -> Rows:
        upper = (code[:, 1 + caption] > 2.5).astype(float)
        return np.column_stack([code[:, 0] + 2 * upper, code[:, 1 + caption] - 5 * upper])

    return Witness(
        title="a concept whose values form two pieces",
        statement="3.3",
        breaks="C2",
        family=family,
        draw=lambda rng, n: np.column_stack(
            [rng.uniform(0, 1, n) + 2 * rng.integers(0, 2, n), *rng.uniform(0, 1, (2, n))]
        ),
        plain=_plain(family, frozenset({"n"})),
        other=Solution(
            image=coded,
            text=lambda rows, caption: coded(rows),
            masks=lambda rows, caption: np.tile(family.dimension_masks[caption], (len(rows), 1)),
            decode=decode,
            coordinates=(0,),
        ),
        block=frozenset({"n"}),
    )


def missing_inverse() -> Witness:
    """z^ = (exp(n) as a complex number, s(a) + Im n / 2 pi, s(b) + Im n / 2 pi), s logistic.

    n has two dimensions; captions {n, a} and {n, b}. Each caption's code has an exact inverse, all
    conditions hold and the common coordinates are pure; but they forget Im n modulo 2 pi. So for
    d(N) >= 2 an intersection is invertible near each point and not everywhere.

    Source: derived here (3.3).

    >>> measured = missing_inverse().evaluate(1000)
    >>> measured.other.leak, measured.other.decoding_error < 1e-6
    (0.0, True)
    >>> measured.plain.completeness > 0.95, measured.other.completeness < 0.8
    (True, True)
    """
    family = CaptionFamily.from_captions(
        [["n", "a"], ["n", "b"]], sizes={"n": 2}, concepts=["n", "a", "b"]
    )

    def coded(rows: Rows) -> Rows:
        real, imaginary = rows[:, 0], rows[:, 1]
        size, turns = np.exp(real), imaginary / (2 * np.pi)
        return np.column_stack(
            [
                size * np.cos(imaginary),
                size * np.sin(imaginary),
                expit(rows[:, 2]) + turns,
                expit(rows[:, 3]) + turns,
            ]
        )

    def decode(code: Rows, caption: int) -> Rows:
        angle = np.arctan2(code[:, 1], code[:, 0])
        rest = code[:, 2 + caption] - angle / (2 * np.pi)
        whole = np.floor(rest)
        return np.column_stack(
            [
                np.log(np.hypot(code[:, 0], code[:, 1])),
                angle + 2 * np.pi * whole,
                logit(rest - whole),
            ]
        )

    return Witness(
        title="an intersection that is only locally invertible",
        statement="3.3",
        breaks="",
        family=family,
        draw=lambda rng, n: rng.normal(size=(n, 4)) * np.array([0.3, 6.0, 1.0, 1.0]),
        plain=_plain(family, frozenset({"n"})),
        other=Solution(
            image=coded,
            text=lambda rows, caption: coded(rows),
            masks=lambda rows, caption: np.tile(family.dimension_masks[caption], (len(rows), 1)),
            decode=decode,
            coordinates=(0, 1),
        ),
        block=frozenset({"n"}),
    )


WITNESSES: tuple[Callable[[], Witness], ...] = (
    rotation,
    rotation_where_values_choose_captions,
    reflection,
    shear,
    duplicated_code,
    value_dependent_mask,
    shared_noise,
    linked_support,
    two_pieces,
    missing_inverse,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """R^2 of z_k from the code, of the code from z_k, and of z_k from the other concept.

    >>> round(wrong_concept(noise=1.0).floor, 1)
    0.5
    """

    completeness: float
    purity: float
    floor: float


def wrong_concept(noise: float = 0.1, samples: int = 20_000, seed: int = 0) -> Scores:
    """z_j ~ N(0, 1), z_k = z_j + noise * e, z^ = z_j taken for k: R^2 = 1 / (1 + noise^2).

    All three scores are the same: near 1, for the wrong concept. A score certifies recovery only
    as far as 1 - R^2 is small against 1 - floor.

    Args:
        noise: standard deviation of what k has of its own.
        samples: number of draws.
        seed: of the draws.

    Source: derived here (3.8).

    >>> scores = wrong_concept()
    >>> round(scores.completeness, 2), round(scores.purity, 2), round(scores.floor, 2)
    (0.99, 0.99, 0.99)
    """
    rng = np.random.default_rng(seed)
    j, e = rng.normal(size=(2, samples))
    k = j + noise * e
    r2 = float(np.corrcoef(j, k)[0, 1] ** 2)
    return Scores(completeness=r2, purity=r2, floor=r2)


def _turned(rows: Rows, sign: float) -> Rows:
    """Columns 1 and 2, which are k, turned by pi times column 0, which is j."""
    angle = sign * np.pi * rows[:, 0]
    cos, sin = np.cos(angle), np.sin(angle)
    turned = rows.copy()
    turned[:, 1] = cos * rows[:, 1] - sin * rows[:, 2]
    turned[:, 2] = sin * rows[:, 1] + cos * rows[:, 2]
    return turned


def _plain(family: CaptionFamily, block: Block) -> Solution:
    space = family.space
    return _mapped(
        family,
        forward=lambda rows: rows[:, : space.dimension],
        backward=lambda code: code,
        coordinates=tuple(space.columns(block)),
    )


def _mapped(
    family: CaptionFamily,
    *,
    forward: Callable[[Rows], Rows],
    backward: Callable[[Rows], Rows],
    coordinates: tuple[int, ...],
) -> Solution:
    """z^ = forward(z) with the masks of the captions; row k uses what accompanies k only."""
    return Solution(
        image=forward,
        text=lambda rows, caption: forward(rows),
        masks=lambda rows, caption: np.tile(family.dimension_masks[caption], (len(rows), 1)),
        decode=lambda code, caption: backward(code)[
            :, family.space.columns(family.captions[caption])
        ],
        coordinates=coordinates,
    )


def _info_nce(image: Rows, text: Rows, masks: Masks, tau: float, batch: int) -> float:
    """Mean of both directions over whole batches."""
    losses: list[float] = []
    for start in range(0, len(image) - batch + 1, batch):
        at = slice(start, start + batch)
        gap = image[at][:, None] - text[at][None]
        logits = -tau * np.einsum("ijd,jd->ij", gap**2, masks[at].astype(float))
        right = np.diagonal(logits)
        losses.append(float(np.mean(logsumexp(logits, axis=0) - right)) / 2)
        losses.append(float(np.mean(logsumexp(logits, axis=1) - right)) / 2)
    return 2 * float(np.mean(losses))


def _nearest_r2(codes: Rows, targets: Rows, neighbours: int = 4) -> float:
    """R^2 of targets from their nearest neighbours by code, each left out of its own average."""
    if codes.shape[1] == 0:
        return 0.0
    found = KDTree(codes).query(codes, k=neighbours + 1)
    others = np.asarray(found[1])[:, 1:]
    error = np.sum((targets[others].mean(axis=1) - targets) ** 2)
    return 1.0 - float(error / np.sum((targets - targets.mean(axis=0)) ** 2))

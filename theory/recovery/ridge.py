"""Kernel ridge on Nystroem landmarks: argmin_f |Y - f(X)|^2 + n lambda |f|_H^2, for every target.

The kernel is a sum: linear, smooth in each coordinate, and Gaussian in all of them together. On m
landmarks X_m the Gaussian part has the feature map k(x, X_m) K_mm^{-1/2}. One eigendecomposition of
the Gram matrix of all features then gives the solution for all targets and all penalties, and the
same features serve every target: the cost hardly depends on how many there are.
"""

# pyright: basic

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from theory.recovery.inputs import Inputs, Regression
from theory.recovery.samples import Split, bumps, unit_penalty_scale

ROWS_AT_ONCE = 16_384
JITTER = 1e-8
MOST_TRIED = 768
FARTHEST = 8.0


def squared_distances(
    left: Float[Tensor, "n columns"], right: Float[Tensor, "m columns"]
) -> Float[Tensor, "n m"]:
    """|x - y|^2 for every pair of rows."""
    lengths = right.square().sum(1)[None]
    distances = torch.addmm(lengths, left, right.T, alpha=-2)
    return distances.add_(left.square().sum(1, keepdim=True)).clamp_min_(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ridge(Regression):
    """What the regression may choose from, and how large it is.

    Attributes:
        landmarks: m, the most landmarks of the Gaussian part.
        bandwidths: candidates for b in exp(-|q - q'|^2 / (2 b^2 columns)); one is chosen for all
            targets, on a small subset of the rows.
        penalties: candidates for lambda; one is chosen for every target.
        fine: rapidly varying functions of each coordinate, how many beside the smooth ones.
    """

    landmarks: int = 256
    bandwidths: tuple[float, ...] = (0.7, 1.8, 5.0)
    penalties: tuple[float, ...] = tuple(10.0**power for power in range(-9, 2))
    fine: int = 0

    def predict(
        self, inputs: Inputs, targets: Float[Tensor, "n targets"], split: Split
    ) -> Float[Tensor, "test targets"]:
        """The targets on the test rows; see `Regression`."""
        fit, choose = split.fit, split.choose
        rows = fit[-MOST_TRIED:]
        if len(rows) < self._features(inputs):
            rows = rows[-MOST_TRIED // 2 :]  # by rows, which takes their number cubed

        def kernel(landmarks: Tensor, bandwidth: float) -> _Kernel:
            return _Kernel.of(inputs, landmarks, bandwidth, self.fine)

        def trial(bandwidth: float) -> float:
            solution = _solve(kernel(fit[:96], bandwidth), targets, rows)
            return float(solution.errors(choose[:256], targets, self.penalties).amin(0).mean())

        bandwidth = self.bandwidths[0]
        if len(self.bandwidths) > 1:
            bandwidth = min(self.bandwidths, key=trial)
        solution = _solve(kernel(fit[: self.landmarks], bandwidth), targets, fit)
        best = solution.errors(choose, targets, self.penalties).argmin(0)
        return solution.predict(split.test, targets.new_tensor(self.penalties)[best])

    def _features(self, inputs: Inputs) -> int:
        """Of a trial, before the Gaussian ones."""
        return (2 + self.fine) * inputs.columns + inputs.smooth.shape[1]

    def coarser(self) -> "Ridge":
        """See `Regression`."""
        return replace(self, landmarks=max(self.landmarks // 2, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kernel:
    """phi(x) for one bandwidth: explicit features first, then k(x, landmarks)."""

    explicit: Float[Tensor, "n explicit"]
    ranked: Float[Tensor, "n columns"]
    landmarks: Float[Tensor, "m columns"]
    scale: float
    root: Float[Tensor, "m m"]

    @classmethod
    def of(
        cls, inputs: Inputs, landmarks: Int[Tensor, " m"], bandwidth: float, fine: int
    ) -> "_Kernel":
        columns = inputs.ranked.shape[1]
        weight = unit_penalty_scale(columns)
        # Of a heavy tail one value far out would decide the fit; its rank remains.
        standard = inputs.standard.clamp(-FARTHEST, FARTHEST)
        explicit = torch.cat([standard, inputs.ranked, inputs.smooth], 1) * weight
        if fine:
            # The width is the distance between neighbours, so their sums reach every function.
            rapid = bumps(inputs.ranked, fine, width=4 / (fine - 1)) * weight
            explicit = torch.cat([explicit, rapid], 1)
        centres = inputs.ranked[landmarks]
        scale = 1 / (2 * bandwidth**2 * max(columns, 1))
        among = torch.exp(-scale * squared_distances(centres, centres))
        among.diagonal().add_(JITTER)
        return cls(
            explicit=explicit,
            ranked=inputs.ranked,
            landmarks=centres,
            scale=scale,
            root=torch.linalg.cholesky(among),
        )

    @property
    def width(self) -> int:
        """The number of features."""
        return self.explicit.shape[1] + len(self.landmarks)

    def features(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows features"]:
        gaussian = torch.exp(-self.scale * squared_distances(self.ranked[rows], self.landmarks))
        return torch.cat([self.explicit[rows], gaussian], 1)

    def whiten(self, moments: Float[Tensor, "features any"]) -> Float[Tensor, "features any"]:
        count = self.explicit.shape[1]
        tail = torch.linalg.solve_triangular(self.root, moments[count:], upper=False)
        return torch.cat([moments[:count], tail])

    def unwhiten(self, weights: Float[Tensor, "features any"]) -> Float[Tensor, "features any"]:
        count = self.explicit.shape[1]
        tail = torch.linalg.solve_triangular(self.root.T, weights[count:], upper=True)
        return torch.cat([weights[:count], tail])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Solution:
    """Weights for every penalty at once, in the eigenbasis of the Gram matrix.

    Attributes:
        apply: (rows, weights [r, any]) -> predictions less the mean of the targets.
        values: eigenvalues.
        moments: of the targets, in the eigenbasis.
        target_mean: on the rows that were fitted.
        rows: how many were fitted.
    """

    apply: Callable[[Tensor, Tensor], Tensor]
    values: Float[Tensor, " r"]
    moments: Float[Tensor, "r targets"]
    target_mean: Float[Tensor, " targets"]
    rows: int

    def predict(
        self, rows: Int[Tensor, " rows"], penalties: Float[Tensor, " targets"]
    ) -> Float[Tensor, "rows targets"]:
        weights = self.moments / (self.values[:, None] + self.rows * penalties[None])
        return torch.cat([self.apply(part, weights) for part in rows.split(ROWS_AT_ONCE)]) + (
            self.target_mean
        )

    def errors(
        self,
        rows: Int[Tensor, " rows"],
        targets: Float[Tensor, "n targets"],
        penalties: tuple[float, ...],
    ) -> Float[Tensor, "penalties targets"]:
        """Mean squared error on `rows` for each penalty."""
        shifts = self.rows * targets.new_tensor(penalties)
        shrunk = self.moments[:, None] / (self.values[:, None, None] + shifts[None, :, None])
        totals = targets.new_zeros(len(penalties), targets.shape[1])
        for part in rows.split(ROWS_AT_ONCE // len(penalties)):
            predicted = self.apply(part, shrunk.flatten(1)).unflatten(1, totals.shape)
            totals += (predicted - (targets[part] - self.target_mean)[:, None]).square().sum(0)
        return totals / len(rows)


def _solve(
    kernel: _Kernel, targets: Float[Tensor, "n targets"], rows: Int[Tensor, " rows"]
) -> _Solution:
    """By the Gram matrix of the features or of the rows, whichever is smaller."""
    return (_by_rows if len(rows) < kernel.width else _by_features)(kernel, targets, rows)


def _by_features(
    kernel: _Kernel, targets: Float[Tensor, "n targets"], rows: Int[Tensor, " rows"]
) -> _Solution:
    gram: Tensor | float = 0.0
    moments: Tensor | float = 0.0
    total: Tensor | float = 0.0
    target_mean = targets[rows].mean(0)
    for part in rows.split(ROWS_AT_ONCE):
        features = kernel.features(part)
        gram = gram + features.T @ features
        moments = moments + features.T @ (targets[part] - target_mean)
        total = total + features.sum(0)
    assert isinstance(gram, Tensor)
    assert isinstance(moments, Tensor)
    assert isinstance(total, Tensor)
    mean = total / len(rows)
    # The targets are centred, so their moments need no correction for the mean of the features.
    gram -= len(rows) * torch.outer(mean, mean)
    values, vectors = torch.linalg.eigh(kernel.whiten(kernel.whiten(gram).T))
    basis = kernel.unwhiten(vectors)

    def apply(part: Tensor, weights: Tensor) -> Tensor:
        return torch.linalg.multi_dot([kernel.features(part) - mean, basis, weights])

    return _Solution(
        apply=apply,
        values=values.clamp_min(0),
        moments=vectors.T @ kernel.whiten(moments),
        target_mean=target_mean,
        rows=len(rows),
    )


def _by_rows(
    kernel: _Kernel, targets: Float[Tensor, "n targets"], rows: Int[Tensor, " rows"]
) -> _Solution:
    known = kernel.whiten(kernel.features(rows).T).T
    mean = known.mean(0)
    known = known - mean
    target_mean = targets[rows].mean(0)
    values, vectors = torch.linalg.eigh(known @ known.T)

    def apply(part: Tensor, weights: Tensor) -> Tensor:
        asked = kernel.whiten(kernel.features(part).T).T - mean
        return torch.linalg.multi_dot([asked, known.T, vectors, weights])

    return _Solution(
        apply=apply,
        values=values.clamp_min(0),
        moments=vectors.T @ (targets[rows] - target_mean),
        target_mean=target_mean,
        rows=len(rows),
    )

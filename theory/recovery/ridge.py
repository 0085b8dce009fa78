"""Kernel ridge on Nystroem landmarks: argmin_f |Y - f(X)|^2 + n lambda |f|_H^2, for every target.

The kernel is a sum: linear, smooth in each coordinate, and Gaussian in all of them together. On m
landmarks X_m the Gaussian part has the feature map k(x, X_m) K_mm^{-1/2}. One eigendecomposition of
the Gram matrix of all features then gives the solution for all targets and all penalties, and the
same features serve every target: the cost hardly depends on how many there are.
"""

# pyright: basic

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from theory.recovery.inputs import Inputs, Regression
from theory.recovery.samples import Split, unit_penalty_scale

ROWS_AT_ONCE = 16_384
JITTER = 1e-8


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
    """

    landmarks: int = 256
    bandwidths: tuple[float, ...] = (0.7, 1.8, 5.0)
    penalties: tuple[float, ...] = tuple(10.0**power for power in range(-9, 2))

    def predict(
        self, inputs: Inputs, targets: Float[Tensor, "n targets"], split: Split
    ) -> Float[Tensor, "test targets"]:
        """The targets on the test rows; see `Regression`."""
        fit, choose = split.fit, split.choose
        few = fit[-768:], choose[:256], fit[:96]

        def trial(bandwidth: float) -> float:
            solution = _solve(_Kernel.of(inputs, few[2], bandwidth), targets, few[0])
            return float(solution.errors(few[1], targets, self.penalties).amin(0).mean())

        bandwidth = self.bandwidths[0]
        if len(self.bandwidths) > 1:
            bandwidth = min(self.bandwidths, key=trial)
        solution = _solve(_Kernel.of(inputs, fit[: self.landmarks], bandwidth), targets, fit)
        best = solution.errors(choose, targets, self.penalties).argmin(0)
        return solution.predict(split.test, targets.new_tensor(self.penalties)[best])

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
    def of(cls, inputs: Inputs, landmarks: Int[Tensor, " m"], bandwidth: float) -> "_Kernel":
        columns = inputs.ranked.shape[1]
        weight = unit_penalty_scale(columns)
        explicit = torch.cat([inputs.standard, inputs.ranked, inputs.smooth], 1) * weight
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
    """Weights for every penalty at once, in the eigenbasis of the Gram matrix."""

    kernel: _Kernel
    basis: Float[Tensor, "features r"]
    values: Float[Tensor, " r"]
    moments: Float[Tensor, "r targets"]
    feature_mean: Float[Tensor, " features"]
    target_mean: Float[Tensor, " targets"]
    rows: int

    def predict(
        self, rows: Int[Tensor, " rows"], penalties: Float[Tensor, " targets"]
    ) -> Float[Tensor, "rows targets"]:
        weights = self.basis @ (self.moments / (self.values[:, None] + self.rows * penalties[None]))
        parts = [
            (self.kernel.features(part) - self.feature_mean) @ weights
            for part in rows.split(ROWS_AT_ONCE)
        ]
        return torch.cat(parts) + self.target_mean

    def errors(
        self,
        rows: Int[Tensor, " rows"],
        targets: Float[Tensor, "n targets"],
        penalties: tuple[float, ...],
    ) -> Float[Tensor, "penalties targets"]:
        """Mean squared error on `rows` for each penalty."""
        shifts = self.rows * targets.new_tensor(penalties)
        shrunk = self.moments[:, None] / (self.values[:, None, None] + shifts[None, :, None])
        weights = self.basis @ shrunk.flatten(1)
        totals = targets.new_zeros(len(penalties), targets.shape[1])
        for part in rows.split(ROWS_AT_ONCE // len(penalties)):
            code = self.kernel.features(part) - self.feature_mean
            predicted = (code @ weights).unflatten(1, totals.shape)
            totals += (predicted - (targets[part] - self.target_mean)[:, None]).square().sum(0)
        return totals / len(rows)


def _solve(
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
    return _Solution(
        kernel=kernel,
        basis=kernel.unwhiten(vectors),
        values=values.clamp_min(0),
        moments=vectors.T @ kernel.whiten(moments),
        feature_mean=mean,
        target_mean=target_mean,
        rows=len(rows),
    )

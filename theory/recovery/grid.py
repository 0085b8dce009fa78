"""The grid of the recovery papers: Gaussian kernel ridge, 4 penalties x 4 bandwidths, 3 folds.

Source: von Kuegelgen et al., NeurIPS 2021, and the code of its successors: scikit-learn's
`GridSearchCV(KernelRidge(kernel="rbf"), {"alpha": [1, 0.1, 0.01, 0.001], "gamma": logspace(-2, 2,
4)}, cv=3)`, one search for each target. Here all folds, penalties and targets share the kernel
matrix and are solved together by conjugate gradients, so no system of size n is ever factorised:

    (K_ff + alpha I) w = y_f,   preconditioned by the same system on m landmarks.
"""

# pyright: basic

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from theory.recovery.inputs import Inputs, Regression
from theory.recovery.ridge import JITTER, squared_distances
from theory.recovery.samples import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid(Regression):
    """The papers' choice protocol, on the fit and choose rows together.

    Attributes:
        gammas: of exp(-gamma |x - x'|^2), on standardised inputs.
        alphas: penalties.
        folds: contiguous, as scikit-learn's `KFold`.
        landmarks: of the preconditioner; they change the time, not the answer.
        tolerance: of the predictions, as a share of the targets; ten times as much in the search.
        most_steps: of conjugate gradients.
        first_rows: rows of a first search, for data with more than twice as many.
        margin: R2 that a pair may lack in the first search and still contend in the second.
    """

    gammas: tuple[float, ...] = (0.01, 10 ** (-2 / 3), 10 ** (2 / 3), 100.0)
    alphas: tuple[float, ...] = (1.0, 0.1, 0.01, 0.001)
    folds: int = 3
    landmarks: int = 512
    tolerance: float = 1e-3
    most_steps: int = 200
    first_rows: int = 900
    margin: float = 0.03

    def predict(
        self, inputs: Inputs, targets: Float[Tensor, "n targets"], split: Split
    ) -> Float[Tensor, "test targets"]:
        """The targets on the test rows; see `Regression`."""
        known = torch.cat([split.fit, split.choose])
        x, y = inputs.standard[known], targets[known]
        best = self.search(x, y)
        return self.refit(x, y, inputs.standard[split.test], best)

    def search(
        self, x: Float[Tensor, "n columns"], y: Float[Tensor, "n targets"]
    ) -> list[tuple[float, float]]:
        """(gamma, alpha) with the best mean R2 over the folds, for each target.

        A first search on few rows leaves out what is clearly worse than the best.
        """
        shape = len(self.gammas), len(self.alphas), y.shape[1]
        contends = torch.ones(shape, dtype=torch.bool, device=x.device)
        if len(x) > 2 * self.first_rows:
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
            few = order[: self.first_rows].to(x.device)
            first = self._scores(x[few], y[few], contends)
            contends = first >= first.amax((0, 1)) - self.margin
        best = self._scores(x, y, contends).flatten(0, 1).argmax(0).tolist()
        return [
            (self.gammas[place // len(self.alphas)], self.alphas[place % len(self.alphas)])
            for place in best
        ]

    def _scores(
        self,
        x: Float[Tensor, "n columns"],
        y: Float[Tensor, "n targets"],
        contends: Bool[Tensor, "gammas alphas targets"],
    ) -> Float[Tensor, "gammas alphas targets"]:
        """Mean R2 over the folds; minus infinity for what does not contend."""
        n = len(x)
        distances = squared_distances(x, x)
        kept = torch.ones(self.folds, n, dtype=torch.bool, device=x.device)
        for fold, rows in enumerate(torch.arange(n, device=x.device).tensor_split(self.folds)):
            kept[fold, rows] = False
        scores = x.new_full(contends.shape, -torch.inf)
        for index, gamma in enumerate(self.gammas):
            used = contends[index].any(1).nonzero().squeeze(1)
            targets = contends[index].any(0).nonzero().squeeze(1)
            if len(used) == 0:
                continue
            kernel = torch.exp(-gamma * distances)
            alphas = tuple(self.alphas[place] for place in used.tolist())
            _, predicted = self._solve(kernel, y[:, targets], kept, alphas, 10 * self.tolerance)
            means = torch.stack(
                [
                    _r2(predicted[~part, fold], y[~part][:, targets])
                    for fold, part in enumerate(kept)
                ]
            ).mean(0)
            scores[index, used[:, None], targets[None]] = means
        return scores.where(contends, -torch.inf)

    def refit(
        self,
        x: Float[Tensor, "n columns"],
        y: Float[Tensor, "n targets"],
        new: Float[Tensor, "new columns"],
        chosen: list[tuple[float, float]],
    ) -> Float[Tensor, "new targets"]:
        """Predictions for new rows, each target with its own (gamma, alpha)."""
        predicted = x.new_empty(len(new), y.shape[1])
        everything = torch.ones(1, len(x), dtype=torch.bool, device=x.device)
        for gamma in dict.fromkeys(gamma for gamma, _ in chosen):
            kernel = torch.exp(-gamma * squared_distances(x, x))
            across = torch.exp(-gamma * squared_distances(new, x))
            for alpha in dict.fromkeys(alpha for g, alpha in chosen if g == gamma):
                places = [i for i, pair in enumerate(chosen) if pair == (gamma, alpha)]
                weights, _ = self._solve(kernel, y[:, places], everything, (alpha,), self.tolerance)
                predicted[:, places] = across @ weights[:, 0, 0]
        return predicted

    def _solve(
        self,
        kernel: Float[Tensor, "n n"],
        y: Float[Tensor, "n targets"],
        kept: Bool[Tensor, "folds n"],
        alphas: tuple[float, ...],
        tolerance: float,
    ) -> tuple[Float[Tensor, "n folds alphas targets"], Float[Tensor, "n folds alphas targets"]]:
        """w, zero on the rows a fold leaves out, and K w, by preconditioned conjugate gradients.

        A column is done when for two steps in a row what is read of it moves by less than the
        tolerance and the residual is below three times the tolerance.
        """
        held = ~kept.T[:, :, None, None]
        shift = y.new_tensor(alphas)[None, None, :, None]
        goal = y[:, None, None].masked_fill(held, 0).expand(-1, -1, len(alphas), -1)
        # What is read of the answer: the rows left out, or all rows if there are none.
        read = held if bool(held.any()) else ~held
        scale = (y[:, None, None].square() * read).sum(0).sqrt().clamp_min(1e-30)
        size = goal.square().sum(0).sqrt()
        precondition = _Preconditioner.of(kernel, kept, self.landmarks, shift)

        shape = goal.shape
        weights, predicted = torch.zeros(shape).to(goal), torch.zeros(shape).to(goal)
        residual = goal.clone()
        change = precondition.apply(residual)
        direction = change.clone()
        power = (residual * change).sum(0)
        quiet = torch.zeros(shape[1:], dtype=torch.int64, device=y.device)
        for _ in range(self.most_steps):
            # Columns that no longer move leave the product, which is nearly all of the time.
            live = quiet < 2
            if not bool(live.any()):
                break
            image = torch.zeros_like(direction)
            image[:, live] = kernel @ direction[:, live]
            acting = image.masked_fill(held, 0) + shift * direction
            step = power / (direction * acting).sum(0).clamp_min(1e-30) * live
            weights.addcmul_(step, direction)
            predicted.addcmul_(step, image)
            residual.addcmul_(step, acting, value=-1)
            moved = step.abs() * (image.square() * read).sum(0).sqrt()
            # Either alone deceives: predictions may pause, residuals may hide in few directions.
            left = residual.square().sum(0).sqrt()
            still = (moved < tolerance * scale) & (left < 3 * tolerance * size)
            quiet = torch.where(still, quiet + 1, 0)
            change = precondition.apply(residual)
            next_power = (residual * change).sum(0)
            direction = change.addcmul_(next_power / power.clamp_min(1e-30), direction)
            power = next_power
        return weights, predicted


@dataclass(frozen=True, kw_only=True, slots=True)
class _Preconditioner:
    """(F F^T + alpha I)^{-1} with F F^T the kernel matrix of a fold through its landmarks."""

    factors: Float[Tensor, "folds n m"]
    values: Float[Tensor, "folds m"]
    shift: Float[Tensor, "1 1 alphas 1"]

    @classmethod
    def of(
        cls, kernel: Tensor, kept: Bool[Tensor, "folds n"], landmarks: int, shift: Tensor
    ) -> "_Preconditioner":
        n = len(kernel)
        places = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:landmarks]
        places = places.to(kernel.device)
        columns = kernel[:, places]
        among = columns[places].clone()
        among.diagonal().add_(JITTER)
        root = torch.linalg.cholesky(among)
        white = torch.linalg.solve_triangular(root, columns.T, upper=False).T
        factors, values = [], []
        for part in kept:
            fold = white * part[:, None]
            value, vectors = torch.linalg.eigh(fold.T @ fold)
            factors.append(fold @ vectors)
            values.append(value.clamp_min(0))
        return cls(factors=torch.stack(factors), values=torch.stack(values), shift=shift)

    def apply(
        self, residual: Float[Tensor, "n folds alphas targets"]
    ) -> Float[Tensor, "n folds alphas targets"]:
        """By Woodbury's identity, F^T F being diagonal."""
        parts = []
        for fold, factor in enumerate(self.factors):
            rows = residual[:, fold]
            inner = (factor.T @ rows.flatten(1)).unflatten(1, rows.shape[1:])
            inner = inner / (self.values[fold][:, None, None] + self.shift[0])
            parts.append(rows - (factor @ inner.flatten(1)).unflatten(1, rows.shape[1:]))
        return torch.stack(parts, 1) / self.shift


def _r2(
    predicted: Float[Tensor, "rows alphas targets"], wanted: Float[Tensor, "rows targets"]
) -> Float[Tensor, "alphas targets"]:
    missed = (predicted - wanted[:, None]).square().sum(0)
    return 1 - missed / (wanted - wanted.mean(0)).square().sum(0).clamp_min(1e-300)

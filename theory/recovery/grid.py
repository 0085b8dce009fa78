"""The grid of the recovery papers: Gaussian kernel ridge, 4 penalties x 4 bandwidths, 3 folds.

Source: von Kuegelgen et al., NeurIPS 2021, and the code of its successors: scikit-learn's
`GridSearchCV(KernelRidge(kernel="rbf"), {"alpha": [1, 0.1, 0.01, 0.001], "gamma": logspace(-2, 2,
4)}, cv=3)`, one search for each target. Here all targets share every system, and pairs (gamma,
alpha) race (Maron and Moore, NeurIPS 1993): what is clearly behind after a fold is dropped,

    mean(e_p - e_best) > 3 standard errors,   e the squared errors on the same held-out rows,

and a target whose remaining pairs are equal up to `tie` is settled.
"""

# pyright: basic

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from theory.recovery.gaussian import GaussianKernel
from theory.recovery.inputs import Inputs, Regression
from theory.recovery.ridge import squared_distances
from theory.recovery.samples import Split

ERRORS = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid(Regression):
    """The papers' choice protocol, on the fit and choose rows together.

    Attributes:
        gammas: of exp(-gamma |x - x'|^2), on standardised inputs.
        alphas: penalties.
        folds: contiguous, as scikit-learn's `KFold`.
        landmarks: of the low rank form of smooth kernels.
        first_rows: rows of a first search, for data with more than twice as many.
        margin: R2 that a pair may lack in the first search and still enter the second.
        tie: R2 by which the pairs of a settled target may differ.
    """

    gammas: tuple[float, ...] = (0.01, 10 ** (-2 / 3), 10 ** (2 / 3), 100.0)
    alphas: tuple[float, ...] = (1.0, 0.1, 0.01, 0.001)
    folds: int = 3
    landmarks: int = 512
    first_rows: int = 900
    margin: float = 0.05
    tie: float = 5e-4

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

        A first search on few rows leaves out what is far worse than the best.
        """
        pairs = [(gamma, alpha) for gamma in self.gammas for alpha in self.alphas]
        entered = torch.ones(len(pairs), y.shape[1], dtype=torch.bool, device=x.device)
        if len(x) > 2 * self.first_rows:
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
            few = order[: self.first_rows].to(x.device)
            every = entered
            scores = torch.stack(
                [1 - errors.mean(1) for errors in self._folds(x[few], y[few], lambda: every)]
            ).mean(0)
            entered = scores >= scores.amax(0) - self.margin
        return [pairs[place] for place in self._race(x, y, entered).tolist()]

    def _race(
        self,
        x: Float[Tensor, "n columns"],
        y: Float[Tensor, "n targets"],
        live: Bool[Tensor, "pairs targets"],
    ) -> Int[Tensor, " targets"]:
        """The pair that wins each target."""
        targets = torch.arange(y.shape[1], device=y.device)
        total = x.new_zeros(live.shape)
        best = live.int().argmax(0)
        live = live & (live.sum(0) > 1)
        for fold, errors in enumerate(self._folds(x, y, lambda: live), start=1):
            running = live.any(0)
            total += 1 - errors.mean(1)
            mean = (total / fold).where(live, -torch.inf)
            best = torch.where(running, mean.argmax(0), best)
            behind = mean[best, targets] - mean
            paired = errors - errors[best, :, targets].T
            live &= behind <= ERRORS * paired.std(1) / paired.shape[1] ** 0.5
            # Settled: nobody else is left, or whoever is left is as good.
            live &= behind.where(live, 0).amax(0) > self.tie
        return best

    def _folds(
        self,
        x: Float[Tensor, "n columns"],
        y: Float[Tensor, "n targets"],
        live: Callable[[], Bool[Tensor, "pairs targets"]],
    ) -> Iterator[Float[Tensor, "pairs asked targets"]]:
        """Squared errors of each fold's rows, over the variance there; 0 for pairs not live."""
        kernels = self._kernels(x)
        rows = torch.arange(len(x), device=x.device)
        # The last fold first: its fit rows are a run of rows.
        for asked in reversed(rows.tensor_split(self.folds)):
            wanted = live().unflatten(0, (len(self.gammas), len(self.alphas)))
            if not bool(wanted.any()):
                return
            fit = torch.cat([rows[: asked[0]], rows[asked[-1] + 1 :]])
            power = (y[asked] - y[asked].mean(0)).square().mean(0).clamp_min(1e-300)
            yield self._errors(kernels, y, fit, asked, wanted).flatten(0, 1) / power

    def _kernels(self, x: Float[Tensor, "n columns"]) -> list[GaussianKernel]:
        distances = squared_distances(x, x).float()
        return [
            GaussianKernel(x=x, gamma=gamma, distances=distances, landmarks=self.landmarks)
            for gamma in self.gammas
        ]

    def _errors(
        self,
        kernels: list[GaussianKernel],
        y: Float[Tensor, "n targets"],
        fit: Int[Tensor, " fit"],
        asked: Int[Tensor, " asked"],
        live: Bool[Tensor, "gammas alphas targets"],
    ) -> Float[Tensor, "gammas alphas asked targets"]:
        errors = y.new_zeros(*live.shape[:2], len(asked), y.shape[1])
        for index, kernel in enumerate(kernels):
            used = live[index].any(1).nonzero().squeeze(1)
            targets = live[index].any(0).nonzero().squeeze(1)
            if len(used) == 0:
                continue
            alphas = tuple(self.alphas[place] for place in used.tolist())
            found = kernel.predict(fit, asked, y[fit][:, targets], alphas, polish=False)
            missed = (found - y[asked][:, None, targets]).square()
            errors[index, used[:, None], :, targets[None]] = missed.permute(1, 2, 0)
        return errors

    def refit(
        self,
        x: Float[Tensor, "n columns"],
        y: Float[Tensor, "n targets"],
        new: Float[Tensor, "new columns"],
        chosen: list[tuple[float, float]],
    ) -> Float[Tensor, "new targets"]:
        """Predictions for new rows, each target with its own (gamma, alpha)."""
        both = torch.cat([x, new])
        rows = torch.arange(len(both), device=x.device)
        fit, asked = rows[: len(x)], rows[len(x) :]
        distances = squared_distances(both, both[: len(x)]).float()
        predicted = x.new_empty(len(new), y.shape[1])
        for gamma in dict.fromkeys(gamma for gamma, _ in chosen):
            kernel = GaussianKernel(
                x=both, gamma=gamma, distances=distances, landmarks=self.landmarks
            )
            for alpha in dict.fromkeys(alpha for g, alpha in chosen if g == gamma):
                places = [i for i, pair in enumerate(chosen) if pair == (gamma, alpha)]
                found = kernel.predict(fit, asked, y[:, places], (alpha,), polish=True)
                predicted[:, places] = found[:, 0]
        return predicted

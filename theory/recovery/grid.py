"""The grid of the recovery papers: Gaussian kernel ridge, 4 penalties x 4 bandwidths, 3 folds.

Source: von Kuegelgen et al., NeurIPS 2021, and the code of its successors: scikit-learn's
`GridSearchCV(KernelRidge(kernel="rbf"), {"alpha": [1, 0.1, 0.01, 0.001], "gamma": logspace(-2, 2,
4)}, cv=3)`, one search for each target. Here all targets share every system, and pairs (gamma,
alpha) race (Maron and Moore, NeurIPS 1993). With e the squared errors on the same held-out rows and
s four standard errors of the mean of e_p - e_best, a pair leaves after a fold if it is

    clearly behind   mean(e_p - e_best) > s,        or
    clearly equal    mean(e_p - e_best) + s <= tie.
"""

# pyright: basic

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from theory.recovery.gaussian import GaussianKernel
from theory.recovery.inputs import Inputs, Regression
from theory.recovery.ridge import squared_distances
from theory.recovery.samples import Split

ERRORS = 4.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid(Regression):
    """The papers' choice protocol, on the fit and choose rows together.

    Attributes:
        gammas: of exp(-gamma |x - x'|^2), on standardised inputs.
        alphas: penalties.
        folds: contiguous, as scikit-learn's `KFold`.
        landmarks: of the low rank form of smooth kernels.
        tie: R2 by which pairs may differ and count as equal.
    """

    gammas: tuple[float, ...] = (0.01, 10 ** (-2 / 3), 10 ** (2 / 3), 100.0)
    alphas: tuple[float, ...] = (1.0, 0.1, 0.01, 0.001)
    folds: int = 3
    landmarks: int = 512
    tie: float = 1e-3

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
        """(gamma, alpha) with the best mean R2 over the folds, for each target."""
        pairs = [(gamma, alpha) for gamma in self.gammas for alpha in self.alphas]
        return [pairs[place] for place in self._race(x, y).tolist()]

    def _race(
        self,
        x: Float[Tensor, "n columns"],
        y: Float[Tensor, "n targets"],
    ) -> Int[Tensor, " targets"]:
        """The pair that wins each target."""
        targets = torch.arange(y.shape[1], device=y.device)
        total = x.new_zeros(len(self.gammas) * len(self.alphas), y.shape[1])
        live = torch.ones_like(total, dtype=torch.bool)
        best = torch.zeros_like(targets)
        for fold, errors in enumerate(self._folds(x, y, live), start=1):
            running = live.any(0)
            total += 1 - errors.mean(1)
            mean = (total / fold).where(live, -torch.inf)
            best = torch.where(running, mean.argmax(0), best)
            behind = mean[best, targets] - mean
            paired = errors - errors[best, :, targets].T
            doubt = ERRORS * paired.std(1) / paired.shape[1] ** 0.5
            live &= (behind <= doubt) & (behind + doubt > self.tie)
            # What is left is a race only against the best, whose own doubt is 0.
            live[best, targets] = live.any(0)
        return best

    def _folds(
        self,
        x: Float[Tensor, "n columns"],
        y: Float[Tensor, "n targets"],
        live: Bool[Tensor, "pairs targets"],
    ) -> Iterator[Float[Tensor, "pairs asked targets"]]:
        """Squared errors of each fold's rows, over the variance there; 0 where not live."""
        kernels = self._kernels(x)
        rows = torch.arange(len(x), device=x.device)
        # The last fold first: its fit rows are a run of rows.
        for asked in reversed(rows.tensor_split(self.folds)):
            wanted = live.unflatten(0, (len(self.gammas), len(self.alphas)))
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

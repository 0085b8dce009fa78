"""The grid of the recovery papers: Gaussian kernel ridge, 4 penalties x 4 bandwidths, 3 folds.

Source: von Kuegelgen et al., NeurIPS 2021, and the code of its successors: scikit-learn's
`GridSearchCV(KernelRidge(kernel="rbf"), {"alpha": [1, 0.1, 0.01, 0.001], "gamma": logspace(-2, 2,
4)}, cv=3)`, one search for each target. Here all targets share every system. The search solves in
float32, which moves a penalty by less than what lies between two of the grid; the fit that answers
is in float64.
"""

# pyright: basic

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from theory.errors import InputError
from theory.recovery.gaussian import GaussianKernel
from theory.recovery.inputs import Inputs, Regression
from theory.recovery.samples import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid(Regression):
    """The papers' choice protocol, on the fit and choose rows together.

    A fit on n rows holds the kernel of every pair of them, 8 n^2 bytes (3.2 GB for 20,000 rows),
    and takes time in n^3. `block_recovery` fits on no more than 20,000 rows, whatever the number
    of samples; the rows to predict are taken 256 at a time.

    Attributes:
        gammas: of exp(-gamma |x - x'|^2), on standardised inputs.
        alphas: penalties.
        folds: contiguous, as scikit-learn's `KFold`.
        landmarks: of the low rank form of smooth kernels.
        most_rows: to fit on; more are refused.
    """

    gammas: tuple[float, ...] = (0.01, 10 ** (-2 / 3), 10 ** (2 / 3), 100.0)
    alphas: tuple[float, ...] = (1.0, 0.1, 0.01, 0.001)
    folds: int = 3
    landmarks: int = 512
    most_rows: int = 20_000

    def predict(
        self, inputs: Inputs, targets: Float[Tensor, "n targets"], split: Split
    ) -> Float[Tensor, "test targets"]:
        """The targets on the test rows; see `Regression`."""
        known = torch.cat([split.fit, split.choose])
        x, y = inputs.standard[known], targets[known]
        return self.refit(x, y, inputs.standard[split.test], self.search(x, y))

    def search(
        self, x: Float[Tensor, "n columns"], y: Float[Tensor, "n targets"]
    ) -> list[tuple[float, float]]:
        """(gamma, alpha) with the best mean R2 over the folds, for each target.

        Raises:
            InputError: fewer rows than two a fold, or more than `most_rows`.

        >>> x = torch.randn(90, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> Grid().search(x, torch.cat([torch.sin(9 * x), x], 1))
        [(100.0, 0.001), (0.01, 0.001)]
        """
        self._check(x)
        if len(x) < 2 * self.folds:
            raise InputError(
                f"{len(x)} rows for {self.folds} folds",
                rule="each fold scores 2 or more rows",
                fix=f"give {2 * self.folds} rows or more",
            )
        score = x.new_zeros(len(self.gammas), len(self.alphas), y.shape[1])
        rows = torch.arange(len(x), device=x.device)
        for asked in rows.tensor_split(self.folds):
            fit = torch.cat([rows[: asked[0]], rows[asked[-1] + 1 :]])
            wanted = y[asked]
            power = (wanted - wanted.mean(0)).square().sum(0)
            for gamma, found in zip(self.gammas, score, strict=True):
                kernel = self._kernel(gamma, torch.float32)
                missed = kernel.predict(x[fit], y[fit], x[asked], self.alphas) - wanted[:, None]
                found -= missed.square().sum(0) / power.clamp_min(1e-300)
        pairs = [(gamma, alpha) for gamma in self.gammas for alpha in self.alphas]
        return [pairs[place] for place in score.flatten(0, 1).argmax(0).tolist()]

    def refit(
        self,
        x: Float[Tensor, "n columns"],
        y: Float[Tensor, "n targets"],
        new: Float[Tensor, "new columns"],
        chosen: list[tuple[float, float]],
    ) -> Float[Tensor, "new targets"]:
        """Predictions for new rows, each target with its own (gamma, alpha).

        Raises:
            InputError: more rows to fit on than `most_rows`.
        """
        self._check(x)
        predicted = x.new_empty(len(new), y.shape[1])
        for gamma, alpha in dict.fromkeys(chosen):
            places = [i for i, pair in enumerate(chosen) if pair == (gamma, alpha)]
            kernel = self._kernel(gamma, torch.float64)
            predicted[:, places] = kernel.predict(x, y[:, places], new, (alpha,))[:, 0]
        return predicted

    def _kernel(self, gamma: float, precision: torch.dtype) -> GaussianKernel:
        return GaussianKernel(gamma=gamma, landmarks=self.landmarks, precision=precision)

    def _check(self, x: Float[Tensor, "n columns"]) -> None:
        if len(x) > self.most_rows:
            raise InputError(
                f"the grid is to be fitted on {len(x)} rows",
                rule=f"its kernel holds every pair of rows; it takes at most {self.most_rows}",
                fix="use the default regression, Ridge(), which needs landmarks only",
            )

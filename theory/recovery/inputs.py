"""f(X) on held-out rows: what a regression reads, and what every regression does.

The inputs are prepared once, for all columns of z or zhat; each regression takes some of them.
"""

# pyright: basic

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from theory.recovery.samples import (
    Split,
    bumps,
    feature_columns,
    normalised_by_rank,
    standardised,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Columns that a regression may read, in three forms.

    Attributes:
        standard: standardised on the fit rows.
        ranked: mapped to a standard normal by rank.
        smooth: smooth functions of each ranked column.
    """

    standard: Float[Tensor, "n columns"]
    ranked: Float[Tensor, "n columns"]
    smooth: Float[Tensor, "n features"]

    @classmethod
    def of(cls, values: Float[Tensor, "n columns"], split: Split) -> "Inputs":
        ranked = normalised_by_rank(values, split.fit)
        return cls(standard=standardised(values, split.fit), ranked=ranked, smooth=bumps(ranked))

    def take(self, columns: list[int]) -> "Inputs":
        return Inputs(
            standard=self.standard[:, columns],
            ranked=self.ranked[:, columns],
            smooth=self.smooth[:, feature_columns(columns)],
        )

    @property
    def columns(self) -> int:
        return self.standard.shape[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Regression(ABC):
    """Predicts held-out rows."""

    @abstractmethod
    def predict(
        self, inputs: Inputs, targets: Float[Tensor, "n targets"], split: Split
    ) -> Float[Tensor, "test targets"]:
        """The targets on the test rows.

        Weights come from the fit rows, every choice from the choose rows (or from
        cross-validation over both); the test rows are read as inputs only.

        Args:
            inputs: at least one column.
            targets: standardised on the fit rows.
            split: which rows serve what.
        """

    def coarser(self) -> "Regression | None":
        """The same with half of its landmarks, to estimate their error; None without landmarks."""
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Line(Regression):
    """The linear regression, with a penalty of rounding size for columns that repeat each other."""

    penalty: float = 1e-8

    def predict(
        self, inputs: Inputs, targets: Float[Tensor, "n targets"], split: Split
    ) -> Float[Tensor, "test targets"]:
        """The targets on the test rows; see `Regression`."""
        known = inputs.standard[split.fit]
        mean = targets[split.fit].mean(0)
        gram = known.T @ known
        gram.diagonal().add_(self.penalty * len(known))
        weights = torch.linalg.solve(gram, known.T @ (targets[split.fit] - mean))
        return inputs.standard[split.test] @ weights + mean

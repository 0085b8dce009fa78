"""R2(Y <- X) = 1 - |Y - f(X)|^2 / |Y - mean Y|^2 on held-out rows, per coordinate of Y.

Y are the normal scores of the target, so that a few far values or modes do not decide the score.
Each regression tries twice and keeps what errs less on the choose rows: it predicts the scores, or
it predicts the values and takes the scores of its predictions (derived here).

One factorisation answers completeness, purity and both floors for all blocks that read the same
columns. From zhat only z is ever asked for; from z both.
"""

# pyright: basic

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from theory.recovery.inputs import Inputs, Line, Regression
from theory.recovery.samples import NormalScores, Split, spread, standardised

MOST_SECOND = 16
TOLD = 0.001
FEW_VALUES = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """Held-out R2 of every target from one set of inputs; NaN for a constant target.

    Attributes:
        nonlinear: R2 by the nonlinear regression, [targets].
        linear: R2 by a line, [targets].
        resampled: nonlinear R2 on bootstrap resamples of the test rows, [resamples, targets].
    """

    nonlinear: Float[Tensor, " targets"]
    linear: Float[Tensor, " targets"]
    resampled: Float[Tensor, "resamples targets"]

    def of(self, targets: list[int]) -> "Explained":
        """The same for some of the targets."""
        return Explained(
            nonlinear=self.nonlinear[targets],
            linear=self.linear[targets],
            resampled=self.resampled[:, targets],
        )


@dataclass(frozen=True, kw_only=True)
class Regressions:
    """Regressions of [z | zhat] on chosen columns of z or of zhat, each computed once.

    Attributes:
        latents: z [n, d].
        code: zhat [n, D], on the device of z.
        regression: the nonlinear regression.
        split: which rows serve what.
        resamples: bootstrap resamples of the test rows.
        seed: draws the resamples.
        second: a regression that may be asked for a second opinion.
    """

    latents: Float[Tensor, "n d"]
    code: Float[Tensor, "n D"]
    regression: Regression
    split: Split
    resamples: int
    seed: int
    second: Regression | None = None
    _known: dict[tuple[object, ...], Explained] = field(default_factory=dict, init=False)
    _inputs: dict[str, Inputs] = field(default_factory=dict, init=False)
    _standard: Tensor = field(init=False)
    _scale: NormalScores = field(init=False)
    _scores: Tensor = field(init=False)
    _varies: Tensor = field(init=False)
    _weights: Tensor = field(init=False)

    def __post_init__(self) -> None:
        for name, values in (("z", self.latents), ("zhat", self.code)):
            self._inputs[name] = Inputs.of(values, self.split)
        both = torch.cat([self.latents, self.code], 1)
        rows = len(self.split.test)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randint(rows, (self.resamples, rows), generator=generator)
        weights = torch.zeros(self.resamples, rows, dtype=both.dtype)
        weights.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=both.dtype))
        varies = torch.minimum(spread(both[self.split.fit]), spread(both[self.split.test])) > 0
        standard = standardised(both, self.split.fit)
        scale = NormalScores.of(standard[self.split.fit])
        object.__setattr__(self, "_standard", standard)
        object.__setattr__(self, "_scale", scale)
        object.__setattr__(self, "_scores", scale(standard))
        object.__setattr__(self, "_varies", varies)
        object.__setattr__(self, "_weights", weights.to(both.device))

    def latent_targets(self, columns: Iterable[int]) -> list[int]:
        return list(columns)

    def code_targets(self, columns: Iterable[int]) -> list[int]:
        return [self.latents.shape[1] + column for column in columns]

    def from_latents(self, columns: Iterable[int], *, again: bool = False) -> Explained:
        """R2 of every target from these columns of z; `again`, by the better of two regressions."""
        return self._explained("z", tuple(columns), again=again)

    def from_code(self, columns: Iterable[int], *, again: bool = False) -> Explained:
        """R2 of every latent from these columns of zhat; NaN for the code itself."""
        return self._explained("zhat", tuple(columns), again=again)

    def landmark_error(self) -> float | None:
        """The largest change of any R2 from all latents or the whole code with half the landmarks.

        An estimate of what the landmarks cost: it bounds the rest where each doubling of them
        changes R2 by at most half of the doubling before. None for a regression without landmarks.
        """
        coarse = self.regression.coarser()
        if coarse is None:
            return None
        worst = 0.0
        for source, values in (("z", self.latents), ("zhat", self.code)):
            columns = tuple(range(values.shape[1]))
            fine = self._explained(source, columns, again=False).nonlinear
            rough = self._regressed(source, self._inputs[source], [coarse], self._once).nonlinear
            worst = max(worst, float((fine - rough).abs().nan_to_num().max()))
        return worst

    def independent(self, columns: Iterable[int], *, of: Iterable[int]) -> list[int]:
        """The columns of zhat that can each hold a dimension of their own of these latents.

        Not those that do not vary, take few values where the latents do not, or are told by
        earlier ones to 99.9 %; of more than 16 the last is not asked.
        """
        given = [i for i in columns if bool(self._varies[self.latents.shape[1] + i])]
        if not any(_takes_few_values(self.latents[:, i]) for i in of):
            given = [i for i in given if not _takes_few_values(self.code[:, i])]
        if len(given) > MOST_SECOND:
            return given
        kept = given[:1]
        for column in given[1:]:
            target = self.latents.shape[1] + column
            standard = self._standard[:, target : target + 1]
            inputs = self._inputs["zhat"].take(kept)
            told = self.regression.predict(inputs, standard, self.split)
            wanted = standard[self.split.test]
            missed = (told - wanted).square().mean() / wanted.var()
            if float(missed) > TOLD:
                kept.append(column)
        return kept

    @property
    def _once(self) -> Float[Tensor, "1 test"]:
        return torch.ones(1, len(self.split.test)).to(self.latents)

    def _explained(self, source: str, columns: tuple[int, ...], *, again: bool) -> Explained:
        # Rough functions of many inputs are beyond the second regression too.
        again = again and self.second is not None and len(columns) <= MOST_SECOND
        key = source, columns, again
        if key not in self._known:
            inputs = self._inputs[source].take(list(columns))
            tried = [self.regression]
            if again and self.second is not None:
                tried.append(self.second)
            self._known[key] = self._regressed(source, inputs, tried, self._weights)
        return self._known[key]

    def _regressed(
        self,
        source: str,
        inputs: Inputs,
        tried: list[Regression],
        weights: Float[Tensor, "resamples test"],
    ) -> Explained:
        """What the best of these regressions explains, for each target the best by itself."""
        count = self.latents.shape[1] if source == "zhat" else self._scores.shape[1]
        standard, scores = self._standard[:, :count], self._scores[:, :count]
        test, choose = self.split.test, self.split.choose
        wanted = scores if self.regression.by_rank else standard
        line = curved = wanted[self.split.fit].mean(0).expand(len(test), -1)
        if inputs.columns:
            line = Line().predict(inputs, standard, self.split)
            asked = Split(fit=self.split.fit, choose=choose, test=torch.cat([choose, test]))
            guesses = [
                guess
                for regression in tried
                for guess in self._guesses(regression, inputs, asked, count)
            ]
            every = torch.stack(guesses)
            errors = (every[:, : len(choose)] - wanted[choose]).square().mean(1)
            best = errors.argmin(0)
            curved = every[best, :, torch.arange(count, device=best.device)].T[len(choose) :]
        return Explained(
            nonlinear=self._r2(curved, wanted[test], self._once)[0],
            linear=self._r2(line, standard[test], self._once)[0]
            if inputs.columns
            else self._r2(curved, wanted[test], self._once)[0],
            resampled=self._r2(curved, wanted[test], weights),
        )

    def _guesses(
        self, regression: Regression, inputs: Inputs, asked: Split, count: int
    ) -> list[Float[Tensor, "rows targets"]]:
        """The targets on the choose rows and then the test rows, guessed once or twice."""
        standard = self._standard[:, :count]
        if not regression.by_rank:
            return [regression.predict(inputs, standard, asked)]
        both = torch.cat([self._scores[:, :count], standard], 1)
        scores, values = regression.predict(inputs, both, asked).split(count, 1)
        return [scores, self._scale.take(count)(values)]

    def _r2(
        self,
        predicted: Float[Tensor, "test targets"],
        wanted: Float[Tensor, "test targets"],
        weights: Float[Tensor, "resamples test"],
    ) -> Float[Tensor, "resamples all"]:
        """NaN for constant targets, and for those not asked for."""
        missed = weights @ (predicted - wanted).square()
        wanted = wanted - wanted.mean(0)
        mean = weights @ wanted / weights.sum(1, keepdim=True)
        total = weights @ wanted.square() - weights.sum(1, keepdim=True) * mean.square()
        score = 1 - missed / torch.where(total > 0, total, torch.ones_like(total))
        found = score.new_full((len(weights), len(self._varies)), torch.nan)
        varies = self._varies[: wanted.shape[1]] & (total > 0)
        found[:, : wanted.shape[1]] = torch.where(varies, score, torch.nan)
        return found


def _takes_few_values(column: Float[Tensor, " n"]) -> bool:
    return len(column.unique()) < FEW_VALUES * len(column)

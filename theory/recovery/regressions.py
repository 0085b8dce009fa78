"""R2(Y <- X) = 1 - |Y - f(X)|^2 / |Y - mean Y|^2 on held-out rows, per coordinate of Y.

The latents z and the code zhat are the targets of every regression at once, so one factorisation
answers completeness, purity and both floors for all blocks that read the same columns.
"""

# pyright: basic

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from theory.recovery.inputs import Inputs, Line, Regression
from theory.recovery.samples import Split, spread, standardised


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
    """

    latents: Float[Tensor, "n d"]
    code: Float[Tensor, "n D"]
    regression: Regression
    split: Split
    resamples: int
    seed: int
    _known: dict[tuple[str, tuple[int, ...]], Explained] = field(default_factory=dict, init=False)
    _inputs: dict[str, Inputs] = field(default_factory=dict, init=False)
    _targets: Tensor = field(init=False)
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
        object.__setattr__(self, "_targets", standardised(both, self.split.fit))
        object.__setattr__(self, "_varies", varies)
        object.__setattr__(self, "_weights", weights.to(both.device))

    def latent_targets(self, columns: Iterable[int]) -> list[int]:
        return list(columns)

    def code_targets(self, columns: Iterable[int]) -> list[int]:
        return [self.latents.shape[1] + column for column in columns]

    def from_latents(self, columns: Iterable[int]) -> Explained:
        """R2 of every target from these columns of z."""
        return self._explained("z", tuple(columns))

    def from_code(self, columns: Iterable[int]) -> Explained:
        """R2 of every target from these columns of zhat."""
        return self._explained("zhat", tuple(columns))

    def landmark_error(self) -> float | None:
        """The largest change of any R2 from all latents or the whole code with half the landmarks.

        An estimate of what the landmarks cost: it bounds the rest where each doubling of them
        changes R2 by at most half of the doubling before. None for a regression without landmarks.
        """
        coarse = self.regression.coarser()
        if coarse is None:
            return None
        every = torch.ones(1, len(self.split.test)).to(self.latents)
        worst = 0.0
        for source, values in (("z", self.latents), ("zhat", self.code)):
            columns = tuple(range(values.shape[1]))
            fine = self._explained(source, columns).nonlinear
            rough = self._r2(self._predict(coarse, self._inputs[source]), every)[0]
            worst = max(worst, float((fine - rough).abs().nan_to_num().max()))
        return worst

    def _explained(self, source: str, columns: tuple[int, ...]) -> Explained:
        key = source, columns
        if key not in self._known:
            inputs = self._inputs[source].take(list(columns))
            curved = self._predict(self.regression, inputs)
            straight = self._predict(Line(), inputs)
            every = torch.ones(1, len(self.split.test), dtype=curved.dtype, device=curved.device)
            self._known[key] = Explained(
                nonlinear=self._r2(curved, every)[0],
                linear=self._r2(straight, every)[0],
                resampled=self._r2(curved, self._weights),
            )
        return self._known[key]

    def _predict(self, regression: Regression, inputs: Inputs) -> Float[Tensor, "test targets"]:
        if inputs.columns == 0:
            return self._targets[self.split.fit].mean(0).expand(len(self.split.test), -1)
        return regression.predict(inputs, self._targets, self.split)

    def _r2(
        self, predicted: Float[Tensor, "test targets"], weights: Float[Tensor, "resamples test"]
    ) -> Float[Tensor, "resamples targets"]:
        wanted = self._targets[self.split.test]
        missed = weights @ (predicted - wanted).square()
        wanted = wanted - wanted.mean(0)
        mean = weights @ wanted / weights.sum(1, keepdim=True)
        total = weights @ wanted.square() - weights.sum(1, keepdim=True) * mean.square()
        score = 1 - missed / torch.where(total > 0, total, torch.ones_like(total))
        return torch.where(self._varies & (total > 0), score, torch.nan)

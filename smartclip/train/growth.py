"""How a code grows before it is pruned: explore at low precision, specialise, settle.

    minimise  L_modular(s)  +  alignment * E |m (z^_I - z^_T)|^2  +  decorrelation * R(z^_I),

with Gaussian noise of variance 1/(2 s) on z^_I: the channel whose likelihood ratio the similarity
is. Without it the scale of z^_T is free, and two coordinates can carry the precision of ten.

* *Explore* at s = 1/2. A caption opens a coordinate that it predicts with residual variance r while
  the likelihood ratio gains, 1/2 + log(2 s)/2 > s r for unit variance. At high precision every
  coordinate is at first a mixture that no caption predicts well, so gates close before content has
  formed. At s = 1/2 a coordinate that a caption knows nothing about costs nothing (z^_T = 0): gates
  stay open. Decorrelation gives rare concepts their place (see `smartclip.decorrelation`).
* *Specialise.* As s rises to `TrainConfig.logit_scale`, a coordinate survives in a caption only if
  the caption knows nearly all of it (C3), and mixtures fall apart into concepts.
  With `matched` precision it does not run ahead of the code: s is at most 1 / (2 r) for the mean
  residual r of what is open, under which such residuals are likeliest. Where a caption names three
  of fourteen concepts that is needed: r starts near 0.9, every gate closes if s is above, and how
  soon a tower of pictures brings r down cannot be known beforehand.
  With a `least_opening` no gate closes for good meanwhile. One that is never drawn open does not
  learn what it would bring: a concept that every caption has closed is lost, and so is the
  coordinate. Logits below the bound are drawn back to it by the square of what is missing.
* *Settle* at that precision, with little decorrelation left, since dependent concepts have
  correlated codes. Without any, rare concepts lose coordinates again to common ones. Alignment
  counts much: dependent concepts let a caption predict a mixture with a small residual, and what
  a step of InfoNCE charges for it is less than what lossless alignment (C3) does.

From specialising on, one step in `isolate_every` sees one group of coordinates alone, so that what
few captions mention earns its place however long these are (see `smartclip.isolation`).

SmartCLIP leaves this open; derived and tried here.
"""

from dataclasses import dataclass

from theory.errors import refuse_broken_rules


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """The stages, as shares of `TrainConfig.steps`, and what counts in them.

    Attributes:
        specialise_from: where exploring ends.
        settle_from: where specialising ends, s having risen geometrically.
        explore_logit_scale: s while exploring.
        matched: from specialising on s is at most 1 / (2 r), though at least
            `explore_logit_scale` (see `smartclip.train.losses.matched_scale`).
        alignment: weight of E |m (z^_I - z^_T)|^2 at the end of specialising, reached linearly.
        settled_alignment: the same weight while settling.
        decorrelation: weight of R(z^_I) while exploring and specialising.
        settled_decorrelation: the same weight while settling.
        least_opening: probability of opening above which gates are kept while specialising; None
            lets them close for good.
        isolate_every: one step in so many sees one group of coordinates; None for no step.
    """

    specialise_from: float = 0.25
    settle_from: float = 0.5
    explore_logit_scale: float = 0.5
    matched: bool = False
    alignment: float = 0.5
    settled_alignment: float = 4.0
    decorrelation: float = 1.0
    settled_decorrelation: float = 0.05
    least_opening: float | None = None
    isolate_every: int | None = 4

    def __post_init__(self) -> None:
        rules = {
            "settle_from": (
                0 <= self.specialise_from < self.settle_from <= 1,
                "after specialise_from, both between 0 and 1",
            ),
            "explore_logit_scale": (self.explore_logit_scale > 0, "positive"),
            "alignment": (self.alignment >= 0, "0 or more"),
            "settled_alignment": (self.settled_alignment >= 0, "0 or more"),
            "decorrelation": (self.decorrelation >= 0, "0 or more"),
            "settled_decorrelation": (self.settled_decorrelation >= 0, "0 or more"),
            "least_opening": (
                self.least_opening is None or 0 < self.least_opening < 1,
                "None, or strictly between 0 and 1",
            ),
            "isolate_every": (self.isolate_every is None or self.isolate_every >= 1, "1 or more"),
        }
        refuse_broken_rules(self, rules)

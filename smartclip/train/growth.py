"""How a code grows before it is pruned: explore at low precision, specialise, settle.

    minimise  L_modular(s)  +  alignment * E |m (z^_I - z^_T)|^2,     s from 1/2 upwards.

A caption opens a coordinate that it predicts with residual variance r while the likelihood ratio
gains, 1/2 + log(2 s)/2 > s r for unit variance. At high precision s every coordinate is at first a
mixture that no caption predicts well, so gates close before content has formed, and whole concepts
go missing. At s = 1/2 a coordinate that a caption knows nothing about costs nothing (z^_T = 0):
gates stay open and contents form. As s rises, a coordinate survives in a caption only if the
caption knows nearly all of it (C3), and mixtures fall apart into concepts.

While it settles, Gaussian noise of variance 1/(2 s) is added to z^_I: the channel whose likelihood
ratio the similarity is. Without it the scale of a code is free and two coordinates can carry the
precision of ten (SmartCLIP leaves this open; derived and tried here).
"""

from dataclasses import dataclass

from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """The stages, as shares of `TrainConfig.steps`, and what counts in them.

    Attributes:
        specialise_from: where exploring ends.
        settle_from: where specialising ends; from here s is `TrainConfig.logit_scale`.
        explore_logit_scale: s while exploring.
        specialise_logit_scale: s at the end of specialising, reached geometrically.
        alignment: weight of E |m (z^_I - z^_T)|^2 at the end of specialising, reached linearly.
        settled_alignment: the same weight while settling.
    """

    specialise_from: float = 0.25
    settle_from: float = 0.5
    explore_logit_scale: float = 0.5
    specialise_logit_scale: float = 8.0
    alignment: float = 0.5
    settled_alignment: float = 0.2

    def __post_init__(self) -> None:
        rules = {
            "settle_from": (
                0 <= self.specialise_from < self.settle_from <= 1,
                "after specialise_from, both between 0 and 1",
            ),
            "explore_logit_scale": (self.explore_logit_scale > 0, "positive"),
            "specialise_logit_scale": (self.specialise_logit_scale > 0, "positive"),
            "alignment": (self.alignment >= 0, "0 or more"),
            "settled_alignment": (self.settled_alignment >= 0, "0 or more"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise InputError(
                    f"{name} = {getattr(self, name)!r}", rule=f"{name} is {rule}", fix="change it"
                )

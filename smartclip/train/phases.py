"""Training is a sequence of phases; a phase says how every setting moves while it lasts.

    phases = (explore, specialise, settle, refine),      step -> (phase, progress) -> Moment

Published SmartCLIP, CLIP and Long-CLIP have one phase. A setting is a number, or a `Ramp` from one
number to another. What holds at a step is a pure function of the step, so a run that was stopped
goes on exactly where it was.

* `gates` are *open* (every mask is all ones, as in CLIP: towers of images and words need it to find
  each other), *drawn* at random (masks learn), or *held* (masks stand still while codes sharpen).
* `captions_learn=False` keeps z^_T a fixed target. A caption code that learns follows what images
  say already; what no image says yet then loses its difference, and no image is asked to say it.
* `noise` sends z^_I through a channel of precision 2 s, the one whose likelihood ratio the
  similarity is. Without it the scale of z^_T is free, and two coordinates carry the precision of
  ten.
* `scale` is s. At high precision every coordinate is at first a mixture that no caption predicts
  well, so gates close before content has formed. At s = 1/2 a coordinate that a caption knows
  nothing about costs nothing. `least_scale` lets residuals hold s back, down to that value.
* `alignment` charges E |m (z^_I - z^_T)|^2: lossless alignment (C3), which a contrastive loss stops
  asking for once it tells a batch apart.
* `decorrelation` charges R(z^_I), so that rare concepts find a place (`smartclip.decorrelation`).
* `sparsity` is charged for each open coordinate of a caption (C4), `budget` for each coordinate to
  the gates that all captions share (C5). Sparsity has to come after the budget: charged earlier,
  each of two captions closes a copy of what they share, and nothing sees that the copies differ.
* `least_opening` keeps gates from closing for good: one that is never drawn open does not learn
  what it would bring. `isolate_every` shows one group of coordinates alone, one step in so many
  (`smartclip.isolation`).

The phases and their order are derived here; SmartCLIP trains in one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from theory.errors import InputError, refuse_broken_rules

if TYPE_CHECKING:
    from torch import Tensor

Gates = Literal["open", "drawn", "held"]
Shape = Literal["linear", "geometric", "cosine"]


@dataclass(frozen=True, slots=True)
class Ramp:
    """A setting that moves from `start` to `stop` while a phase lasts.

    Attributes:
        start: its value up to `begin`.
        stop: its value from `end` on.
        shape: linear; geometric (equal factors in equal times); or cosine (half a wave).
        begin: where it starts to move, as a share of the phase.
        end: where it has arrived. A share above 1 or below 0 lies in the phase after or before, so
            that one curve can run through two phases.

    >>> [round(Ramp(1.0, 16.0, "geometric", end=0.5).at(share), 2) for share in (0, 0.25, 0.5, 1)]
    [1.0, 4.0, 16.0, 16.0]
    """

    start: float
    stop: float
    shape: Shape = "linear"
    begin: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        rules = {
            "shape": (self.shape in get_args(Shape), str(get_args(Shape))),
            "end": (self.begin < self.end, "after begin"),
            "start": (
                self.shape != "geometric" or (self.start > 0 and self.stop > 0),
                "positive, as is stop, for a geometric ramp",
            ),
        }
        refuse_broken_rules(self, rules)

    def at(self, progress: float) -> float:
        """The value at a share of the phase, from 0 to 1."""
        moved = min(1.0, max(0.0, (progress - self.begin) / (self.end - self.begin)))
        if self.shape == "geometric":
            return self.start * (self.stop / self.start) ** moved
        if self.shape == "cosine":
            moved = (1 - math.cos(math.pi * moved)) / 2
        return self.start + moved * (self.stop - self.start)


Value = float | Ramp


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A part of a training. What each setting does is in the first lines of this file.

    Attributes:
        steps: how long it lasts.
        gates: open, drawn or held.
        captions_learn: whether z^_T learns.
        noise: whether z^_I passes the noisy channel.
        rate: of learning, as a share of the peak rates.
        warm_up: steps over which the rate rises linearly from 0 at the start of the phase.
        scale: s, positive. A learned temperature starts at that of the first phase instead.
        least_scale: with it s is at most 1 / (2 r) for the mean residual r of what is open, though
            at least this (see `smartclip.train.losses.matched_scale`); None for s as it is.
        alignment: weight of E |m (z^_I - z^_T)|^2.
        decorrelation: weight of R(z^_I).
        sparsity: nats for each open coordinate of a caption.
        budget: nats for each open coordinate of a caption, charged to the shared gates alone.
        least_opening: probability of opening above which gates are kept; None for no bound.
        isolate_every: one step in so many sees one group of coordinates; None for no step.
        isolate_unused: whether that group may be one of coordinates that no caption opens.
    """

    steps: int
    gates: Gates = "drawn"
    captions_learn: bool = True
    noise: bool = False
    rate: Value = 1.0
    warm_up: int = 0
    scale: Value = 1.0
    least_scale: float | None = None
    alignment: Value = 0.0
    decorrelation: Value = 0.0
    sparsity: Value = 0.0
    budget: Value = 0.0
    least_opening: float | None = None
    isolate_every: int | None = None
    isolate_unused: bool = False

    def __post_init__(self) -> None:
        def price(value: Value) -> tuple[bool, str]:
            charged = self.gates == "drawn" or value == 0
            return _least(value) >= 0 and charged, "0 or more, and 0 unless gates are drawn"

        rules = {
            "steps": (self.steps >= 1, "at least 1"),
            "gates": (self.gates in get_args(Gates), str(get_args(Gates))),
            "rate": (_least(self.rate) >= 0, "0 or more"),
            "warm_up": (self.warm_up >= 0, "0 or more"),
            "scale": (_least(self.scale) > 0, "positive"),
            "least_scale": (self.least_scale is None or self.least_scale > 0, "positive, or None"),
            "alignment": (_least(self.alignment) >= 0, "0 or more"),
            "decorrelation": (_least(self.decorrelation) >= 0, "0 or more"),
            "sparsity": price(self.sparsity),
            "budget": price(self.budget),
            "least_opening": (
                self.least_opening is None or 0 < self.least_opening < 1,
                "None, or strictly between 0 and 1",
            ),
            "isolate_every": (self.isolate_every is None or self.isolate_every >= 1, "1 or more"),
        }
        refuse_broken_rules(self, rules)


class Moment(NamedTuple):
    """What holds at one step: the settings of its phase as numbers.

    The weights and the scale may also be scalar tensors, one for each of many runs that are trained
    together. `isolating` says whether this very step sees one group of coordinates alone.
    """

    gates: Gates
    captions_learn: bool
    noise: bool
    isolating: bool
    isolate_unused: bool
    least_scale: float | None
    least_opening: float | None
    rate: float
    scale: "float | Tensor"
    alignment: "float | Tensor"
    decorrelation: "float | Tensor"
    sparsity: "float | Tensor"
    budget: "float | Tensor"


def total_steps(phases: Sequence[Phase]) -> int:
    """How long all phases last together."""
    return sum(phase.steps for phase in phases)


def moment(phases: Sequence[Phase], step: int) -> Moment:
    """What holds at a step, from 0 to `total_steps(phases)` - 1.

    >>> phases = (Phase(steps=10, warm_up=4, gates="open"), Phase(steps=5, scale=Ramp(1, 6)))
    >>> [moment(phases, step).rate for step in (0, 3, 9)]
    [0.25, 1.0, 1.0]
    >>> [moment(phases, step).scale for step in (9, 10, 14)]
    [1.0, 1.0, 5.0]
    """
    first = 0
    for phase in phases:
        if 0 <= step < first + phase.steps:
            return _moment(phase, step - first, step)
        first += phase.steps
    raise InputError(
        f"step {step} of a training of {first}",
        rule="steps count from 0 to one less than all phases last",
        fix="ask for a step of the training",
    )


def held_from(phases: Sequence[Phase]) -> int | None:
    """The step from which masks stand still to the end; None if they never do."""
    step = total_steps(phases)
    for phase in reversed(phases):
        if phase.gates != "held":
            break
        step -= phase.steps
    return step if step < total_steps(phases) else None


def lasting(phases: Sequence[Phase], steps: int) -> tuple[Phase, ...]:
    """The same phases, stretched or shrunk in proportion; a phase that would last 0 steps goes.

    >>> [phase.steps for phase in lasting((Phase(steps=500), Phase(steps=1500)), 100)]
    [25, 75]
    """
    if steps < 1:
        raise InputError(
            f"{steps} steps", rule="a training has at least one step", fix="give 1 or more"
        )
    total, before = total_steps(phases), 0
    found = []
    for phase in phases:
        first, last = (round(at * steps / total) for at in (before, before + phase.steps))
        before += phase.steps
        if last > first:
            found.append(replace(phase, steps=last - first))
    return tuple(found)


def _moment(phase: Phase, done: int, step: int) -> Moment:
    def now(value: Value) -> float:
        return value.at(done / phase.steps) if isinstance(value, Ramp) else value

    warm = min(phase.warm_up, phase.steps)
    return Moment(
        gates=phase.gates,
        captions_learn=phase.captions_learn,
        noise=phase.noise,
        isolating=phase.isolate_every is not None and step % phase.isolate_every == 0,
        isolate_unused=phase.isolate_unused,
        least_scale=phase.least_scale,
        least_opening=phase.least_opening,
        rate=now(phase.rate) * (min(1.0, (done + 1) / warm) if warm else 1.0),
        scale=now(phase.scale),
        alignment=now(phase.alignment),
        decorrelation=now(phase.decorrelation),
        sparsity=now(phase.sparsity),
        budget=now(phase.budget),
    )


def _least(value: Value) -> float:
    return min(value.start, value.stop) if isinstance(value, Ramp) else value

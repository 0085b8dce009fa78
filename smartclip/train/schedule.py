"""What changes while training, each as a pure function of the step, so that a run can resume."""

import math

from smartclip.train.config import TrainConfig
from smartclip.train.growth import Growth

WARM_UP_STEPS = 100
THINNING_RAMP = 0.15
# Fractions of the peak learning rate: while masks settle, and when refinement starts.
SETTLED = 0.1
REFINED = 0.6


def aligning(step: int, config: TrainConfig) -> bool:
    """Whether every coordinate is open at this step."""
    return step < config.align_until * config.steps


def holding_text(step: int, config: TrainConfig) -> bool:
    """Whether the caption code stands still where it starts."""
    return step < config.hold_text_until * config.steps


def refining(step: int, config: TrainConfig) -> bool:
    """Whether masks stand still at this step."""
    return step >= config.steps


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Warm-up, full rate for half of the steps, cosine to SETTLED; then cosine from REFINED to 0.

    With the schedule "cosine": warm-up, then one cosine to 0, as published.

    >>> config = TrainConfig(steps=1000, refine_steps=100)
    >>> [round(learning_rate_factor(step, config), 2) for step in (0, 400, 999, 1000, 1099)]
    [0.01, 1.0, 0.1, 0.6, 0.0]
    >>> config = TrainConfig(steps=1000, refine_steps=0, schedule="cosine", warm_up_steps=200)
    >>> [round(learning_rate_factor(step, config), 2) for step in (0, 199, 200, 600, 999)]
    [0.01, 1.0, 1.0, 0.5, 0.0]
    """
    if config.schedule == "cosine":
        if step < config.warm_up_steps:
            return (step + 1) / config.warm_up_steps
        return _cosine((step - config.warm_up_steps) / (config.steps - config.warm_up_steps))
    if refining(step, config):
        return REFINED * _cosine((step - config.steps) / config.refine_steps)
    warm_up = (step + 1) / min(WARM_UP_STEPS, config.steps)
    decay = SETTLED + (1 - SETTLED) * _cosine(2 * step / config.steps - 1)
    return min(1.0, warm_up, decay)


def pruning(step: int, config: TrainConfig) -> float:
    """Share of the budget that is charged: 0 before `prune_from`, 1 after `prune_until`."""
    if config.schedule == "cosine":
        return 1.0
    progress = step / config.steps
    return _clip((progress - config.prune_from) / (config.prune_until - config.prune_from))


def thinning(step: int, config: TrainConfig) -> float:
    """Share of the sparsity that is charged: 0 before `prune_until`, 1 soon after."""
    if config.schedule == "cosine":
        return 1.0
    return _clip((step / config.steps - config.prune_until) / THINNING_RAMP)


def logit_scale(step: int, config: TrainConfig) -> float:
    """s: constant while masks form, then linear to its final value over a third of refinement.

    With a `Growth`: constant while exploring, geometric while specialising, then the same.

    >>> config = TrainConfig(steps=100, refine_steps=30, logit_scale=8.0, growth=Growth())
    >>> [round(logit_scale(step, config), 2) for step in (0, 24, 49, 50, 99, 129)]
    [0.5, 0.5, 7.16, 8.0, 8.0, 6.0]
    """
    if refining(step, config):
        risen = _clip(3 * (step - config.steps) / config.refine_steps)
        return config.logit_scale + risen * (config.refine_logit_scale - config.logit_scale)
    growth = config.growth
    if growth is None or settling(step, config):
        return config.logit_scale
    first, last = growth.explore_logit_scale, config.logit_scale
    return first * (last / first) ** _specialised(step, config.steps, growth)


def growing(step: int, config: TrainConfig) -> bool:
    """Whether the code is kept apart by decorrelation at this step; never without a `Growth`."""
    return config.growth is not None and not refining(step, config)


def noisy(step: int, config: TrainConfig) -> bool:
    """Whether z^_I passes a noisy channel: while a code grows, once its towers are aligned."""
    return growing(step, config) and not aligning(step, config)


def matched_from(step: int, config: TrainConfig) -> float | None:
    """The least s where residuals hold it back at this step; None where they do not.

    `logit_scale` is the largest then.
    """
    growth = config.growth
    if growth is None or not growth.matched or not noisy(step, config):
        return None
    exploring = step < growth.specialise_from * config.steps
    return None if exploring else growth.explore_logit_scale


def settling(step: int, config: TrainConfig) -> bool:
    """Whether a growing code has its concepts, and settles; never without a `Growth`."""
    growth = config.growth
    return (
        growth is not None and growing(step, config) and step >= growth.settle_from * config.steps
    )


def least_opening(step: int, config: TrainConfig) -> float | None:
    """The probability of opening above which gates are kept at this step; None for no bound."""
    growth = config.growth
    if growth is None or not noisy(step, config) or settling(step, config):
        return None
    return growth.least_opening


def isolating(step: int, config: TrainConfig) -> bool:
    """Whether this step sees one group of coordinates alone; never without a `Growth`.

    Of an even `log_every`, no line of the log falls on such a step if `isolate_every` is even too.
    """
    growth = config.growth
    return (
        growth is not None
        and growth.isolate_every is not None
        and growing(step, config)
        and step >= growth.specialise_from * config.steps
        and step % growth.isolate_every == 0
    )


def alignment(step: int, config: TrainConfig) -> float:
    """Weight of E |m (z^_I - z^_T)|^2 at this step."""
    growth = config.growth
    if refining(step, config):
        return config.refine_alignment
    if growth is None:
        return 0.0
    if settling(step, config):
        return growth.settled_alignment
    return growth.alignment * _specialised(step, config.steps, growth)


def decorrelation(step: int, config: TrainConfig) -> float:
    """Weight of R(z^_I) at this step."""
    growth = config.growth
    if growth is None or not growing(step, config):
        return 0.0
    return growth.settled_decorrelation if settling(step, config) else growth.decorrelation


def _specialised(step: int, steps: int, growth: Growth) -> float:
    span = growth.settle_from - growth.specialise_from
    return _clip((step / steps - growth.specialise_from) / span)


def _clip(share: float) -> float:
    return min(1.0, max(0.0, share))


def _cosine(progress: float) -> float:
    """1 at 0 and before, 0 at 1 and after."""
    return (1 + math.cos(math.pi * _clip(progress))) / 2

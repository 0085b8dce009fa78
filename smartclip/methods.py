"""The methods that are compared, each for every data set. Adding one is a function here.

    published   cosine of x m(t) and z_T at s = 100, straight-through gates, 2 mean|m| for sparsity
                (SmartCLIP, CVPR 2025)
    clip        cosine of x and z_T, learned s; no masks          (Radford et al., ICML 2021)
    long-clip   CLIP of the longer caption, and of the shorter one with the k leading components
                of x (Zhang et al., ECCV 2024)

These three have one setting for every data set. The fourth, `ours`, grows a code in phases
(`smartclip.growth`), and a data set says how it grows there.
"""

from collections.abc import Callable
from dataclasses import replace

from smartclip.growth import grown
from smartclip.train.method import Budget, Method, ModelOptions, Objective
from smartclip.train.phases import Phase, Ramp
from theory.errors import InputError

# The published loss is 10 (H_images + H_captions) + 2 mean|m|. An AdamW step does not see the scale
# of a loss, so it is written as (H_images + H_captions) / 2 + SPARSITY / (2 ALIGNMENT D) |m|.
ALIGNMENT, SPARSITY = 10.0, 2.0
# CLIP's temperature starts here, and ends at most at 100.
CLIP_SCALE = 1 / 0.07
# Long-CLIP keeps 32 of 512 components.
COMPONENTS_SHARE = 32 / 512


def published(budget: Budget) -> Method:
    """SmartCLIP as published.

    Gates start just above 1/2, so that every mask begins all ones and training starts from exactly
    the CLIP that the towers are: below 1/2 a straight-through gate starts shut, and near 1 it has
    no gradient.
    """
    sparsity = SPARSITY / (2 * ALIGNMENT * budget.dimension)
    return Method(
        name="published",
        title="SmartCLIP, published",
        model=ModelOptions(gate="straight_through", opening=0.6, shared_gates=False, whiten=False),
        objective=Objective(similarity="cosine"),
        phases=(replace(_one_phase(budget), gates="drawn", scale=100.0, sparsity=sparsity),),
    )


def clip(budget: Budget) -> Method:
    """Plain CLIP: no masks, a learned temperature."""
    return Method(
        name="clip",
        title="CLIP",
        model=ModelOptions(masks=False, shared_gates=False, whiten=False),
        objective=Objective(similarity="cosine", learned_scale=True),
        phases=(_one_phase(budget),),
    )


def long_clip(budget: Budget) -> Method:
    """Long-CLIP: the mean of its two losses."""
    components = max(1, round(COMPONENTS_SHARE * budget.dimension))
    plain = clip(budget)
    objective = replace(plain.objective, captions=2, components=components)
    return replace(plain, name="long-clip", title="Long-CLIP", objective=objective)


METHODS: dict[str, Callable[[Budget], Method]] = {
    "ours": grown,
    "published": published,
    "clip": clip,
    "long-clip": long_clip,
}


def method(name: str, budget: Budget) -> Method:
    """The method of this name.

    Raises:
        InputError: there is none.

    >>> method("clip", Budget(steps=100, dimension=8)).model.masks
    False
    """
    if name not in METHODS:
        raise InputError(
            f"method {name!r}",
            rule="the methods are " + ", ".join(METHODS),
            fix="choose among them",
        )
    return METHODS[name](budget)


def _one_phase(budget: Budget) -> Phase:
    """Every coordinate open; the rate rises, and falls along one cosine."""
    warm_up = min(budget.warm_up, budget.steps // 2)
    return Phase(
        steps=budget.steps,
        gates="open",
        warm_up=warm_up,
        rate=Ramp(1.0, 0.0, "cosine", begin=warm_up / budget.steps),
        scale=CLIP_SCALE,
    )

"""Our method: a code grows in phases, and masks form while it does.

    explore at low precision  ->  specialise while it rises  ->  settle and prune  ->  refine

`grown` is for simulated latents. Pictures need their towers aligned first (`aligned_first`), and
pictures with words from scratch a code of captions before that (`words_first`). What each setting
of a phase does is told in `smartclip.train.phases`.
"""

from smartclip.train.method import Budget, Method, ModelOptions, Objective
from smartclip.train.phases import Phase, Ramp, lasting


def grown(budget: Budget) -> Method:
    """Explore at low precision, specialise while it rises, settle and prune, refine.

    While settling, alignment counts much: dependent concepts let a caption predict a mixture with a
    small residual, and a step of InfoNCE charges less for it than lossless alignment (C3) does. A
    budget that closes every spare coordinate also closes whole concepts on most caption families,
    so it is kept low: promised blocks come out, with more coordinates than needed.
    """
    phases = (
        Phase(
            steps=500,
            warm_up=budget.warm_up,
            noise=True,
            scale=0.5,
            decorrelation=1.0,
        ),
        Phase(
            steps=500,
            noise=True,
            scale=Ramp(0.5, 8.0, "geometric"),
            alignment=Ramp(0.0, 0.5),
            decorrelation=1.0,
            isolate_every=4,
            isolate_unused=True,
        ),
        Phase(
            steps=1000,
            noise=True,
            rate=Ramp(1.0, 0.1, "cosine"),
            scale=8.0,
            alignment=4.0,
            decorrelation=0.05,
            budget=Ramp(0.0, 0.1, begin=0.1, end=0.5),
            sparsity=Ramp(0.0, 0.06, begin=0.5, end=0.8),
            isolate_every=4,
        ),
        Phase(
            steps=400,
            gates="held",
            rate=Ramp(0.6, 0.0, "cosine"),
            scale=Ramp(8.0, 24.0, end=1 / 3),
            alignment=1.0,
        ),
    )
    return Method(
        name="ours",
        title="SmartCLIP",
        model=ModelOptions(),
        objective=Objective(),
        phases=lasting(phases, budget.steps),
    )


def aligned_first(budget: Budget, *, sparsity: float, budget_price: float) -> Method:
    """Ours for small pictures: towers align with every coordinate open, then masks form.

    At s = 1/2 the likelihood ratio is x t - t^2 / 2 on each open coordinate: a coordinate that the
    caption knows nothing about (t = 0) costs nothing, so towers that know little can learn. Without
    a price on the code there are no gates shared by all captions: they would close all the same,
    by the likelihood.
    """
    phases = (
        Phase(steps=250, gates="open", warm_up=budget.warm_up, scale=0.5),
        Phase(
            steps=750,
            scale=0.5,
            rate=Ramp(1.0, 0.1, "cosine", begin=1 / 3),
            budget=Ramp(0.0, budget_price, end=7 / 15),
            sparsity=Ramp(0.0, sparsity, begin=7 / 15, end=2 / 3),
        ),
    )
    return Method(
        name="ours",
        title="SmartCLIP",
        model=ModelOptions(shared_gates=budget_price > 0, text_start=0.1),
        objective=Objective(),
        phases=lasting(phases, budget.steps),
    )


def words_first(budget: Budget, *, caption_steps: int) -> Method:
    """Ours from pixels and words: a caption code first, held until the images know it.

    Then the towers align, coordinates specialise as residuals fall, settle, and are refined: the
    refinement is for the image tower, which knows tilts and textures last. Gates close by
    likelihood alone; no price on them is needed where coordinates are many.
    """
    growing = {"noise": True, "least_scale": 0.5, "isolate_every": 4}
    phases = (
        Phase(
            steps=2940,
            gates="open",
            captions_learn=False,
            warm_up=budget.warm_up,
            scale=0.5,
            decorrelation=0.1,
        ),
        Phase(steps=210, gates="open", scale=0.5, decorrelation=0.1),
        Phase(
            steps=2800,
            rate=Ramp(1.0, 0.1, "cosine", begin=0.125, end=1.375),
            scale=Ramp(0.5, 6.0, "geometric"),
            alignment=Ramp(0.0, 0.5),
            decorrelation=0.1,
            least_opening=0.05,
            isolate_unused=True,
            **growing,
        ),
        Phase(
            steps=1050,
            rate=Ramp(1.0, 0.1, "cosine", begin=-7 / 3, end=1.0),
            scale=6.0,
            alignment=2.0,
            decorrelation=0.05,
            **growing,
        ),
        Phase(
            steps=3000,
            gates="held",
            rate=Ramp(0.6, 0.0, "cosine"),
            scale=Ramp(6.0, 8.0, end=1 / 3),
            alignment=4.0,
        ),
    )
    return Method(
        name="ours",
        title="SmartCLIP",
        model=ModelOptions(shared_gates=False),
        objective=Objective(),
        phases=lasting(phases, budget.steps),
        captions_first=caption_code(caption_steps),
    )


def caption_code(steps: int) -> Method:
    """A code of captions, learned from pairs of them before any image (a stage of ours in words).

    Decorrelation of 0.1: from a code learned without it images learned hardly sooner than from a
    sum of words; at 1 the code itself had learned nothing after 2,000 steps.
    """
    open_phases = (
        Phase(steps=50, gates="open", warm_up=100, scale=0.5, decorrelation=0.1),
        Phase(
            steps=50,
            gates="open",
            scale=0.5,
            decorrelation=0.1,
            rate=Ramp(1.0, 0.1, "cosine"),
        ),
    )
    return Method(
        name="captions",
        title="Captions of one image",
        model=ModelOptions(masks=False, shared_gates=False),
        objective=Objective(),
        phases=lasting(open_phases, steps),
    )

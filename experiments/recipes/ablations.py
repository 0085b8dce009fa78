"""The vector recipe with one part taken away: what each part buys.

own negatives    S_ij under the mask of the caption that image i came with   (no modularity)
no sparsity      no price on open coordinates, of captions or of the code
no isolation     no step sees a group of coordinates alone
no decorrelation coordinates may say the same
published        cosine, learned temperature, straight-through gates that start open, one schedule
clip             every mask is all ones, cosine similarity                   (CLIP)
long-clip        the same, and the principal components of images for short captions
                                                              (Zhang et al., ECCV 2024)
"""

from collections.abc import Callable
from dataclasses import replace

from experiments.recipes.published import ALIGNMENT, SPARSITY
from experiments.recipes.vectors import VectorRecipe
from smartclip.train.growth import Growth
from theory import InputError

# CLIP's own at the start of training, 1 / 0.07.
CLIP_SCALE = 14.0
# Straight-through gates that start below 1/2 are shut, and those at 1 have no gradient.
OPENING = 0.6


def ablations() -> tuple[str, ...]:
    """The names, the whole recipe first."""
    return tuple(_CHANGES)


def ablated(recipe: VectorRecipe, name: str) -> VectorRecipe:
    """The recipe without the part that the name says, and otherwise the same.

    Raises:
        InputError: an unknown name.

    >>> ablated(VectorRecipe(), "own negatives").train.similarity
    'own_likelihood_ratio'
    """
    if name not in _CHANGES:
        raise InputError(
            f"ablation {name!r}",
            rule="the ablations are " + ", ".join(_CHANGES),
            fix="choose among them",
        )
    return _CHANGES[name](recipe)


def _own_negatives(recipe: VectorRecipe) -> VectorRecipe:
    return replace(recipe, train=replace(recipe.train, similarity="own_likelihood_ratio"))


def _no_sparsity(recipe: VectorRecipe) -> VectorRecipe:
    return replace(recipe, train=replace(recipe.train, sparsity=0.0, budget=0.0))


def _no_isolation(recipe: VectorRecipe) -> VectorRecipe:
    return _with_growth(recipe, isolate_every=None)


def _no_decorrelation(recipe: VectorRecipe) -> VectorRecipe:
    return _with_growth(recipe, decorrelation=0.0, settled_decorrelation=0.0)


def _with_growth(recipe: VectorRecipe, **changes: float | None) -> VectorRecipe:
    growth = replace(recipe.train.growth or Growth(), **changes)
    return replace(recipe, train=replace(recipe.train, growth=growth))


def _published(recipe: VectorRecipe) -> VectorRecipe:
    clip = _clip(recipe)
    dimension = recipe.dimension or 2 * recipe.family().dimension
    train = replace(
        clip.train,
        steps=recipe.train.total_steps,
        refine_steps=0,
        schedule="cosine",
        learned_scale=True,
        sparsity=SPARSITY / (2 * ALIGNMENT * dimension),
        budget=0.0,
    )
    return replace(clip, all_open=False, gate="straight_through", opening=OPENING, train=train)


def _clip(recipe: VectorRecipe) -> VectorRecipe:
    train = replace(
        recipe.train,
        similarity="cosine",
        logit_scale=CLIP_SCALE,
        refine_logit_scale=CLIP_SCALE,
        refine_alignment=0.0,
        growth=None,
    )
    return replace(recipe, train=train, all_open=True)


def _long_clip(recipe: VectorRecipe) -> VectorRecipe:
    clip = _clip(recipe)
    # A quarter of the coordinates; the published 32 of 512 are a sixteenth.
    dimension = recipe.dimension or 2 * recipe.family().dimension
    return replace(clip, components=max(1, dimension // 4))


_CHANGES: dict[str, Callable[[VectorRecipe], VectorRecipe]] = {
    "whole": lambda recipe: recipe,
    "own negatives": _own_negatives,
    "no sparsity": _no_sparsity,
    "no isolation": _no_isolation,
    "no decorrelation": _no_decorrelation,
    "published": _published,
    "clip": _clip,
    "long-clip": _long_clip,
}

"""Mask controls: the same code, measured again under masks that cannot be right, or must be.

learned: as given. shuffled: each caption gets the mask of another one. mean: every caption gets the
majority mask. all ones: nothing is masked. oracle: the dimensions of the caption, through the best
assignment of coordinates to dimensions. A score that survives a control does not come from the
masks.
"""

# pyright: basic

import math
from typing import Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from theory.captions import CaptionFamily
from theory.recovery.coordinates import as_masks
from theory.recovery.metrics.moments import Moments
from theory.recovery.recovery import BlockScore, Recovery, block_recovery
from theory.recovery.ridge import Ridge
from theory.recovery.samples import as_samples
from theory.recovery.verdict import Verdict

Control = Literal["learned", "shuffled", "mean", "all ones", "oracle"]

QUICK = Ridge(landmarks=128, bandwidths=(1.8,))


def control_masks(
    z: Tensor | np.ndarray,
    zhat: Tensor | np.ndarray,
    *,
    family: CaptionFamily,
    masks: Tensor | np.ndarray,
    seed: int = 0,
) -> dict[Control, Bool[np.ndarray, "captions D"]]:
    """The masks of each control.

    Args:
        z: latents [N, d].
        zhat: code [N, D].
        family: the captions.
        masks: the learned masks [n captions, D].
        seed: of the shuffle; a family of one caption shuffles to itself.
    """
    latents, code = as_samples("z", z), as_samples("zhat", zhat)
    learned = as_masks(masks, len(family.captions), code.shape[1])
    # A cycle through a random order moves every caption.
    order = torch.randperm(len(learned), generator=torch.Generator().manual_seed(seed)).numpy()
    shuffled = np.empty_like(learned)
    shuffled[order] = learned[np.roll(order, 1)]
    majority = np.asarray(family.weights) @ learned > 0.5
    return {
        "learned": learned,
        "shuffled": shuffled,
        "mean": np.repeat(majority[None], len(learned), 0),
        "all ones": np.ones_like(learned),
        "oracle": _oracle(latents, code.to(latents.device), family),
    }


def recovery_under_controls(
    z: Tensor | np.ndarray,
    zhat: Tensor | np.ndarray,
    *,
    family: CaptionFamily,
    masks: Tensor | np.ndarray,
    seed: int = 0,
) -> dict[Control, Recovery]:
    """`block_recovery` under every control, with a quick regression for all but the learned masks.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> z = np.random.default_rng(0).normal(size=(600, 3))
    >>> found = recovery_under_controls(z, z, family=family, masks=family.dimension_masks)
    >>> comparison(found).recovered.round(2).to_dict()
    {'learned': 1.0, 'shuffled': 0.43, 'mean': 0.29, 'all ones': 0.14, 'oracle': 1.0}
    """
    variants = control_masks(z, zhat, family=family, masks=masks, seed=seed)
    return {
        name: block_recovery(
            z,
            zhat,
            family=family,
            masks=variant,
            regression=None if name == "learned" else QUICK,
            resamples=200 if name == "learned" else 0,
            seed=seed,
        )
        for name, variant in variants.items()
    }


def beside_known(
    recovery: Recovery,
    z: Tensor | np.ndarray,
    zhat: Tensor | np.ndarray,
    *,
    masks: Tensor | np.ndarray,
    seed: int = 0,
) -> pd.DataFrame:
    """Each score beside that of an oracle, zhat = z, and of a null, the code of other samples.

    What the metric can reach at all and what it gives to no recovery, on the same samples.

    Args:
        recovery: measured.
        z: the latents it was measured with [N, d].
        zhat: the code [N, D].
        masks: the masks [n captions, D].
        seed: of the shuffle of the samples.

    Returns:
        One row a block: kind, block, and completeness and purity each as measured, of the oracle
        and of the null.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> z = np.random.default_rng(0).normal(size=(600, 3))
    >>> recovery = block_recovery(z, z**3, family=family, masks=family.dimension_masks)
    >>> found = beside_known(recovery, z, z**3, masks=family.dimension_masks)
    >>> bool(found.purity_of_oracle.min() > 0.99), bool(found.purity_of_null.max() < 0.05)
    (True, True)
    """
    family = recovery.family
    latents, code = as_samples("z", z), as_samples("zhat", zhat)
    others = torch.randperm(len(code), generator=torch.Generator().manual_seed(seed))
    known = {
        "oracle": (latents, family.dimension_masks),
        "null": (code[others.to(code.device)], masks),
    }
    columns = ["kind", "block", "completeness", "purity"]
    table = pd.DataFrame(recovery.table(), columns=columns)
    for name, (encoded, opened) in known.items():
        found = block_recovery(
            latents, encoded, family=family, masks=opened, regression=QUICK, resamples=0, seed=seed
        )
        matching = [_matching(found, row) for row in recovery.blocks]
        table[f"completeness_of_{name}"] = [row.completeness.average for row in matching]
        table[f"purity_of_{name}"] = [row.purity.average for row in matching]
    return table


def _matching(found: Recovery, wanted: BlockScore) -> BlockScore:
    """The row of the same block, with the same coordinates where there is one."""
    rows = [row for row in found.blocks if (row.kind, row.block) == (wanted.kind, wanted.block)]
    return next((row for row in rows if row.coordinates == wanted.coordinates), rows[0])


def comparison(recoveries: dict[Control, Recovery]) -> pd.DataFrame:
    """One row a control: share of promised blocks recovered, mean scores, open coordinates.

    A mean is over the scores that are defined, and NaN without any.
    """
    rows = {}
    for name, recovery in recoveries.items():
        promised = [row for row in recovery.blocks if row.promised]
        rows[name] = {
            "recovered": np.mean([row.verdict is Verdict.IDENTIFIED for row in promised]),
            "completeness": _mean([row.completeness.average for row in promised]),
            "purity": _mean([row.purity.average for row in promised]),
            "coordinates": np.mean([len(r.coordinates) for r in promised if r.kind == "caption"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _mean(scores: list[float]) -> float:
    known = [score for score in scores if not math.isnan(score)]
    return math.fsum(known) / len(known) if known else math.nan


def _oracle(z: Tensor, zhat: Tensor, family: CaptionFamily) -> Bool[np.ndarray, "captions D"]:
    """The caption's own dimensions, each through the coordinate that correlates with it most.

    Coordinates beyond the assignment follow the dimension that they correlate with most.
    """
    d = family.dimension
    strength = Moments.of(z, zhat).correlation()[:d, d:].abs().cpu().numpy()
    owner = strength.argmax(0)
    rows, columns = linear_sum_assignment(strength, maximize=True)
    owner[columns] = rows
    return family.dimension_masks[:, owner]

"""Mask controls and intervals over seeds."""

import numpy as np
import pytest

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery import Ridge, block_recovery, comparison, over_seeds, recovery_under_controls
from theory.recovery.controls import control_masks

FAMILY = CaptionFamily.from_captions([["a", "b"], ["a", "c"]], sizes={"a": 2})


def test_controls_are_what_they_say() -> None:
    z = np.random.default_rng(0).normal(size=(300, 4))
    order = [3, 0, 2, 1]
    true = FAMILY.dimension_masks[:, order]
    learned = true.copy()
    learned[0, 0] = True
    found = control_masks(z, z[:, order] ** 3, family=FAMILY, masks=learned)
    assert (found["oracle"] == true).all()
    assert (found["shuffled"] == learned[::-1]).all()
    assert found["all ones"].all()
    assert (found["mean"][0] == found["mean"][1]).all()


def test_only_learned_and_oracle_masks_recover() -> None:
    z = np.random.default_rng(0).normal(size=(500, 4))
    found = recovery_under_controls(z, z, family=FAMILY, masks=FAMILY.dimension_masks)
    shares = comparison(found).recovered
    assert list(shares.index) == ["learned", "shuffled", "mean", "all ones", "oracle"]
    assert shares["learned"] == shares["oracle"] == 1
    assert shares[["shuffled", "mean", "all ones"]].max() < 0.5


def test_intervals_over_seeds_hold_the_mean_and_shrink() -> None:
    quick = Ridge(landmarks=32, bandwidths=(1.8,))
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(300, 4))
        noisy = z + 0.3 * rng.normal(size=z.shape)
        found.append(
            block_recovery(
                z, noisy, family=FAMILY, masks=FAMILY.dimension_masks, regression=quick, resamples=0
            )
        )
    table = over_seeds(found)
    assert (table.seeds == 3).all()
    assert (table.purity_low < table.purity).all()
    assert (table.purity < table.purity_high).all()
    first = found[0].table()
    assert len(table) == len(first.groupby(["kind", "block"]))
    assert over_seeds(found[:1]).purity_low.isna().all()
    with pytest.raises(InputError, match="0 recoveries"):
        over_seeds([])


def test_scores_that_are_not_defined_are_left_out_of_means() -> None:
    """Concept c is constant in the second seed; a collapsed code has no purity at all."""
    quick = {"regression": Ridge(landmarks=32, bandwidths=(1.8,)), "resamples": 0}
    known = {"family": FAMILY, "masks": FAMILY.dimension_masks}
    z = np.random.default_rng(0).normal(size=(300, 4))
    still = z.copy()
    still[:, 3] = 1.0
    found = [block_recovery(values, z, **known, **quick) for values in (z, still)]
    table = over_seeds(found).set_index("kind")
    first = next(row for row in found[0].blocks if row.block == {"c"})
    assert table.loc["concept"].completeness.iloc[1] == first.completeness.average
    assert (table.loc["concept"].seeds == 2).all()
    collapsed = comparison(recovery_under_controls(z, 0 * z, **known))
    assert collapsed.purity.isna().all()
    assert (collapsed.recovered == 0).all()

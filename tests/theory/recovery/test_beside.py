"""Scores beside those of an oracle and a null, and the error of the landmarks."""

import numpy as np

from theory.captions import CaptionFamily
from theory.recovery import Grid, Ridge, beside_known, block_recovery

FAMILY = CaptionFamily.from_captions([["a", "b"], ["a", "c"]], sizes={"a": 2})
MASKS = FAMILY.dimension_masks
Z = np.random.default_rng(0).normal(size=(900, 4))
QUICK = Ridge(landmarks=64, bandwidths=(1.8,))


def test_every_block_stands_between_the_null_and_the_oracle() -> None:
    noisy = Z + 0.5 * np.random.default_rng(1).normal(size=Z.shape)
    recovery = block_recovery(Z, noisy, family=FAMILY, masks=MASKS, regression=QUICK, resamples=0)
    table = beside_known(recovery, Z, noisy, masks=MASKS)
    assert len(table) == len(recovery.blocks)
    for direction in ("completeness", "purity"):
        assert (table[f"{direction}_of_oracle"] > 0.99).all()
        assert table[f"{direction}_of_null"].abs().max() < 0.1
        assert table[direction].between(0.6, 0.95).all()


def test_the_error_of_the_landmarks_is_small_where_they_suffice_and_large_where_not() -> None:
    def error(code: np.ndarray, landmarks: int) -> float:
        recovery = block_recovery(
            Z, code, family=FAMILY, masks=MASKS, resamples=0,
            regression=Ridge(landmarks=landmarks, bandwidths=(0.7,)),
        )  # fmt: skip
        assert recovery.landmark_error is not None
        assert recovery.to_dict()["landmark_error"] == recovery.landmark_error
        return recovery.landmark_error

    assert error(Z**3, 128) < 0.02
    mixed = np.sin(3 * Z) * np.roll(Z, 1, axis=1)
    assert error(mixed, 32) > error(Z**3, 128)


def test_the_grid_has_no_landmark_error() -> None:
    few, grid = slice(120), Grid(gammas=(0.1,), alphas=(0.1,))
    recovery = block_recovery(
        Z[few], Z[few], family=FAMILY, masks=MASKS, regression=grid, resamples=0
    )
    assert recovery.landmark_error is None

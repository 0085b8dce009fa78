"""Codes that fold a known share of the samples."""

import numpy as np
import pytest

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery.folds import fold_test

FAMILY = CaptionFamily.from_captions([["a"], ["b"]], sizes={"a": 2})
MASKS = FAMILY.dimension_masks
Z = np.random.default_rng(0).normal(size=(3000, 3))


def test_invertible_codes_do_not_fold() -> None:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(2, 2))).Q
    code = np.hstack([np.sinh(Z[:, :2] @ turn), np.tanh(2 * Z[:, 2:])])
    assert fold_test(Z, code, family=FAMILY, masks=MASKS).table().folded.max() < 0.01


def test_a_small_fold_is_measured_and_has_a_witness() -> None:
    """b beyond -1.9 is reflected to the other side: 3 % of the samples, told as their mirror."""
    code = Z.copy()
    code[:, 2] = np.where(Z[:, 2] < -1.9, -Z[:, 2], Z[:, 2])
    test = fold_test(Z, code, family=FAMILY, masks=MASKS)
    row = next(row for row in test.blocks if row.block == {"b"})
    # Of the samples beyond 1.9 on either side, half have a neighbour from the other side.
    assert row.folded == pytest.approx(0.029, abs=0.01)
    first, second = row.witness
    assert Z[first, 2] * Z[second, 2] < 0
    assert abs(code[first, 2] - code[second, 2]) < 0.3
    assert row.apart > 2
    clean = next(row for row in test.blocks if row.block == {"a"})
    assert clean.folded < 0.005


def test_odd_inputs_have_a_defined_answer() -> None:
    assert fold_test(Z, Z, family=FAMILY, masks=np.zeros_like(MASKS)).blocks == ()
    constant = fold_test(np.zeros_like(Z), np.zeros_like(Z), family=FAMILY, masks=MASKS)
    assert constant.table().folded.max() == 0
    with pytest.raises(InputError, match="z has shape"):
        fold_test(Z[:100], Z, family=FAMILY, masks=MASKS)

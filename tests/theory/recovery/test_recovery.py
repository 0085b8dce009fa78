"""Block recovery: encoders whose answer is known, and inputs that are wrong."""

import json

import numpy as np
import pytest
import torch

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery import Grid, Probe, Ridge, Verdict, block_recovery
from theory.recovery.encoders import known_encoders
from theory.recovery.inputs import Regression
from theory.recovery.recovery import Recovery

FAMILY = CaptionFamily.from_captions([["a", "b"], ["a", "c"], ["d"]], sizes={"a": 2})
COLUMNS = [
    "kind",
    "block",
    "promised",
    "completeness",
    "purity",
    "floor",
    "coordinates",
    "verdict",
]


def latents(rows: int, strength: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(rows, FAMILY.dimension))
    return strength * rng.normal(size=(rows, 1)) + (1 - strength**2) ** 0.5 * own


def measured(z: np.ndarray, zhat: np.ndarray, **settings: object) -> Recovery:
    masks = settings.pop("masks", FAMILY.dimension_masks)
    settings.setdefault("regression", Ridge(landmarks=64, bandwidths=(1.8,)))
    return block_recovery(z, zhat, family=FAMILY, masks=masks, **settings)  # type: ignore[arg-type]


def test_the_table_has_the_published_columns_and_all_blocks() -> None:
    table = measured(latents(1500), latents(1500)).table()
    assert list(table.columns) == COLUMNS
    found = {kind: set(rows.block) for kind, rows in table.groupby("kind")}
    ab, ac, d = (frozenset(caption) for caption in FAMILY.captions)
    assert found["caption"] == {ab, ac, d}
    assert found["union"] == {ab | ac, ab | d, ac | d, ab | ac | d}
    assert found["intersection"] == {frozenset("a")}
    assert found["closure"] == {frozenset("a"), ab, ac, d}
    assert found["concept"] == {frozenset("b"), frozenset("c")}
    assert (table.promised == (table.kind != "concept")).all()
    assert (table[table.kind == "caption"].coordinates == [3, 3, 1]).all()


@pytest.mark.parametrize("strength", [0.0, 0.9])
@pytest.mark.parametrize("encoder", range(14))
def test_every_verdict_agrees_with_the_known_encoders(encoder: int, strength: float) -> None:
    known = known_encoders(FAMILY, seed=encoder)[encoder]
    z = latents(1200, strength)
    recovery = measured(
        z,
        known.encode(torch.from_numpy(z), seed=0),
        masks=known.masks,
        resamples=0,
    )
    for row in recovery.blocks:
        recovered = row.verdict in (Verdict.IDENTIFIED, Verdict.SURPRISE)
        assert recovered == known.identifies(row.block, row.coordinates), (known.name, row)


def test_dependence_is_neither_recovery_nor_leakage() -> None:
    """z_k = z_j + 0.1 e, zhat = z_j for block {k}: both scores are 0.99, for the wrong concept."""
    rng = np.random.default_rng(0)
    j = rng.normal(size=(4000, 1))
    z = np.hstack([j, j + 0.1 * rng.normal(size=(4000, 1))])
    family = CaptionFamily.from_captions([["j"], ["k"]])
    masks = np.eye(2, dtype=bool)
    wrong = block_recovery(z, z[:, [0, 0]], family=family, masks=masks)
    row = next(row for row in wrong.blocks if row.block == {"k"})
    assert row.completeness.average == pytest.approx(0.990, abs=0.002)
    assert row.purity.average == pytest.approx(0.990, abs=0.002)
    assert row.completeness.floor == pytest.approx(0.990, abs=0.002)
    assert row.verdict is Verdict.MISSED
    right = block_recovery(z, z, family=family, masks=masks)
    assert right.as_predicted


def test_one_direction_does_not_hold_a_block_of_nearly_equal_latents() -> None:
    """Every latent has R2 0.98 from their sum, and nothing lies outside the union."""
    z = latents(2000, 0.99)
    recovery = measured(z, np.repeat(z.sum(1, keepdims=True), 5, axis=1))
    union = next(row for row in recovery.blocks if row.dimension == 5)
    assert union.completeness.worst > 0.95
    assert union.completeness.floor == pytest.approx(0, abs=0.01)
    assert union.verdict in (Verdict.MISSED, Verdict.UNDECIDED)


def test_scores_against_the_closed_form_of_a_leak() -> None:
    """zhat_b = z_b + z_d, independent: purity 1/2, completeness 1/2, linear as well."""
    z = latents(8000)
    zhat = z.copy()
    zhat[:, 2] += z[:, 4]
    recovery = measured(z, zhat)
    row = next(row for row in recovery.blocks if row.block == {"a", "b"})
    assert row.purity.coordinates == pytest.approx((1, 1, 0.5), abs=0.03)
    assert row.completeness.coordinates == pytest.approx((1, 1, 0.5), abs=0.03)
    assert row.purity.lines == pytest.approx((1, 1, 0.5), abs=0.03)
    assert row.purity.linear == pytest.approx(5 / 6, abs=0.02)
    low, high = row.purity.interval
    assert low < row.purity.average < high
    assert high - low < 0.05
    assert row.verdict is Verdict.MISSED
    assert "coordinate 3" in row.reason
    assert not recovery.as_predicted
    assert "missed: {a, b}" in recovery.verdict


def test_dependency_sees_a_rotation_that_no_single_concept_predicts() -> None:
    """zhat_a = R(z_d) z_a: R2(zhat_a <- z_d) is 0, yet the code needs z_d."""
    z = latents(4000)
    zhat = z.copy()
    turn = 1.5 * z[:, 4]
    zhat[:, 0] = np.cos(turn) * z[:, 0] - np.sin(turn) * z[:, 1]
    zhat[:, 1] = np.sin(turn) * z[:, 0] + np.cos(turn) * z[:, 1]
    dependency = measured(z, zhat, regression=Ridge(), resamples=0).dependency
    a, b, c, d = range(4)
    assert dependency[a, d] > 0.5
    assert dependency[[b, c, d], [b, c, d]] == pytest.approx(1, abs=0.02)
    assert dependency[b, [a, c, d]].max() < 0.02


def test_a_named_block_is_measured_and_may_be_outside_the_ring() -> None:
    table = measured(latents(1000), latents(1000), blocks=[["b", "d"], ["a", "d"]]).table()
    named = table[table.kind == "named"]
    assert list(named.promised) == [False, True]
    assert list(named.verdict) == ["surprise", "identified as predicted"]
    with pytest.raises(InputError, match="block 0 is empty"):
        measured(latents(100), latents(100), blocks=[[]])


def test_every_form_of_the_answer_is_plain() -> None:
    zhat = latents(500)
    zhat[:, 0] = 3.0
    recovery = measured(latents(500), zhat)
    json.dumps(recovery.to_dict(), allow_nan=False)
    html = recovery._repr_html_()
    assert recovery.verdict in html
    assert html.count("<tr>") == len(recovery.blocks) + 1
    scores = recovery.scores()
    assert {"coordinate", "r2", "linear", "floor"} < set(scores.columns)
    assert len(scores[scores.direction == "purity"]) == sum(
        len(row.coordinates) for row in recovery.blocks
    )


def test_the_same_seed_gives_the_same_answer_and_no_global_state_moves() -> None:
    z = latents(600)
    before = torch.random.get_rng_state()
    first, second = (measured(z, np.tanh(z), seed=3).to_dict() for _ in range(2))
    assert first == second
    assert torch.equal(before, torch.random.get_rng_state())


def test_arrays_float32_tensors_and_zero_one_masks_are_the_same_input() -> None:
    z = latents(600).astype(np.float32)
    arrays = measured(z, z**3)
    tensors = block_recovery(
        torch.from_numpy(z).requires_grad_(),
        torch.from_numpy(z**3),
        family=FAMILY,
        masks=torch.from_numpy(FAMILY.dimension_masks.astype(np.float32)),
        regression=Ridge(landmarks=64, bandwidths=(1.8,)),
    )
    assert arrays.to_dict() == tensors.to_dict()


def test_fewer_samples_than_coordinates_and_empty_masks_have_an_answer() -> None:
    z = latents(40)
    wide = np.tile(z, (1, 20))
    recovery = measured(z, wide, masks=np.tile(FAMILY.dimension_masks, (1, 20)))
    assert all(np.isfinite(row.purity.average) for row in recovery.blocks)
    empty = measured(z, z, masks=np.zeros_like(FAMILY.dimension_masks))
    promised = [row for row in empty.blocks if row.promised]
    assert {row.verdict for row in promised} == {Verdict.MISSED}
    assert all(row.completeness.average < 0.01 for row in promised)
    assert all(row.purity.average == 1 for row in promised)
    assert empty.unused == tuple(range(5))
    assert np.isnan(empty.dependency).all()


def test_constant_code_and_constant_latents_have_an_answer() -> None:
    z = latents(500)
    collapsed = measured(z, np.ones_like(z))
    assert {row.verdict for row in collapsed.blocks if row.promised} == {Verdict.MISSED}
    z[:, 4] = 2.0
    still = next(row for row in measured(z, latents(500)).blocks if row.block == {"d"})
    assert np.isnan(still.completeness.average)
    assert still.verdict is Verdict.MISSED


@pytest.mark.parametrize("regression", [Grid(), Probe(width=8, steps=10)])
def test_odd_inputs_have_an_answer_by_every_regression(regression: Regression) -> None:
    z = latents(40)
    still = z.copy()
    still[:, 4] = 2.0
    wide, masks = np.tile(z, (1, 20)), FAMILY.dimension_masks
    for latent, code, opened in (
        (still, z, masks),
        (z, still, masks),
        (z, wide, np.tile(masks, (1, 20))),
        (z, z, 0 * masks),
    ):
        recovery = measured(latent, code, masks=opened, regression=regression, resamples=0)
        json.dumps(recovery.to_dict(), allow_nan=False)
        for row in recovery.blocks:
            undefined = np.isnan(row.completeness.coordinates).sum()
            assert undefined == (latent is still and "d" in row.block)
    assert {row.verdict for row in recovery.blocks if row.promised} == {Verdict.MISSED}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": np.zeros((100, 4))}, "z has 4 columns"),
        ({"zhat": np.zeros((99, 5))}, "z has 100 rows and zhat 99"),
        ({"z": np.zeros((10, 5))}, "z has 10 rows"),
        ({"zhat": np.full((100, 5), np.nan)}, "zhat holds NaN or infinity, first in row 0"),
        ({"zhat": np.zeros(100)}, r"zhat has shape \(100,\)"),
        ({"zhat": np.zeros((100, 0))}, r"zhat has shape \(100, 0\)"),
        ({"masks": np.ones((2, 5), dtype=bool)}, r"masks have shape \(2, 5\)"),
        ({"masks": np.full((3, 5), 0.7)}, "masks hold the value"),
        ({"threshold": 1.5}, "threshold is 1.5"),
    ],
)
def test_bad_input_is_one_clear_error(change: dict[str, object], message: str) -> None:
    given = {"z": latents(100), "zhat": latents(100)} | change
    with pytest.raises(InputError, match=message):
        measured(**given)  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.parametrize("regression", [Ridge(), Grid(), Probe(steps=200)])
def test_on_a_gpu_it_says_the_same(regression: Regression) -> None:
    z = torch.from_numpy(latents(600))
    known = {"family": FAMILY, "masks": FAMILY.dimension_masks, "regression": regression}
    here = block_recovery(z, torch.tanh(z), **known)
    there = block_recovery(z.cuda(), torch.tanh(z).cuda(), **known)
    for row, other in zip(here.blocks, there.blocks, strict=True):
        assert other.verdict is row.verdict
        assert other.completeness.coordinates == pytest.approx(
            row.completeness.coordinates, abs=5e-3
        )
        assert other.purity.coordinates == pytest.approx(row.purity.coordinates, abs=5e-3)

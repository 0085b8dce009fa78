"""Metrics against independent implementations, in batches as in one piece."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.linear_model import LinearRegression

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery import Ridge, block_recovery
from theory.recovery.metrics import (
    BlockRecovery,
    Disentanglement,
    MaskSupport,
    MeanCorrelation,
    dci,
    dci_of_importance,
    mask_agreement,
    mean_correlation,
)

FAMILY = CaptionFamily.from_captions([["a", "b"], ["a", "c"]], sizes={"a": 2}, weights=[1, 3])


def pair(rows: int, d: int, coordinates: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, d, generator=generator) + 3
    mixing = torch.randn(d, coordinates, generator=generator)
    return z, z @ mixing + 0.5 * torch.randn(rows, coordinates, generator=generator)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 100))
def test_mean_correlation_is_the_best_of_all_assignments(d: int, width: int, seed: int) -> None:
    z, zhat = pair(60, d, width, seed)
    both = np.abs(np.corrcoef(z.double().numpy(), zhat.double().numpy(), rowvar=False))[:d, d:]
    if d <= width:
        best = max(
            sum(both[row, column] for row, column in enumerate(columns))
            for columns in itertools.permutations(range(width), d)
        )
    else:
        best = max(
            sum(both[row, column] for column, row in enumerate(rows))
            for rows in itertools.permutations(range(d), width)
        )
    assert float(mean_correlation(z, zhat)) == pytest.approx(best / d, abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 100))
def test_dci_is_that_of_scipy_and_scikit_learn(d: int, width: int, seed: int) -> None:
    z, zhat = pair(200, d, width, seed)
    scaled = [(x - x.mean(0)) / x.std(0) for x in (z.double().numpy(), zhat.double().numpy())]
    model = LinearRegression().fit(scaled[1], scaled[0])
    importance = np.abs(model.coef_.T)
    rows, columns = importance.sum(1), importance.sum(0)
    disentanglement = rows / rows.sum() @ (1 - entropy(importance, axis=1, base=d))
    completeness = columns / columns.sum() @ (1 - entropy(importance, axis=0, base=width))
    found = dci(z, zhat)
    assert found.disentanglement == pytest.approx(disentanglement, abs=1e-3)
    assert found.completeness == pytest.approx(completeness, abs=1e-3)
    assert found.informativeness == pytest.approx(model.score(scaled[1], scaled[0]), abs=1e-3)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_mask_agreement_is_the_best_of_all_permutations(width: int, seed: int) -> None:
    masks = np.random.default_rng(seed).random((2, width)) < 0.5
    true = FAMILY.dimension_masks
    padded = np.pad(masks, ((0, 0), (0, 4 - width)))
    weights = np.array(FAMILY.weights)
    found = mask_agreement(torch.from_numpy(masks.astype(float)), FAMILY)
    errors = [
        weights @ (padded[:, list(order)] != true).mean(1)
        for order in itertools.permutations(range(4))
    ]
    assert found.support_error == pytest.approx(min(errors))
    assert found.usage == pytest.approx(weights @ masks)
    assert found.keep_rate == pytest.approx(float((weights @ masks).mean()))
    assert 0 <= found.iou <= 1
    assert (found.iou == 1) == (found.support_error < 1e-12)


def test_classes_add_up_to_the_functions() -> None:
    z, zhat = pair(300, 4, 4, 0)
    masks = torch.from_numpy(FAMILY.dimension_masks.copy())
    caption = torch.arange(300) % 2
    whole = {"regression": Ridge(landmarks=32, bandwidths=(1.8,))}
    metrics = (
        MeanCorrelation(4, 4),
        Disentanglement(4, 4),
        MaskSupport(FAMILY, 4),
        BlockRecovery(FAMILY, masks, **whole),
    )
    for rows in torch.arange(300).split(77):
        for metric in metrics:
            given = (masks[caption[rows]], caption[rows]) if metric is metrics[2] else (
                z[rows],
                zhat[rows],
            )  # fmt: skip
            metric.update(*given)
    assert float(metrics[0].compute()) == pytest.approx(float(mean_correlation(z, zhat)))
    assert metrics[1].compute()["completeness"] == pytest.approx(dci(z, zhat).completeness)
    assert metrics[2].compute() == {
        "support_error": 0.0,
        "iou": 1.0,
        "keep_rate": 0.75,
        "used": 4.0,
    }
    direct = block_recovery(z, zhat, family=FAMILY, masks=masks, **whole)
    assert metrics[3].recovery().to_dict() == direct.to_dict()
    assert set(metrics[3].compute()) == {"recovered", "entangled", "completeness", "purity"}


def test_directions_and_bounds_are_declared() -> None:
    for metric in (MeanCorrelation, Disentanglement, MaskSupport, BlockRecovery):
        assert (metric.plot_lower_bound, metric.plot_upper_bound) == (0.0, 1.0)
    assert MeanCorrelation.higher_is_better


def test_constants_and_wrong_inputs() -> None:
    z, _ = pair(50, 3, 3, 0)
    assert float(mean_correlation(z, torch.ones(50, 3))) == 0
    constant = dci(z, torch.ones(50, 2))
    assert (constant.disentanglement, constant.completeness, constant.informativeness) == (0, 0, 0)
    with pytest.raises(InputError, match="1 rows"):
        mean_correlation(z[:1], z[:1])
    with pytest.raises(InputError, match="NaN"):
        mean_correlation(z, z * torch.nan)
    with pytest.raises(InputError, match="one or more gates"):
        mask_agreement(torch.zeros(2, 0), FAMILY)
    with pytest.raises(InputError, match="negative"):
        dci_of_importance(-torch.eye(2))
    with pytest.raises(InputError, match=r"zhat \(50, 3\)"):
        MeanCorrelation(3, 4).update(z, z)
    with pytest.raises(InputError, match="rate in"):
        mask_agreement(torch.full((2, 3), 1.5), FAMILY)
    with pytest.raises(InputError, match="one of 2 captions"):
        MaskSupport(FAMILY, 3).update(torch.ones(1, 3), torch.tensor([2]))


def test_fewer_samples_than_coordinates_have_an_answer() -> None:
    z, _ = pair(5, 3, 3, 0)
    wide = z.repeat(1, 9)
    assert float(mean_correlation(z, wide)) == pytest.approx(1)
    assert dci(z, wide).informativeness == pytest.approx(1, abs=1e-4)


def test_block_recovery_refuses_wrong_batches_and_none() -> None:
    z, zhat = pair(50, 4, 4, 0)
    metric = BlockRecovery(FAMILY, torch.from_numpy(FAMILY.dimension_masks.copy()))
    with pytest.raises(InputError, match="z has 0 rows"):
        metric.compute()
    for wrong in ((z[:3], zhat), (z[:, :3], zhat), (z, zhat[:, :3])):
        with pytest.raises(InputError, match="both the same rows"):
            metric.update(*wrong)
    metric.update(z, zhat * torch.nan)
    with pytest.raises(InputError, match="zhat holds NaN"):
        metric.compute()

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import smartclip.diagnostics
from smartclip.diagnostics import mask_statistics


def pair_by_pair(mask):
    overlaps = []
    for i, one in enumerate(mask):
        for other in mask[:i]:
            either = (one | other).sum()
            overlaps.append((one & other).sum() / either if either else 1.0)
    return float(np.mean(overlaps)) if overlaps else 1.0


@given(
    size=st.integers(1, 9),
    dimension=st.integers(1, 6),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
    chunk=st.integers(1, 10),
)
@settings(deadline=None, max_examples=40)
def test_equals_its_definition(size, dimension, share, seed, chunk):
    mask = np.random.default_rng(seed).random((size, dimension)) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smartclip.diagnostics, "PAIRS_AT_A_TIME", chunk)
        found = mask_statistics(torch.tensor(mask, dtype=torch.float32))
    assert found.dead == (~mask.any(0)).sum()
    assert found.always_on == mask.all(0).sum()
    assert found.keep_rate == pytest.approx(mask.mean(), abs=1e-6)
    assert found.overlap == pytest.approx(pair_by_pair(mask), abs=1e-6)


def test_masks_that_ignore_the_caption_overlap_by_one():
    mask = torch.tensor([1.0, 0, 1]).repeat(6, 1)
    assert mask_statistics(mask) == (pytest.approx(2 / 3), 1, 2, 1.0)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu():
    mask = (torch.rand(300, 20, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    assert mask_statistics(mask.cuda()) == pytest.approx(mask_statistics(mask))


def test_examples_run():
    assert doctest.testmod(smartclip.diagnostics).failed == 0

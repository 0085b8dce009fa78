"""Batches made ahead are those made in place, at whatever step a run begins."""

import pytest
import torch
from torch import Tensor

from smartclip.train.ahead import AheadSource

CPU = torch.device("cpu")


class Numbers:
    """A batch that names its kind, step and size."""

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return torch.full((size,), float(step), device=device), torch.zeros(size, device=device)

    def pairs(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return torch.full((size,), float(step), device=device), torch.ones(size, device=device)


def test_on_a_cpu_nothing_is_made_ahead():
    with AheadSource(Numbers()) as source:
        images, _ = source.batch(3, 2, CPU)
        assert source._coming is None
    assert images.tolist() == [3, 3]


def checked(device: torch.device) -> None:
    with AheadSource(Numbers(), workers=1) as source:
        for step in (5, 6, 7, 2, 3):  # goes on, and begins anew
            images, tokens = source.batch(step, 2, device)
            assert (images.tolist(), tokens.tolist()) == ([step] * 2, [0, 0])
        one, other = source.pairs(4, 3, device)
        assert (one.tolist(), other.tolist()) == ([4] * 3, [1] * 3)
    assert source._coming is None


@pytest.mark.filterwarnings("ignore:.*pin_memory.*", "ignore:.*fork.*")
def test_processes_make_what_the_source_makes(monkeypatch: pytest.MonkeyPatch):
    # The CPU in the place of a GPU: every tensor goes "there" and stays.
    monkeypatch.setattr("smartclip.train.ahead._is_here", lambda device: False)
    checked(CPU)


@pytest.mark.gpu
def test_processes_make_it_for_a_gpu():
    checked(torch.device("cuda"))

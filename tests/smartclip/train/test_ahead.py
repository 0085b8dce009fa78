"""Batches made ahead are those made in place, at whatever step a run begins."""

import pytest
import torch

from simulators import VectorWorld
from smartclip.train.ahead import AheadSource
from smartclip.train.source import WorldSource
from theory import CaptionFamily

CPU = torch.device("cpu")


FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"]])


def numbers() -> WorldSource:
    return WorldSource(VectorWorld(FAMILY), seed=3)


def test_on_a_cpu_nothing_is_made_ahead():
    with AheadSource(numbers()) as source:
        images, _ = source.batch(3, 2, CPU)
        assert source._coming is None
    assert torch.equal(images, numbers().batch(3, 2, CPU)[0])


def checked(device: torch.device) -> None:
    with AheadSource(numbers(), workers=1) as source:
        for step in (5, 6, 7, 2, 3):  # goes on, and begins anew
            for one, other in zip(
                source.batch(step, 4, device), numbers().batch(step, 4, CPU), strict=True
            ):
                assert torch.equal(one.cpu(), other)
        part = source.rows(5, 4, slice(1, 3), device)
        assert torch.equal(part[0].cpu(), numbers().batch(5, 4, CPU)[0][1:3])
    assert source._coming is None


@pytest.mark.filterwarnings("ignore:.*pin_memory.*", "ignore:.*fork.*")
def test_processes_make_what_the_source_makes(monkeypatch: pytest.MonkeyPatch):
    # The CPU in the place of a GPU: every tensor goes "there" and stays.
    monkeypatch.setattr("smartclip.train.ahead._is_here", lambda device: False)
    checked(CPU)


@pytest.mark.gpu
def test_processes_make_it_for_a_gpu():
    checked(torch.device("cuda"))

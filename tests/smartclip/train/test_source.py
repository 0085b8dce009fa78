import torch

from simulators import VectorWorld
from smartclip.train.source import RowSource, WorldSource, rows_of_batch
from theory import CaptionFamily

CPU = torch.device("cpu")


class Whole:
    """A source that can only give whole batches."""

    def __init__(self, inner):
        self.inner = inner

    def batch(self, step, size, device):
        return self.inner.batch(step, size, device)


def test_rows_are_those_of_the_batch_whoever_cuts_them():
    world = VectorWorld(CaptionFamily.from_captions([["a", "b"], ["b", "c"]]))
    source = WorldSource(world, seed=3, steps_at_once=4)
    assert isinstance(source, RowSource)
    assert not isinstance(Whole(source), RowSource)
    for step in (0, 5):
        whole = source.batch(step, 12, CPU)
        for wanted in (slice(0, 12), slice(4, 8), slice(8, 12)):
            for giver in (source, Whole(source)):
                rows = rows_of_batch(giver, step, 12, wanted, CPU)
                for one, other in zip(rows, whole, strict=True):
                    torch.testing.assert_close(one, other[wanted])

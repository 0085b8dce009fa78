"""Two gloo processes accumulate to the same numbers as one, however the rows are divided."""

import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery import Ridge
from theory.recovery.metrics import BlockRecovery, Disentanglement, MaskSupport, MeanCorrelation

ROWS = 200
FIRST = (100, 37, 0)
"""Rows of process 0; the others are those of process 1."""


def metrics() -> dict[str, object]:
    family = CaptionFamily.from_captions([["a", "b"], ["a", "c"]])
    masks = torch.from_numpy(family.dimension_masks.copy())
    return {
        "mean_correlation": MeanCorrelation(3, 3),
        "dci": Disentanglement(3, 3),
        "masks": MaskSupport(family, 3),
        "blocks": BlockRecovery(family, masks, regression=Ridge(landmarks=32, bandwidths=(1.8,))),
    }


def values(rows: torch.Tensor, spoiled: int | None = None) -> dict[str, object]:
    """Of metrics that never see an empty batch; row `spoiled` of the code is NaN."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(ROWS, 3, generator=generator)
    zhat = torch.tanh(z) + 0.3 * z[:, [1, 2, 0]]
    if spoiled is not None:
        zhat[spoiled] = torch.nan
    caption = torch.arange(ROWS) % 2
    masks = torch.rand(ROWS, 3, generator=generator) < 0.5
    found = metrics()
    for name, metric in found.items():
        for part in rows.split(40) if len(rows) else ():
            given = (masks[part], caption[part]) if name == "masks" else (z[part], zhat[part])
            metric.update(*given)  # type: ignore[attr-defined]
    return {name: metric.compute() for name, metric in found.items()}  # type: ignore[attr-defined]


def worker(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    mine = [torch.arange(ROWS).tensor_split([first])[rank] for first in FIRST]
    torch.save([values(rows) for rows in mine], Path(folder) / f"{rank}.pt")
    # A bad row on one process is an error on both, so that neither waits for the other.
    with pytest.raises(InputError, match="NaN"):
        values(mine[0], spoiled=150)
    dist.destroy_process_group()


@pytest.mark.distributed
def test_two_processes_are_one(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.start_processes(worker, args=(port, str(tmp_path)), nprocs=2, start_method="spawn")
    whole = values(torch.arange(ROWS))
    for rank in range(2):
        for found in torch.load(tmp_path / f"{rank}.pt", weights_only=True):
            for name, value in whole.items():
                if isinstance(value, dict):
                    assert found[name] == pytest.approx(value, abs=1e-12)
                else:
                    torch.testing.assert_close(found[name], value, rtol=0, atol=1e-12)

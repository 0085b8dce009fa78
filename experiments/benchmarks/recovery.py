"""Block recovery and its regressions, beside scikit-learn's grid search."""

import resource
import time

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from experiments.benchmarks.measurement import Measurement, median_seconds
from theory import CaptionFamily
from theory.recovery import Grid, Ridge, block_recovery
from theory.recovery.inputs import Inputs
from theory.recovery.samples import Split, standardised

TARGETS = 10


def measurements() -> list[Measurement]:
    """About 90 seconds on one idle core, most of them scikit-learn's."""
    return [*_grid(), *_blocks()]


def _problem(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Six inputs; ten targets from easy to impossible."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(rows, 6, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64)).Q
    noise = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    products = z[:, :1] * z[:, 5:]
    y = torch.cat([z[:, :4], torch.sin(2 * z[:, :3]), products, noise[:, :1] + z[:, :1]], 1)
    return torch.asinh(2 * z @ turn) @ turn.T, torch.cat([y, noise[:, 1:]], 1)


def _grid() -> list[Measurement]:
    """scikit-learn searches one target, timed once; ten take ten times as long."""
    rows = 4096
    x, y = _problem(rows + 1024)
    order = torch.arange(len(x))
    x, y = standardised(x, order[:rows]), standardised(y, order[:rows])
    known, new = slice(0, rows), slice(rows, None)

    grid = Grid()

    def answer() -> torch.Tensor:
        return grid.refit(x[known], y[known], x[new], grid.search(x[known], y[known]))

    ours = answer()
    seconds = median_seconds(answer, repeats=3)

    started = time.perf_counter()
    candidates = {"alpha": list(grid.alphas), "gamma": list(grid.gammas)}
    search = GridSearchCV(KernelRidge(kernel="rbf"), candidates, cv=3)
    theirs = search.fit(x[known].numpy(), y[known, 0].numpy()).predict(x[new].numpy())
    reference = TARGETS * (time.perf_counter() - started)
    difference = abs(_r2(y[new, 0], ours[:, 0]) - float(r2_score(y[new, 0].numpy(), theirs)))

    # Fit and choose rows are together as many as the grid's rows.
    split = Split(fit=order[: rows * 4 // 5], choose=order[rows * 4 // 5 : rows], test=order[rows:])
    started = time.perf_counter()
    quick = Ridge().predict(Inputs.of(x, split), y, split)
    landmarks = time.perf_counter() - started
    gained = min(_r2(y[new, i], quick[:, i]) - _r2(y[new, i], ours[:, i]) for i in range(TARGETS))

    name = f"GridSearchCV(KernelRidge), {TARGETS} x one target"
    return [
        Measurement(
            work=f"the papers' grid, {rows} samples, {TARGETS} targets",
            seconds=seconds,
            reference=name,
            reference_seconds=reference,
            target="50 times faster, R2 within 0.005",
            note=f"{reference / seconds:.0f} times faster; R2 differs by {difference:.5f}",
        ),
        Measurement(
            work=f"landmark ridge (the default), {rows} samples, {TARGETS} targets",
            seconds=landmarks,
            reference=name,
            reference_seconds=reference,
            target="50 times faster",
            note=f"{reference / landmarks:.0f} times faster; "
            f"R2 minus the grid's is at least {gained:+.3f}",
        ),
    ]


def _blocks() -> list[Measurement]:
    family = CaptionFamily.from_captions(
        [[0, 1, 2], [0, 3, 4], [1, 3], [2, 4]], sizes=dict.fromkeys(range(5), 2)
    )
    found: list[Measurement] = []
    for rows, target in ((4096, "10 s"), (100_000, "60 s, less than 4 GiB")):
        z = np.random.default_rng(0).normal(size=(rows, family.dimension))
        started = time.perf_counter()
        recovery = block_recovery(z, np.sinh(z), family=family, masks=family.dimension_masks)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found.append(
            Measurement(
                work=f"{len(recovery.blocks)} blocks, {rows} samples",
                seconds=seconds,
                target=target,
                note=f"peak memory of the process so far {peak:.1f} GiB",
            )
        )
    return found


def _r2(wanted: torch.Tensor, found: torch.Tensor) -> float:
    return float(r2_score(wanted.numpy(), found.numpy()))

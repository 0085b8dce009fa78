"""What a seed costs when many are trained together, beside the same seed trained by itself.

The setting is that of `smartclip verify`: batches of 512 on a vector world. Both are timed in this
process, in turns, with the drawing of their batches.
"""

import statistics
import time
from collections.abc import Callable

import torch

from experiments.benchmarks.measurement import Measurement
from experiments.datasets.vectors import Vectors
from experiments.run import Run
from smartclip.train.ensemble import Ensemble
from smartclip.train.execution import ExecutionConfig
from smartclip.train.gradients import accumulate_gradients
from smartclip.train.losses import step_loss
from smartclip.train.optimiser import OptimiserConfig, make_optimiser
from smartclip.train.parallel import Towers
from smartclip.train.phases import moment
from smartclip.train.source import WorldSource

WARM_ROUNDS, ROUNDS = 3, 32
# Of the phase in which most terms of the loss count.
FIRST_STEP = 1500

Step = Callable[[int], object]


def measurements() -> list[Measurement]:
    """A minute on one core; on a GPU where there is one, all seeds in one program."""
    if torch.cuda.is_available():
        return [compared(count, torch.device("cuda")) for count in (8, 32)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [compared(count, torch.device("cpu")) for count in (2, 4, 8)]
    finally:
        torch.set_num_threads(threads)


def compared(count: int, device: torch.device, *, rounds: int = ROUNDS) -> Measurement:
    """Time of a step per seed, of `count` seeds in one program against one seed by itself."""
    calls = [ensemble_step(count, device), single_step(device)]
    times: list[list[float]] = [[], []]
    for number in range(WARM_ROUNDS + rounds):
        for call, seen in zip(calls, times, strict=True):
            started = time.perf_counter()
            call(FIRST_STEP + number)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number >= WARM_ROUNDS:
                seen.append(time.perf_counter() - started)
    joint, single = map(statistics.median, times)
    return Measurement(
        work=f"a step of {count} seeds together, per seed",
        seconds=joint / count,
        reference="a step of one seed by itself",
        reference_seconds=single,
        target="at most 1" if device.type == "cpu" else f"at most {4 / count:.3g}",
        note=f"{device.type}, {torch.get_num_threads()} threads, B=512, medians of {rounds} "
        "in turns",
    )


def ensemble_step(count: int, device: torch.device) -> Step:
    """One update of all seeds."""
    data = Vectors().load()
    runs = [Run.of(data, "ours", seed=seed) for seed in range(count)]
    ensemble = Ensemble(
        [run.model(data, device) for run in runs],
        [WorldSource(data.world, seed=run.config.seed, steps_at_once=8) for run in runs],
        [run.method for run in runs],
        [run.config for run in runs],
        OptimiserConfig(),
    )
    return ensemble.step


def single_step(device: torch.device) -> Step:
    """One update of one seed, as `smartclip.train.loop` does it."""
    data = Vectors().load()
    run = Run.of(data, "ours", seed=0)
    model = run.model(data, device).train()
    source = WorldSource(data.world, seed=0, steps_at_once=8)
    towers = Towers(model, ExecutionConfig(), seed=0)
    optimiser = make_optimiser(model, run.config, OptimiserConfig())
    generator = torch.Generator(device).manual_seed(0)

    def step(number: int) -> None:
        now = moment(run.method.phases, number)
        optimiser.zero_grad(set_to_none=True)
        accumulate_gradients(
            towers,
            *source.batch(number, run.config.batch_size, device),
            lambda features: step_loss(model, features, run.method.objective, now, generator),
            step=number,
        )
        optimiser.step()

    return step

"""Started by the tests as a program of its own: k processes that do the named jobs together.

    python worker.py FOLDER K JOB...            torchrun ... worker.py FOLDER torchrun JOB...

One process imports everything and then forks K ranks, which meet through a file in FOLDER. A job
leaves its results in FOLDER/JOB; a rank that fails ends the program with its traceback and code 1.
With SMARTCLIP_TEST_DEVICE=cuda each rank takes a GPU.
"""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from simulators import VectorWorld
from smartclip.model import SmartCLIP
from smartclip.objective import modular_contrastive_loss
from smartclip.objective.similarities import SIMILARITIES
from smartclip.towers.mlp import MLPConfig, MLPTextTower
from smartclip.train.checkpoint import Checkpoints, load_model
from smartclip.train.config import TrainConfig
from smartclip.train.distributed_loss import distributed_contrastive_loss
from smartclip.train.execution import ExecutionConfig
from smartclip.train.loop import train
from smartclip.train.method import Method, ModelOptions, Objective
from smartclip.train.optimiser import OptimiserConfig
from smartclip.train.phases import Phase, Ramp
from smartclip.train.ranks import joined, mean_over_ranks, own_rows, rank, ranks
from smartclip.train.source import WorldSource
from smartclip.train.validate import Validation
from theory import CaptionFamily

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"]])
# Every kind of phase within 20 steps.
METHOD = Method(
    name="toy",
    title="toy",
    model=ModelOptions(),
    objective=Objective(),
    phases=(
        Phase(steps=3, gates="open", scale=2.0, warm_up=3),
        Phase(steps=2, scale=2.0),
        Phase(steps=9, scale=2.0, budget=Ramp(0.0, 0.6, end=0.4), sparsity=Ramp(0.0, 0.06)),
        Phase(steps=6, gates="held", scale=Ramp(2.0, 6.0), alignment=1.0, rate=Ramp(0.6, 0.0)),
    ),
)
CONFIG = TrainConfig(batch_size=16, log_every=1, checkpoint_every=5, seed=7)
PIPE: int | None = None
DEVICE = torch.device("cpu")
OPTIMISER = OptimiserConfig(weight_decay=0.01, clip_norm=0.5, ema_decay=0.9)
MODES = {
    "plain": {},
    "accumulated": {"micro_batch": 2},
    "chunked": {"chunk_size": 3},
    "all": {"micro_batch": 3, "chunk_size": 3, "checkpoint_activations": True},
    "compiled": {"compile": True, "checkpoint_activations": True},
}


class Killed(Exception):
    """Stands for a death in the middle of a run."""


class Layered(nn.Module):
    """An image tower with layers in a ModuleList, as transformers have."""

    def __init__(self, inputs, dimension, width=8, layers=2):
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU())
            for _ in range(layers)
        )
        self.last = nn.Linear(width, dimension)

    def forward(self, images):
        hidden = self.first(images)
        for layer in self.layers:
            hidden = hidden + layer(hidden)
        return self.last(hidden)


class Source(WorldSource):
    """In the precision of the model; dies at step `dies`."""

    dtype, dies = torch.float64, None

    def batch(self, step, size, device):
        return self._cast(step, super().batch(step, size, device))

    def rows(self, step, size, wanted, device):
        return self._cast(step, super().rows(step, size, wanted, device))

    def _cast(self, step, batch):
        if step == self.dies:
            raise Killed
        return tuple(part.to(self.dtype) for part in batch)


def fresh(dtype=torch.float64):
    torch.manual_seed(0)
    world = VectorWorld(FAMILY)
    text = MLPTextTower(world.text_dimension, 6, MLPConfig(width=8, depth=1), state_width=8)
    image = Layered(world.image_dimension, 6)
    return SmartCLIP(image, text, width=text.width, dimension=6, heads=2).to(DEVICE, dtype)


def source(seed=1, dies=None, dtype=torch.float64):
    made = Source(VectorWorld(FAMILY), seed=seed)
    made.dies, made.dtype = dies, dtype
    return made


def loss_job(folder):
    """Loss and gradients of all ranks together against those of one process."""
    generator = torch.Generator().manual_seed(3)
    image, text = torch.randn(2, 8, 5, dtype=torch.float64, generator=generator)
    opened = torch.rand(8, 5, dtype=torch.float64, generator=generator)
    hard = (opened < 0.6).double()
    hard[2] = 0
    scale = torch.tensor(1.7, dtype=torch.float64, device=DEVICE)
    image, text, opened, hard = (part.to(DEVICE) for part in (image, text, opened, hard))
    worst = 0.0
    for mask in (opened, hard):
        for similarity in SIMILARITIES:
            how = {"similarity": similarity}
            whole = [part.clone().requires_grad_() for part in (image, text, mask, scale)]
            expected = modular_contrastive_loss(*whole, **how)
            expected.backward()
            rows = own_rows(8)
            for chunk_size in (None, 1, 3):
                own = [part[rows].clone().requires_grad_() for part in (image, text, mask)]
                own.append(scale.clone().requires_grad_())
                share = distributed_contrastive_loss(*own, chunk_size=chunk_size, **how)
                share.backward()
                found = [mean_over_ranks(share.detach().clone()), mean_over_ranks(own[3].grad)]
                found += [part.grad / ranks() for part in own[:3]]
                wanted = [expected.detach(), whole[3].grad, *(w.grad[rows] for w in whole[:3])]
                for one, other in zip(found, wanted, strict=True):
                    # Under an empty mask a gradient is as large as 1 / EPSILON.
                    size = max(1.0, other.abs().max().item())
                    worst = max(worst, (one - other).abs().max().item() / size)
    write(folder, worst)


def curve_job(folder, parallel, mode, method=METHOD):
    execution = ExecutionConfig(parallel=parallel, **MODES[mode])
    validation = Validation(source=source(seed=5), size=32, rows_at_a_time=5)
    model = train(
        fresh(),
        source(),
        method,
        CONFIG,
        folder,
        execution=execution,
        optimiser=OPTIMISER,
        validation=validation,
        quiet=True,
    )
    # The averaged weights, through the model as it is returned.
    images, tokens = source(seed=9).batch(0, 4, DEVICE)
    code = model.embed(images, tokens)
    write(folder, [part.double().sum().item() for part in code])


def carrying_job(folder, parallel, mode):
    """A curve whose loss carries a temperature and a dual variable."""
    objective = Objective(similarity="own_likelihood_ratio", keep_rate=0.2, learned_scale=True)
    curve_job(folder, parallel, mode, replace(METHOD, objective=objective))


def dying_job(folder, parallel):
    try:
        train(
            fresh(),
            source(dies=12),
            METHOD,
            CONFIG,
            folder,
            execution=ExecutionConfig(parallel=parallel),
            optimiser=OPTIMISER,
            quiet=True,
        )
    except Killed:
        return
    raise AssertionError


def continuing_job(folder, parallel):
    execution = ExecutionConfig(parallel=parallel)
    model = train(
        fresh(),
        source(),
        METHOD,
        CONFIG,
        folder,
        execution=execution,
        optimiser=OPTIMISER,
        quiet=True,
    )
    batch = source(seed=9).batch(0, 4, DEVICE)
    code = model.embed(*batch)
    if rank() == 0:
        # Alone: what is evaluated after training need not concern the others.
        whole = fresh().eval()
        load_model(Checkpoints(folder, {}).newest(), whole)
        for one, other in zip(whole.embed(*batch), code, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def preempted_job(folder):
    """Rank 1 alone is told to stop; all do."""

    class Telling(Source):
        def _cast(self, step, batch):
            if step == 2 and rank() == ranks() - 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return super()._cast(step, batch)

    try:
        train(fresh(), Telling(VectorWorld(FAMILY), seed=1), METHOD, CONFIG, folder, quiet=True)
    except SystemExit as stop:
        write(folder, stop.code)
        return
    raise AssertionError


def long_job(folder):
    """A run to be killed from outside: many small steps, many checkpoints, float32."""
    config = replace(CONFIG, log_every=10, checkpoint_every=7)
    made = Announcing(VectorWorld(FAMILY), seed=1, steps_at_once=8)
    train(fresh(torch.float32), made, METHOD.lasting(600), config, folder, quiet=True)


class Announcing(WorldSource):
    """Tells the parent of each batch, if one listens."""

    def batch(self, step, size, device):
        if PIPE is not None:
            os.write(PIPE, b".")
        return super().batch(step, size, device)


def endless_job(folder):
    """A run that only a signal ends."""
    config = replace(CONFIG, checkpoint_every=10**6)
    train(fresh(), source(), METHOD.lasting(10**6), config, folder, quiet=True)


def write(folder, value):
    if rank() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(value))


JOBS = {
    "loss": loss_job,
    "curve": curve_job,
    "carrying": carrying_job,
    "dying": dying_job,
    "continuing": continuing_job,
    "preempted": preempted_job,
    "long": long_job,
    "endless": endless_job,
}


def run(folder, jobs):
    for job in jobs:
        name, *options = job.split(":")
        kind, _, place = name.partition("@")
        JOBS[kind](folder / (place or job.replace(":", "-")), *options)


def rank_main(folder, number, count, jobs):
    global DEVICE
    torch.set_num_threads(1)
    on_gpu = os.environ.get("SMARTCLIP_TEST_DEVICE") == "cuda"
    if on_gpu:
        DEVICE = torch.device("cuda", number)
        torch.cuda.set_device(DEVICE)
    if count > 1:
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=dist.FileStore(str(folder / f".meeting-{os.getppid()}"), count),
            rank=number,
            world_size=count,
            device_id=DEVICE if on_gpu else None,
        )
    try:
        run(folder, jobs)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    if count > 1:
        dist.destroy_process_group()
    os._exit(0)


def kill_often(folder, times, seed):
    """Start a run again and again and kill it `times` times, each a random time after it trains."""
    generator = torch.Generator().manual_seed(seed)
    child, heard = start_listening(folder, "long@whole")
    started = time.monotonic()
    assert os.waitpid(child, 0)[1] == 0
    duration = time.monotonic() - started
    os.close(heard)
    starts, saved = 0, []
    while True:
        child, heard = start_listening(folder, "long@killed")
        starts += 1
        if len(saved) < times:
            # So that a part of the run is left at its last death.
            share = torch.rand((), generator=generator).item()
            time.sleep(1.6 / times * share * duration)
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        os.close(heard)
        if status == 0:
            break
        assert os.WIFSIGNALED(status), status
        saved.append(Checkpoints(folder / "killed", {}).step())
    (folder / "kills.json").write_text(json.dumps({"starts": starts, "saved": saved}))


def start_listening(folder, job):
    """A process that runs a job, by the time it trains; and a pipe to close after its end."""
    global PIPE
    heard, PIPE = os.pipe()
    child = fork(folder, 0, 1, [job])
    os.close(PIPE)
    for _ in range(2):  # the first batch is for the estimate
        os.read(heard, 1)
    return child, heard


def fork(folder, number, count, jobs):
    child = os.fork()
    if child == 0:
        rank_main(folder, number, count, jobs)
    return child


if __name__ == "__main__":
    if sys.argv[2] == "torchrun":
        with joined(DEVICE):
            run(Path(sys.argv[1]), sys.argv[3:])
        sys.exit(0)
    place, how_many = Path(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3] == "kill":
        kill_often(place, how_many, seed=int(sys.argv[4]))
        sys.exit(0)
    children = [fork(place, number, how_many, sys.argv[3:]) for number in range(how_many)]
    codes = []
    for _ in children:
        _, status = os.wait()
        codes.append(status)
        if status:
            # The others wait for the one that failed.
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            break
    sys.exit(1 if any(codes) else 0)

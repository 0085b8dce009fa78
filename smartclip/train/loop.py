"""The training loop, on one page.

What is minimised is in `losses`, how settings move in `phases`, which methods there are in
`smartclip.methods`; how the work is spread over processes is in `parallel` and `gradients`.
"""

from pathlib import Path

import torch

from smartclip.model import SmartCLIP
from smartclip.train.checkpoint import CHECKPOINT, Checkpoints, TrainState
from smartclip.train.config import TrainConfig
from smartclip.train.cost import Cost, peak_memory
from smartclip.train.estimate import estimate
from smartclip.train.execution import ExecutionConfig
from smartclip.train.gradients import accumulate_gradients
from smartclip.train.lock import one_writer
from smartclip.train.log import MetricsLog, training_progress
from smartclip.train.loss_state import ascend, attach_loss_state, scale_as_number
from smartclip.train.losses import report, step_loss
from smartclip.train.method import Method
from smartclip.train.optimiser import (
    OptimiserConfig,
    WeightAverage,
    clip_gradients,
    make_optimiser,
)
from smartclip.train.parallel import Towers
from smartclip.train.phases import moment
from smartclip.train.preemption import Preempted, listening
from smartclip.train.ranks import own_rows, rank
from smartclip.train.source import Source, reported, rows_of_batch
from smartclip.train.validate import Validation, validate
from theory.errors import InputError

__all__ = ["CHECKPOINT", "COST", "METRICS", "VALIDATION", "train"]

METRICS = "metrics.jsonl"
VALIDATION = "validation.jsonl"
COST = "cost.json"


def train(
    model: SmartCLIP,
    source: Source,
    method: Method,
    config: TrainConfig,
    folder: Path,
    *,
    execution: ExecutionConfig | None = None,
    optimiser: OptimiserConfig | None = None,
    validation: Validation | None = None,
    label: str = "training",
    quiet: bool = False,
) -> SmartCLIP:
    """Train in place, on the device the model is on; continue if `folder` has a checkpoint.

    A run that was killed and started again ends with the same weights as one that was not, bit
    for bit on a CPU. Under `torchrun` every process calls this alike, inside `ranks.joined`; only
    the first writes.

    Args:
        model: fresh, built under the seed of `config`.
        source: gives the batch of each step, whose size is that of all ranks together.
        method: what is minimised, in which phases.
        config: batch size, rates and seed.
        folder: gets `metrics.jsonl`, `validation.jsonl`, checkpoints and `cost.json`.
        execution: how the work is carried out; it does not change the numbers.
        optimiser: weight decay, clipping, a moving average of the weights.
        validation: held-out pairs, looked at before each checkpoint; the best one is kept.
        label: what the progress bar says.
        quiet: no progress bar.

    Returns:
        The same model, in evaluation mode, with the averaged weights if there is an average. Under
        FSDP its towers stay sharded, so all ranks have to call it together; `load_model` puts a
        checkpoint into a whole one.

    Raises:
        InputError: the loss is not finite, the batch cannot be shared out, the checkpoint is
            unreadable or of another run, the disk is full, or another process writes the folder.
        Preempted: SIGTERM came, and the state is saved. It is a `SystemExit`.
    """
    execution, optimiser = execution or ExecutionConfig(), optimiser or OptimiserConfig()
    device = next(model.parameters()).device
    checkpoints = Checkpoints(
        folder,
        {"method": method.to_dict()} | config.to_dict() | optimiser.to_dict(),
        keep_last=execution.keep_last,
    )
    own = own_rows(config.batch_size)
    expected = None
    if (first_step := checkpoints.step()) < method.steps:
        images, tokens = rows_of_batch(source, first_step, config.batch_size, own, device)
        expected = estimate(
            model,
            images,
            tokens,
            execution,
            batch_size=config.batch_size,
            average=optimiser.ema_decay is not None,
        )
    held_before = peak_memory(device)
    attach_loss_state(model, method)
    towers = Towers(model, execution, seed=config.seed)
    state = TrainState(
        model=model,
        optimiser=make_optimiser(model, config, optimiser),
        generator=torch.Generator(device).manual_seed(config.seed),
        average=WeightAverage(model, optimiser.ema_decay) if optimiser.ema_decay else None,
    )
    with one_writer(folder, device):
        checkpoints.resume(state)
        if expected is not None:
            model.train()
            cost = Cost(
                expected,
                execution,
                device,
                steps=method.steps,
                batch_size=config.batch_size,
                held_before=held_before,
                first_step=state.step,
            )
            log = _open_log(folder / METRICS, state.step)
            held_out = _open_log(folder / VALIDATION, state.step) if validation else None
            with (
                listening() as notice,
                training_progress(label, method.steps, quiet=quiet or rank() > 0) as progress,
            ):
                progress.say(cost.before())
                while state.step < method.steps:
                    line = _step(towers, state, source, method, config, optimiser)
                    state.step += 1
                    last = state.step == method.steps
                    if said := cost.tick(state.step):
                        progress.say(said)
                    if line:
                        _refuse_divergence(line, state.step)
                        if log:
                            speed, told = cost.speed(state.step), reported(source)
                            log.append({"step": state.step, **line, **speed, **told})
                        progress.update(state.step, _status(line))
                    stop = notice.due(state.step, device)
                    due = state.step % config.checkpoint_every == 0 or last
                    if due or stop:
                        if due and validation:
                            scores = _validate(towers, validation, method, state.step)
                            state.improves(scores["image_to_caption"] + scores["caption_to_image"])
                            if held_out:
                                held_out.append({"step": state.step, **scores})
                        checkpoints.save(state)
                    if stop and not last:
                        raise Preempted(state.step, folder)
                progress.say(cost.write(folder / COST))
    if state.average is not None:
        state.average.copy_to(model)
    return model.eval()


def _step(
    towers: Towers,
    state: TrainState,
    source: Source,
    method: Method,
    config: TrainConfig,
    settings: OptimiserConfig,
) -> dict[str, float]:
    """One update; returns the line of the log as plain numbers only when it is written."""
    model, step = state.model, state.step
    device = next(model.parameters()).device
    now = moment(method.phases, step)
    for group in state.optimiser.param_groups:
        group["lr"] = group["peak"] * now.rate
    rows = own_rows(config.batch_size)
    images, tokens = rows_of_batch(source, step, config.batch_size, rows, device)
    state.optimiser.zero_grad(set_to_none=True)
    terms = accumulate_gradients(
        towers,
        images,
        tokens,
        lambda features: step_loss(
            model,
            features,
            method.objective,
            now,
            state.generator,
            chunk_size=towers.execution.chunk_size,
        ),
        step=step,
    )
    if settings.clip_norm is not None:
        clip_gradients(list(model.parameters()), settings.clip_norm)
    state.optimiser.step()
    ascend(model, terms.size)
    if state.average is not None:
        state.average.update(model)
    if (step + 1) % config.log_every and step + 1 != method.steps:
        return {}
    return report(model, terms) | {"learning_rate": config.learning_rate * now.rate}


def _validate(
    towers: Towers, validation: Validation, method: Method, step: int
) -> dict[str, float]:
    scale = scale_as_number(towers.model, moment(method.phases, step - 1).scale)
    return validate(towers, validation, logit_scale=scale, similarity=method.objective.similarity)


def _open_log(path: Path, step: int) -> MetricsLog | None:
    """The first rank's log; the others have none."""
    return MetricsLog(path, resume_step=step) if rank() == 0 else None


def _status(line: dict[str, float]) -> str:
    return (
        f"loss {line['contrastive']:.3f}, {line['open']:.1f} open per caption, "
        f"{line['used']:.0f} used"
    )


def _refuse_divergence(line: dict[str, float], step: int) -> None:
    if line["loss"] - line["loss"] != 0:  # NaN or infinite
        raise InputError(
            f"the loss is {line['loss']} at step {step}",
            rule="training needs finite numbers",
            fix="look for NaN in the data, or lower learning_rate; the last checkpoint is kept",
        )

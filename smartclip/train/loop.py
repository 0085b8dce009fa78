"""The training loop, on one page.

What is minimised is in `losses`, what the phases are in `config`, how settings move in `schedule`.
"""

import time
from pathlib import Path

import torch
from torch.optim import AdamW

from smartclip.model import SmartCLIP
from smartclip.train.checkpoint import TrainState, load_checkpoint, save_checkpoint
from smartclip.train.config import TrainConfig
from smartclip.train.log import MetricsLog, training_progress
from smartclip.train.losses import report, step_loss
from smartclip.train.schedule import learning_rate_factor
from smartclip.train.source import Source
from theory.errors import InputError

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"


def train(
    model: SmartCLIP,
    source: Source,
    config: TrainConfig,
    folder: Path,
    *,
    label: str = "training",
    quiet: bool = False,
) -> SmartCLIP:
    """Train in place, on the device the model is on; continue if `folder` has a checkpoint.

    A run that was killed and started again ends with the same weights as one that was not, bit
    for bit on a CPU.

    Args:
        model: fresh, built under the seed of `config`.
        source: gives the batch of each step.
        config: the settings.
        folder: gets `metrics.jsonl` and `checkpoint.safetensors`.
        label: what the progress bar says.
        quiet: no progress bar.

    Returns:
        The same model, in evaluation mode.

    Raises:
        InputError: the loss is not finite, or the checkpoint is unreadable or of another run.
    """
    device = next(model.parameters()).device
    groups = _parameter_groups(model, config)
    rates = [group["lr"] for group in groups]
    state = TrainState(
        model=model,
        optimiser=AdamW(groups, betas=(0.9, 0.99), weight_decay=0.0, fused=True),
        generator=torch.Generator(device).manual_seed(config.seed),
    )
    settings = config.to_dict()
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        load_checkpoint(checkpoint, state, settings)
    log = MetricsLog(folder / METRICS, resume_step=state.step)
    model.train()
    started, first_step = time.monotonic(), state.step
    with training_progress(label, config.total_steps, quiet=quiet) as progress:
        while state.step < config.total_steps:
            line = _step(state, source, config, rates)
            state.step += 1
            last = state.step == config.total_steps
            if state.step % config.log_every == 0 or last:
                _refuse_divergence(line, state.step)
                speed = (state.step - first_step) / (time.monotonic() - started)
                log.append({"step": state.step, **line, "steps_per_second": speed})
                progress.update(
                    state.step,
                    f"loss {line['contrastive']:.3f}, {line['open']:.1f} open per caption, "
                    f"{line['used']:.0f} used",
                )
            if state.step % config.checkpoint_every == 0 or last:
                save_checkpoint(checkpoint, state, settings)
    return model.eval()


def _parameter_groups(model: SmartCLIP, config: TrainConfig) -> list[dict]:
    masks = list(model.mask_network.parameters())
    shared = [] if model.shared_logits is None else [model.shared_logits]
    apart = {id(parameter) for parameter in masks + shared}
    towers = [parameter for parameter in model.parameters() if id(parameter) not in apart]
    groups = [
        {"params": towers, "lr": config.learning_rate},
        {"params": masks, "lr": config.mask_learning_rate},
        {"params": shared, "lr": config.budget_learning_rate},
    ]
    return [group for group in groups if group["params"]]


def _step(
    state: TrainState, source: Source, config: TrainConfig, rates: list[float]
) -> dict[str, float]:
    """One update; returns the line of the log as plain numbers only when it is written."""
    model, step = state.model, state.step
    device = next(model.parameters()).device
    factor = learning_rate_factor(step, config)
    for group, rate in zip(state.optimiser.param_groups, rates, strict=True):
        group["lr"] = rate * factor
    images, tokens = source.batch(step, config.batch_size, device)
    terms = step_loss(model, model.embed(images, tokens), config, step, state.generator)
    state.optimiser.zero_grad(set_to_none=True)
    terms.loss.backward()
    state.optimiser.step()
    if (step + 1) % config.log_every and step + 1 != config.total_steps:
        return {}
    return report(model, terms, config, step) | {"learning_rate": rates[0] * factor}


def _refuse_divergence(line: dict[str, float], step: int) -> None:
    if line["loss"] - line["loss"] != 0:  # NaN or infinite
        raise InputError(
            f"the loss is {line['loss']} at step {step}",
            rule="training needs finite numbers",
            fix="look for NaN in the data, or lower learning_rate; the last checkpoint is kept",
        )

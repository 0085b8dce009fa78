"""The loss of one step: modular alignment + sparsest masks + tightest budget.

    minimise  L_modular  +  sparsity * E |b(t)|  +  budget * E |m^(t)|,      m^(t) = g * b(t),

where the second price moves only the shared gates g (see `smartclip.masks`). Which prices count at
which step is in `smartclip.train.schedule`, and why in `smartclip.train.config`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from smartclip.model import Features, SmartCLIP
from smartclip.objective import modular_contrastive_loss
from smartclip.train.config import TrainConfig
from smartclip.train.schedule import aligning, logit_scale, pruning, refining, thinning


class Terms(NamedTuple):
    """`loss`, what is minimised; `contrastive`, its first part; `mask`, as it was used."""

    loss: Float[Tensor, ""]
    contrastive: Float[Tensor, ""]
    mask: Float[Tensor, "B D"]


def step_loss(
    model: SmartCLIP,
    features: Features,
    config: TrainConfig,
    step: int,
    generator: torch.Generator,
) -> Terms:
    """The loss at a step, from the features of its whole batch.

    Args:
        model: its head is used, its towers are not.
        features: of the whole batch, `model.embed(images, tokens)`.
        config: prices and phases.
        step: from 0 to `config.total_steps` - 1.
        generator: draws the gates while they learn.
    """
    drawing = None if refining(step, config) else generator
    embeddings = model.head(features, generator=drawing)
    masks_learn = not (aligning(step, config) or refining(step, config) or model.all_open)
    mask = torch.ones_like(embeddings.mask) if aligning(step, config) else embeddings.mask
    contrastive = modular_contrastive_loss(
        embeddings.image,
        embeddings.text,
        mask,
        logit_scale(step, config),
        similarity=config.similarity,
    )
    loss = contrastive
    if refining(step, config):
        gap = mask * (embeddings.image - embeddings.text).square()
        loss = loss + config.refine_alignment * gap.sum(1).mean()
    if masks_learn:
        opened_by_caption = embeddings.open_probability.sum(1).mean()
        loss = loss + config.sparsity * thinning(step, config) * opened_by_caption
        loss = loss + config.budget * pruning(step, config) * model.expected_size(
            embeddings.open_probability
        )
    return Terms(loss, contrastive, mask)


@torch.no_grad()
def report(model: SmartCLIP, terms: Terms, config: TrainConfig, step: int) -> dict[str, float]:
    """The line of the log: loss, open coordinates, and those that no or every caption opens."""
    opened = terms.mask.mean(0)
    return {
        "loss": terms.loss.item(),
        "contrastive": terms.contrastive.item(),
        "open": terms.mask.sum(1).mean().item(),
        "keep_rate": terms.mask.mean().item(),
        "used": model.used_coordinates().sum().item(),
        "dead": (opened == 0).sum().item(),
        "always_on": (opened == 1).sum().item(),
        "logit_scale": logit_scale(step, config),
    }

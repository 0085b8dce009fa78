"""The loss of one step: modular alignment + sparsest masks + tightest budget.

    minimise  L_modular  +  sparsity * E |b(t)|  +  budget * E |m^(t)|
                         +  alignment * E |m (z^_I - z^_T)|^2  +  decorrelation * R(z^_I)
                         +  RECALL * E |max(0, l_0 - l(t))|^2,

m^(t) = g * b(t), where the budget moves only the shared gates g (see `smartclip.masks`). The last
term draws the logits l of a specialising code back to l_0, that of its `least_opening`. With a
keep rate asked for, the price of b is the multiplier of that constraint instead. In some steps of a
growing code L_modular is that of one group of coordinates (`smartclip.isolation`). Which prices
count at which step is in `smartclip.train.schedule`, and why in `smartclip.train.config`.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from smartclip.decorrelation import decorrelation as cross_talk
from smartclip.gates import opening_logit
from smartclip.isolation import isolated
from smartclip.model import Embeddings, Features, GateNoise, SmartCLIP
from smartclip.train.carried import constraint_of, scale_as_number, scale_of
from smartclip.train.config import TrainConfig
from smartclip.train.distributed_loss import contrastive_share
from smartclip.train.ranks import mean_over_ranks, own_part
from smartclip.train.schedule import (
    aligning,
    alignment,
    decorrelation,
    holding_text,
    isolating,
    least_opening,
    logit_scale,
    matched_from,
    noisy,
    pruning,
    refining,
    settling,
    thinning,
)

# Nats charged for a logit that is 1 below its bound.
RECALL = 0.05


class Terms(NamedTuple):
    """`loss`, what is minimised; `contrastive`, its first part; `mask`, as it was used.

    `logit_scale` is s; `size` is E |m^(t)| where it was held to a constraint.
    """

    loss: Float[Tensor, ""]
    contrastive: Float[Tensor, ""]
    mask: Float[Tensor, "B D"]
    logit_scale: float | Float[Tensor, ""]
    size: Float[Tensor, ""] | None = None


class Prices(NamedTuple):
    """What counts at one step: the phase, and the weights of the terms.

    The weights are numbers, or scalar tensors where many runs are trained together.
    """

    aligning: bool
    holding_text: bool
    refining: bool
    noisy: bool
    settling: bool
    isolating: bool
    constrained: bool
    matched_from: float | None
    least_opening: float | None
    logit_scale: float | Float[Tensor, ""]
    alignment: float | Float[Tensor, ""]
    decorrelation: float | Float[Tensor, ""]
    sparsity: float | Float[Tensor, ""]
    budget: float | Float[Tensor, ""]

    @classmethod
    def at(cls, step: int, config: TrainConfig) -> "Prices":
        """Those of a step from 0 to `config.total_steps` - 1."""
        return cls(
            aligning=aligning(step, config),
            holding_text=holding_text(step, config),
            refining=refining(step, config),
            noisy=noisy(step, config),
            settling=settling(step, config),
            isolating=isolating(step, config),
            constrained=config.keep_rate is not None and thinning(step, config) > 0,
            matched_from=matched_from(step, config),
            least_opening=least_opening(step, config),
            logit_scale=logit_scale(step, config),
            alignment=alignment(step, config),
            decorrelation=decorrelation(step, config),
            sparsity=0.0 if config.keep_rate else config.sparsity * thinning(step, config),
            budget=config.budget * pruning(step, config),
        )


class Noise(NamedTuple):
    """The random numbers of one step.

    `gates`, None where they stand still; those of the noisy `channel`; and the `order` in which
    coordinates are drawn, where one group is seen alone.
    """

    gates: GateNoise | None
    channel: Float[Tensor, "B D"] | None
    order: Float[Tensor, " D"] | None


def draw_noise(
    model: SmartCLIP, mask_logits: Float[Tensor, "B D"], prices: Prices, generator: torch.Generator
) -> Noise:
    """What a step needs of randomness, for logits of this shape."""
    gates = None if prices.refining else model.gate_noise(mask_logits, generator)
    channel = order = None
    like = {"dtype": mask_logits.dtype, "device": mask_logits.device}
    if prices.noisy:
        channel = torch.randn(mask_logits.shape, generator=generator, **like)
    if prices.isolating:
        order = torch.rand(mask_logits.shape[1], generator=generator, **like)
    return Noise(gates, channel, order)


def step_loss(
    model: SmartCLIP,
    features: Features,
    config: TrainConfig,
    step: int,
    generator: torch.Generator,
    *,
    chunk_size: int | None = None,
) -> Terms:
    """This rank's share of the loss at a step, from the features of its whole batch.

    Every rank has the whole batch's features and draws the same gates, so whitening, gates and
    prices are what they are in one process. Only the similarities are shared out, a rank taking
    the rows of its own images. The mean over ranks is the loss.

    Args:
        model: its head is used, its towers are not.
        features: of the whole batch, `model.embed(images, tokens)`.
        config: prices and phases.
        step: from 0 to `config.total_steps` - 1.
        generator: draws the gates while they learn; in the same state on every rank.
        chunk_size: rows of the similarity matrix held at a time.
    """
    prices = Prices.at(step, config)
    noise = draw_noise(model, features.mask_logits, prices, generator)
    return priced_loss(model, features, config, prices, noise, chunk_size=chunk_size)


def priced_loss(
    model: SmartCLIP,
    features: Features,
    config: TrainConfig,
    prices: Prices,
    noise: Noise,
    *,
    chunk_size: int | None = None,
) -> Terms:
    """`step_loss`, a pure function of its prices and its noise: it may be vmapped."""
    embeddings = model.head(features, generator=noise.gates)
    if prices.holding_text:
        embeddings = embeddings._replace(text=embeddings.text.detach())
    scale = scale_of(model, prices.logit_scale)
    if prices.matched_from is not None:
        # Gates that are open now and then to learn what they would bring do not count as open.
        opened = (model.expected_mask(embeddings.open_probability) >= 0.5).to(embeddings.mask)
        scale = matched_scale(embeddings, opened, least=prices.matched_from, largest=scale)
    masks_learn = not (prices.aligning or prices.refining or model.all_open)
    mask = torch.ones_like(embeddings.mask) if prices.aligning else embeddings.mask
    image = embeddings.image
    if noise.channel is not None:
        image = through_channel(image, scale, noise.channel)
    seen, weight = mask, 1.0
    if noise.order is not None:
        opened = model.expected_mask(embeddings.open_probability)
        group, weight = isolated(opened, noise.order, unused=not prices.settling)
        seen = mask * group
    contrastive = contrastive_share(
        own_part(image),
        embeddings.text,
        seen,
        scale,
        similarity=config.similarity,
        chunk_size=chunk_size,
    )
    loss, size = weight * contrastive, None
    if _counts(prices.alignment):
        gap = mask * (embeddings.image - embeddings.text).square()
        loss = loss + prices.alignment * gap.sum(1).mean()
    if _counts(prices.decorrelation):
        loss = loss + prices.decorrelation * cross_talk(embeddings.image)
    if masks_learn:
        opened = embeddings.open_probability
        loss = loss + prices.sparsity * opened.sum(1).mean()
        loss = loss + prices.budget * model.expected_size(opened)
        if prices.least_opening is not None:
            least = opening_logit(prices.least_opening, model.gate)
            missing = (least - features.mask_logits).relu()
            loss = loss + RECALL * missing.square().sum(1).mean()
        constraint = constraint_of(model)
        if prices.constrained and constraint is not None:
            size = model.expected_mask(opened).sum(1).mean()
            loss = loss + constraint(size)
            size = size.detach()
    return Terms(loss, contrastive, mask, scale, size)


def _counts(weight: float | Float[Tensor, ""]) -> bool:
    """A number may say that its term is not needed; a tensor is not looked into."""
    return not isinstance(weight, float) or weight > 0


@torch.no_grad()
def matched_scale(
    embeddings: Embeddings,
    opened: Float[Tensor, "B D"],
    *,
    least: float,
    largest: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """s = 1 / (2 r),  r = sum m (z^_I - z^_T)^2 / sum m, between `least` and `largest`.

    The maximum of sum m (log(2 s) / 2 - s (z^_I - z^_T)^2): the precision 2 s of the Gaussian
    whose residuals are what they are. `opened` is m.
    """
    gap = (embeddings.image - embeddings.text).square()
    residual = (opened * gap).sum() / opened.sum()
    scale = torch.nan_to_num(0.5 / residual, nan=least, posinf=math.inf)  # NaN: nothing is open
    return scale.clamp_min(least).minimum(torch.as_tensor(largest).to(scale))


def through_channel(
    image: Float[Tensor, "B D"],
    logit_scale: float | Float[Tensor, ""],
    noise: Float[Tensor, "B D"],
) -> Float[Tensor, "B D"]:
    """z^_I + e, e ~ N(0, 1 / (2 s)): the channel whose precision is 2 s; `noise` is standard."""
    return image + noise / (2 * logit_scale) ** 0.5


@torch.no_grad()
def report(model: SmartCLIP, terms: Terms, config: TrainConfig, step: int) -> dict[str, float]:
    """The line of the log, the same on every rank, which all have to ask for.

    `open` is E |m|, `keep_rate` its share of D; `used` counts coordinates whose shared gate is
    open, `dead` and `always_on` those that no or every caption of the batch opens. `overlap` is
    E |m_i m_j| / E |m_i or m_j| over pairs of captions i != j.
    """
    loss, contrastive = mean_over_ranks(torch.stack([terms.loss, terms.contrastive])).tolist()
    mask = terms.mask
    captions, opened = len(mask), mask.sum(0)
    shared = (opened * (opened - 1)).sum() / (captions * (captions - 1))
    either = 2 * mask.sum(1).mean() - shared
    return {
        "loss": loss,
        "contrastive": contrastive,
        "open": mask.sum(1).mean().item(),
        "keep_rate": mask.mean().item(),
        "used": model.used_coordinates().sum().item(),
        "dead": (opened == 0).sum().item(),
        "always_on": (opened == captions).sum().item(),
        "overlap": (shared / either.clamp_min(torch.finfo(mask.dtype).tiny)).item(),
        "logit_scale": scale_as_number(model, terms.logit_scale),
    } | _multiplier(model)


def _multiplier(model: SmartCLIP) -> dict[str, float]:
    constraint = constraint_of(model)
    return {} if constraint is None else {"keep_price": constraint.multiplier.item()}

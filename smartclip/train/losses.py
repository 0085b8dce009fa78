"""The loss of one step: modular alignment + sparsest masks + tightest budget.

    minimise  L_modular  +  sparsity * E |b(t)|  +  budget * E |m^(t)|
                         +  alignment * E |m (z^_I - z^_T)|^2  +  decorrelation * R(z^_I)
                         +  RECALL * E |max(0, l_0 - l(t))|^2,

m^(t) = g * b(t), where the budget moves only the shared gates g (see `smartclip.masks`). The last
term draws the logits l of gates that may not close for good back to l_0. Which weights count at
which step is said by the phases of a method (`smartclip.train.phases`).

With two captions of each image the loss is the mean of both; Long-CLIP's shorter caption sees the
leading components of the image (`smartclip.long_caption`).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from smartclip.decorrelation import decorrelation
from smartclip.gates import opening_logit
from smartclip.isolation import isolated
from smartclip.long_caption import leading_components
from smartclip.model import Embeddings, Features, GateNoise, SmartCLIP
from smartclip.train.distributed_loss import contrastive_share
from smartclip.train.loss_state import constraint_of, scale_as_number, scale_of
from smartclip.train.method import Objective
from smartclip.train.phases import Moment
from smartclip.train.ranks import mean_over_ranks, own_part

# Nats charged for a logit that is 1 below its bound.
RECALL = 0.05
# Of two captions of an image; the longer comes first.
LONG, SHORT = 0, 1


class Terms(NamedTuple):
    """`loss`, what is minimised; `contrastive`, its first part; `mask`, as it was used.

    `logit_scale` is s; `size` is E |m^(t)| where it was held to a constraint. Of two captions an
    image, `mask` has the rows of both.
    """

    loss: Float[Tensor, ""]
    contrastive: Float[Tensor, ""]
    mask: Float[Tensor, "rows D"]
    logit_scale: float | Float[Tensor, ""]
    size: Float[Tensor, ""] | None = None


class Noise(NamedTuple):
    """The random numbers of one step.

    `gates`, None where none are drawn; those of the noisy `channel`; and the `order` in which
    coordinates are drawn, where one group is seen alone.
    """

    gates: GateNoise | None
    channel: Float[Tensor, "B D"] | None
    order: Float[Tensor, " D"] | None


def draw_noise(
    model: SmartCLIP, mask_logits: Float[Tensor, "B D"], now: Moment, generator: torch.Generator
) -> Noise:
    """What a step needs of randomness, for logits of this shape."""
    learning = model.mask_network is not None and now.gates != "held"
    gates = model.gate_noise(mask_logits, generator) if learning else None
    channel = order = None
    like = {"dtype": mask_logits.dtype, "device": mask_logits.device}
    if now.noise:
        channel = torch.randn(mask_logits.shape, generator=generator, **like)
    if now.isolating:
        order = torch.rand(mask_logits.shape[1], generator=generator, **like)
    return Noise(gates, channel, order)


def step_loss(
    model: SmartCLIP,
    features: Features,
    objective: Objective,
    now: Moment,
    generator: torch.Generator,
    *,
    chunk_size: int | None = None,
) -> Terms:
    """This rank's share of the loss at a step, from the features of its whole batch.

    Every rank has the whole batch's features and draws the same gates, so whitening, gates and
    weights are what they are in one process. Only the similarities are shared out, a rank taking
    the rows of its own images. The mean over ranks is the loss.

    Args:
        model: its head is used, its towers are not.
        features: of the whole batch, `model.embed(images, tokens)`.
        objective: what is minimised.
        now: the weights, and what else holds at this step.
        generator: draws the gates while they learn; in the same state on every rank.
        chunk_size: rows of the similarity matrix held at a time.
    """
    found = []
    for which, caption in enumerate(each_caption(features)):
        noise = draw_noise(model, caption.mask_logits, now, generator)
        components = objective.components if which == SHORT else None
        found.append(
            caption_loss(
                model,
                caption,
                objective,
                now,
                noise,
                components=components,
                chunk_size=chunk_size,
            )
        )
    return found[0] if len(found) == 1 else _mean(found)


def each_caption(features: Features) -> list[Features]:
    """The features of each image with one of its captions after the other."""
    if features.text.ndim == 2:
        return [features]
    pairs = zip(features.text.unbind(1), features.mask_logits.unbind(1), strict=True)
    return [Features(features.image, text, logits) for text, logits in pairs]


def caption_loss(
    model: SmartCLIP,
    features: Features,
    objective: Objective,
    now: Moment,
    noise: Noise,
    *,
    components: int | None = None,
    chunk_size: int | None = None,
) -> Terms:
    """`step_loss` of one caption an image, a pure function of its noise: it may be vmapped.

    Args:
        model: see `step_loss`, as for the others.
        features: [B, D] each.
        objective: what is minimised.
        now: the weights.
        noise: what was drawn.
        components: k, if this caption sees the k leading components of the image alone.
        chunk_size: rows held at a time.
    """
    embeddings = model.head(features, generator=noise.gates)
    if not now.captions_learn:
        embeddings = embeddings._replace(text=embeddings.text.detach())
    scale = scale_of(model, now.scale)
    if now.least_scale is not None:
        # Gates that are open now and then to learn what they would bring do not count as open.
        opened = (model.expected_mask(embeddings.open_probability) >= 0.5).to(embeddings.mask)
        scale = matched_scale(embeddings, opened, least=now.least_scale, largest=scale)
    mask = torch.ones_like(embeddings.mask) if now.gates == "open" else embeddings.mask
    image = embeddings.image
    if components is not None:
        image = leading_components(F.normalize(image, dim=1), components)
    if noise.channel is not None:
        image = through_channel(image, scale, noise.channel)
    seen, weight = mask, 1.0
    if noise.order is not None:
        opened = model.expected_mask(embeddings.open_probability)
        group, weight = isolated(opened, noise.order, unused=now.isolate_unused)
        seen = mask * group
    contrastive = contrastive_share(
        own_part(image),
        embeddings.text,
        None if model.mask_network is None else seen,
        scale,
        similarity=objective.similarity,
        chunk_size=chunk_size,
    )
    loss, size = weight * contrastive, None
    if _counts(now.alignment):
        gap = mask * (embeddings.image - embeddings.text).square()
        loss = loss + now.alignment * gap.sum(1).mean()
    if _counts(now.decorrelation):
        loss = loss + now.decorrelation * decorrelation(embeddings.image)
    if now.gates == "drawn":
        opened, constraint = embeddings.open_probability, constraint_of(model)
        if constraint is None:
            loss = loss + now.sparsity * opened.sum(1).mean()
        loss = loss + now.budget * model.expected_size(opened)
        if now.least_opening is not None:
            least = opening_logit(now.least_opening, model.gate)
            missing = (least - features.mask_logits).relu()
            loss = loss + RECALL * missing.square().sum(1).mean()
        if constraint is not None and _counts(now.sparsity):
            size = model.expected_mask(opened).sum(1).mean()
            loss = loss + constraint(size)
            size = size.detach()
    return Terms(loss, contrastive, mask, scale, size)


def _mean(captions: list[Terms]) -> Terms:
    """The terms of several captions of each image together."""

    def mean(parts: list[Tensor]) -> Tensor:
        return torch.stack(parts).mean(0)

    sizes = [one.size for one in captions if one.size is not None]
    return Terms(
        loss=mean([one.loss for one in captions]),
        contrastive=mean([one.contrastive for one in captions]),
        mask=torch.cat([one.mask for one in captions]),
        logit_scale=captions[0].logit_scale,
        size=mean(sizes) if sizes else None,
    )


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
    whose residuals are what they are. `opened` is m. Where a caption names three of fourteen
    concepts that is needed: r starts near 0.9, every gate closes if s is above, and how soon a
    tower of images brings r down cannot be known beforehand.
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
def report(model: SmartCLIP, terms: Terms) -> dict[str, float]:
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

"""The gradient of the whole batch's loss, however its rows are spread over ranks and passes.

    dL/dw = sum_i (d features_i / dw)^T dL/d features_i

The loss needs all rows together, the towers do not. So the towers embed this rank's rows, all at
once or a few at a time; the features of all ranks meet in the loss; its gradient with respect to
this rank's features is found first, and then carried back through the towers. If the rows passed a
few at a time, the towers run again for that (GradCache, Gao et al. 2021). Memory is that of a few
rows, and the sum is the same.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from smartclip.model import Features
from smartclip.train.losses import Terms
from smartclip.train.parallel import Towers
from smartclip.train.ranks import gather_rows, rank, ranks


def accumulate_gradients(
    towers: Towers,
    images: Tensor,
    tokens: Tensor,
    loss: Callable[[Features], Terms],
    *,
    step: int,
) -> Terms:
    """Set `.grad` of every parameter that the loss reaches, averaged over ranks.

    Args:
        towers: give features.
        images: rows of this rank.
        tokens: rows of this rank.
        loss: from the features of the whole batch to this rank's share of the loss.
        step: of the run.

    Returns:
        What `loss` returned.
    """
    with towers.products():
        return _accumulate(towers, images, tokens, loss, step)


def _accumulate(
    towers: Towers,
    images: Tensor,
    tokens: Tensor,
    loss: Callable[[Features], Terms],
    step: int,
) -> Terms:
    size = len(images)
    at_a_time = min(towers.execution.micro_batch or size, size)
    firsts = range(0, size, at_a_time)

    def embed(first: int) -> Features:
        rows = slice(first, first + at_a_time)
        return towers.embed(images[rows], tokens[rows], step=step, first=rank() * size + first)

    if len(firsts) == 1 and ranks() == 1:
        terms = loss(embed(0))
        terms.loss.backward()
        return terms

    outputs = embed(0) if len(firsts) == 1 else None
    if outputs is None:
        with torch.no_grad():
            columns = zip(*map(embed, firsts), strict=True)
            cached = Features(*(torch.cat(column) for column in columns))
    else:
        cached = outputs
    leaves = Features(*(feature.detach().requires_grad_() for feature in cached))
    leaves.mask_logits.requires_grad_(towers.model.mask_network is not None)
    terms = loss(Features(*map(gather_rows, leaves)))
    terms.loss.backward()
    towers.average_head_gradients()
    slopes = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    for first in firsts:
        with towers.exchanging(first == firsts[-1]):
            features = embed(first) if outputs is None else outputs
            reached = [number for number, part in enumerate(features) if part.requires_grad]
            torch.autograd.backward(
                [features[number] for number in reached],
                [slopes[number][first : first + at_a_time] for number in reached],
            )
    for leaf, module in (
        (leaves.text, towers.model.text_tower),
        (leaves.mask_logits, towers.model.mask_network),
    ):
        if leaf.grad is None and module is not None:
            # The pass above gave zeros. To the optimiser they are a reason to move; None is not.
            for parameter in module.parameters():
                parameter.grad = None
    return terms

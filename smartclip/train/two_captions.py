"""Training with two captions of each image, a long one and one that says some of it.

    L = ( L(x, t_long) + L(x, t_short) ) / 2

for any loss L of one caption (`smartclip.train.losses`), and for Long-CLIP, whose short caption
sees the leading components of x (`smartclip.long_caption`). The published SmartCLIP and Long-CLIP
both train on captions of two lengths; with one caption an image there is nothing to compare.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from smartclip.long_caption import long_caption_loss
from smartclip.model import Features, SmartCLIP
from smartclip.train.config import TrainConfig
from smartclip.train.losses import Terms, step_loss

LONG, SHORT = 0, 1


class TwoCaptions(SmartCLIP):
    """SmartCLIP for batches with tokens [B, 2, L], the long caption first.

    Its features are `image` [B, D], `text` and `mask_logits` [B, 2, D].
    """

    def embed(self, images: Tensor, tokens: Tensor) -> Features:
        text, mask_logits = self._read(tokens.flatten(0, 1))
        return Features(
            self.image_tower(images), text.unflatten(0, (-1, 2)), mask_logits.unflatten(0, (-1, 2))
        )


def two_caption_loss(
    model: SmartCLIP,
    features: Features,
    config: TrainConfig,
    step: int,
    generator: torch.Generator,
    *,
    chunk_size: int | None = None,
) -> Terms:
    """The formula above with the loss of `step_loss`, which takes the same arguments.

    Args:
        features: of `TwoCaptions`.
    """
    image, text, mask_logits = features
    long, short = (
        step_loss(
            model,
            Features(image, text[:, which], mask_logits[:, which]),
            config,
            step,
            generator,
            chunk_size=chunk_size,
        )
        for which in (LONG, SHORT)
    )
    return Terms(
        (long.loss + short.loss) / 2,
        (long.contrastive + short.contrastive) / 2,
        torch.cat([long.mask, short.mask]),
        long.logit_scale,
    )


@dataclass(frozen=True, slots=True)
class LongCaptionObjective:
    """Long-CLIP's loss, halved, called as `two_caption_loss` is.

    Attributes:
        components: k, the directions that the short caption sees.
    """

    components: int

    def __call__(
        self,
        model: SmartCLIP,
        features: Features,
        config: TrainConfig,
        step: int,
        generator: torch.Generator,
        *,
        chunk_size: int | None = None,
    ) -> Terms:
        image, text, _ = features
        loss = long_caption_loss(
            model.image_norm(image),
            text[:, LONG],
            text[:, SHORT],
            config.logit_scale,
            components=self.components,
            chunk_size=chunk_size,
        )
        return Terms(loss / 2, loss / 2, torch.ones_like(text).flatten(0, 1), config.logit_scale)

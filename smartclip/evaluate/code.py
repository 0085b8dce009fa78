"""What a trained model says about a world: the code z^_I and the mask of each kind of caption."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from smartclip.evaluate.embedding import embed_captions, embed_images
from smartclip.model import SmartCLIP


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """Embeddings of N held-out pairs, on the CPU.

    Attributes:
        image: z^_I, unmasked [N, D].
        text: z^_T [N, D].
        mask: the hard mask of each caption [N, D].
        caption_masks: the mask of each kind of caption, by majority [captions, D].
        agreement: share of captions whose mask equals that majority on every coordinate.
    """

    image: Float[Tensor, "N D"]
    text: Float[Tensor, "N D"]
    mask: Float[Tensor, "N D"]
    caption_masks: Bool[Tensor, "captions D"]
    agreement: float


def encode(
    model: SmartCLIP,
    images: Tensor,
    tokens: Tensor,
    caption: Int64[Tensor, " N"],
    *,
    captions: int,
    batch_size: int = 1024,
) -> Code:
    """Embed pairs and read off one mask for each kind of caption.

    The statements speak of one mask per kind of caption; a trained mask may waver with the values
    a caption carries, so the majority stands for all and `agreement` says how often it is right.

    Args:
        model: trained.
        images: [N, ...].
        tokens: [N, ...].
        caption: which kind of caption each row has [N].
        captions: how many kinds there are.
        batch_size: rows embedded at a time.
    """
    image = embed_images(model, images, rows=batch_size)
    text, mask = embed_captions(model, tokens, rows=batch_size)
    kinds = caption.cpu()
    caption_masks = torch.zeros(captions, image.shape[1], dtype=torch.bool)
    for kind in range(captions):
        if bool((kinds == kind).any()):
            caption_masks[kind] = mask[kinds == kind].mean(0) > 0.5
    agreement = (mask.bool() == caption_masks[kinds]).all(1).double().mean().item()
    return Code(image=image, text=text, mask=mask, caption_masks=caption_masks, agreement=agreement)

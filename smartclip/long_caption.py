"""CLIP for long captions: the fine caption sees all of the image, the coarse one its main part.

    L = CLIP(x, t_long) + w CLIP(P_k x, t_short),      P_k x = mean + V_k V_k' (x - mean),

with x the normalised image embeddings of the batch, and V_k their k leading principal directions.
Source: Long-CLIP (Zhang et al., ECCV 2024), primary component matching. It is the baseline that
handles captions of two lengths with a fixed subspace, the same for all captions, where SmartCLIP
reads a mask from each.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from smartclip.objective import modular_contrastive_loss
from theory.errors import InputError


def long_caption_loss(
    image: Float[Tensor, "B D"],
    long_text: Float[Tensor, "B D"],
    short_text: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, ""] | float,
    *,
    components: int = 32,
    short_weight: float = 1.0,
    chunk_size: int | None = None,
) -> Float[Tensor, ""]:
    """The formula above, in nats.

    The published code leaves P_k x unnormalised; here both branches compare by the cosine.

    Args:
        image: image embeddings [B, D]; row i belongs to both captions i.
        long_text: embeddings of the long captions, [B, D].
        short_text: embeddings of the short captions, [B, D], from the same text tower.
        logit_scale: s > 0.
        components: k; the published value is 32.
        short_weight: w.
        chunk_size: see `modular_contrastive_loss`.

    Example:
        >>> x = torch.eye(4)
        >>> bool(long_caption_loss(x, x, x, 100.0) < 1e-6)
        True
    """
    fine = modular_contrastive_loss(image, long_text, None, logit_scale, chunk_size=chunk_size)
    coarse = modular_contrastive_loss(
        leading_components(F.normalize(image, dim=1), components),
        short_text,
        None,
        logit_scale,
        chunk_size=chunk_size,
    )
    return fine + short_weight * coarse


def leading_components(x: Float[Tensor, "B D"], components: int) -> Float[Tensor, "B D"]:
    """P_k x. The directions are held fixed in the backward pass.

    (Their own gradient is infinite where two variances are equal.) With at least as many components
    as directions in which the batch varies, x comes back.

    Raises:
        InputError: fewer than one component.
    """
    if components < 1:
        raise InputError(
            f"components {components}",
            rule="a coarse embedding keeps at least one component",
            fix="pass 1 or more",
        )
    with torch.autocast(x.device.type, enabled=False):
        x = x if x.dtype == torch.float64 else x.float()
        mean = x.mean(0)
        centred = x - mean
        with torch.no_grad():
            tall = x.shape[0] >= x.shape[1]
            covariance = centred.T @ centred if tall else centred @ centred.T
            kept = min(components, len(covariance))
            # Eigenvalues ascend.
            values, directions = torch.linalg.eigh(covariance)
            directions = directions.narrow(1, len(covariance) - kept, kept)
            if not tall:
                # Of [B, B] the eigenvectors are scores; V_k is what they are scores of. A direction
                # in which the batch does not vary is none, and stays 0.
                lengths = values.narrow(0, len(values) - kept, kept).clamp_min(0).sqrt()
                seen = lengths > lengths.max() * len(x) * torch.finfo(x.dtype).eps
                directions = (centred.T @ directions) * torch.where(seen, 1 / lengths, 0)
        return mean + (centred @ directions) @ directions.T

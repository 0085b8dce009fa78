"""The definition of the modular contrastive loss, term by term: slow, and what tests compare with.

    L = - (1/2B) sum_i [ log softmax_j S_ij  +  log softmax_i S_ij ]_(j = i),

where S_ij is the formula of a similarity (`smartclip.objective.similarities`) of image x_i, caption
t_j and mask m_j, or m_i for an own form. It makes the [B, B, D] array of every image under every
mask, which `smartclip.objective.loss` never makes. Source: SmartCLIP (CVPR 2025), the modular
alignment objective.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from smartclip.objective.similarities import Similarity, formula


def similarity_by_definition(
    image: Float[Tensor, "*runs images D"],
    text: Float[Tensor, "*runs captions D"],
    mask: Float[Tensor, "*runs rows D"] | None,
    logit_scale: Float[Tensor, "*scales"] | float,
    *,
    similarity: Similarity = "cosine",
) -> Float[Tensor, "*runs images captions"]:
    """S; the arguments are those of `smartclip.objective.similarity_matrix`."""
    chosen = formula(similarity)
    rows = -2 if chosen.masks_images else -3
    if mask is None:
        mask = torch.ones_like(image if chosen.masks_images else text)
    scale = torch.as_tensor(logit_scale, dtype=image.dtype, device=image.device)
    x, t, m = image.unsqueeze(-2), text.unsqueeze(-3), mask.unsqueeze(rows)
    return chosen.of_pair(x, t, m, scale.unsqueeze(-1).unsqueeze(-1))


def loss_by_definition(
    image: Float[Tensor, "*runs B D"],
    text: Float[Tensor, "*runs B D"],
    mask: Float[Tensor, "*runs B D"] | None,
    logit_scale: Float[Tensor, "*scales"] | float,
    *,
    similarity: Similarity = "cosine",
) -> Float[Tensor, "*runs"]:
    """L; the arguments are those of `smartclip.objective.modular_contrastive_loss`."""
    s = similarity_by_definition(image, text, mask, logit_scale, similarity=similarity)
    to_captions = s.log_softmax(-1).diagonal(0, -2, -1)
    to_images = s.log_softmax(-2).diagonal(0, -2, -1)
    return -(to_captions + to_images).mean(-1) / 2

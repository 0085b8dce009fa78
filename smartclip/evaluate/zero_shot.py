"""Zero-shot classification: a class is the mean of the captions that name it (CLIP, ICML 2021).

    unmasked   w_c = unit( mean_t unit(z^_T(t, c)) ),     s(i, c) = cos(z^_I, w_c)
    masked     s(i, c) = mean_t cos(z^_I m(t, c), z^_T(t, c))

over templates t. The masked form is derived here: a mean of embeddings has no mask, a mean of
scores needs none.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from smartclip.evaluate.retrieval import read


def class_scores(
    image: Float[Tensor, "images d"],
    text: Float[Tensor, "classes templates d"],
    mask: Float[Tensor, "classes templates d"] | None,
    *,
    similarity: str = "cosine",
    logit_scale: float = 1.0,
) -> Float[Tensor, "images classes"]:
    """The score of each class for each image; see the formulas above.

    Args:
        image: z^_I.
        text: z^_T of each class in each template.
        mask: m; None for the unmasked form, which is a cosine whatever the model was trained with.
        similarity: of the masked form.
        logit_scale: of the masked form.
    """
    if mask is None:
        classes = F.normalize(F.normalize(text, dim=2).mean(1), dim=1)
        return F.normalize(image, dim=1) @ classes.T
    total = torch.zeros(len(image), len(text))
    for template in range(text.shape[1]):
        total += read(
            image,
            text[:, template],
            mask[:, template],
            similarity=similarity,
            logit_scale=logit_scale,
        )
    return total / text.shape[1]


def right_at(
    scores: Float[Tensor, "queries choices"], answer: Int[Tensor, " queries"], k: int
) -> Float[np.ndarray, " queries"]:
    """Probability that the answer is among the k best choices, equal scores in random order.

    >>> right_at(torch.tensor([[0.1, 0.9], [0.5, 0.5]]), torch.tensor([1, 0]), 1).tolist()
    [1.0, 0.5]
    """
    own = scores.gather(1, answer[:, None])
    better = (scores > own).sum(1)
    tied = (scores == own).sum(1)
    return ((k - better) / tied).clamp(0, 1).double().numpy()

"""The definition against sums over pairs and coordinates, written out in plain Python."""

import math

import pytest
import torch

from smartclip.objective.cross_entropy import EPSILON
from smartclip.objective.definition import loss_by_definition, similarity_by_definition

S = 1.7


def inner(x, t, m):
    return sum(m * x * t for x, t, m in zip(x, t, m, strict=True))


def norm(x, m):
    return math.sqrt(inner(x, x, m) + EPSILON)


def ratio(x, t, m):
    return sum(
        m * (math.log(2 * S) / 2 - S * (x - t) ** 2 + x * x / 2)
        for x, t, m in zip(x, t, m, strict=True)
    )


BY_HAND = {
    "cosine": lambda x, t, m: S * inner(x, t, m) / norm(x, m) / math.hypot(*t),
    "masked_cosine": lambda x, t, m: S * inner(x, t, m) / norm(x, m) / norm(t, m),
    "distance": lambda x, t, m: -S * sum(m * (x - t) ** 2 for x, t, m in zip(x, t, m, strict=True)),
    "likelihood_ratio": ratio,
}
BY_HAND |= {f"own_{name}": BY_HAND[name] for name in ("cosine", "likelihood_ratio")}


@pytest.mark.parametrize("similarity", BY_HAND)
def test_the_definition_is_what_one_writes_by_hand(similarity):
    generator = torch.Generator().manual_seed(0)
    image, text, mask = (
        torch.rand(5, 3, generator=generator, dtype=torch.float64) + shift for shift in (-0.5, 0, 0)
    )
    own = similarity.startswith("own_")
    x, t, m = image.tolist(), text.tolist(), mask.tolist()
    s = [[BY_HAND[similarity](x[i], t[j], m[i if own else j]) for j in range(5)] for i in range(5)]
    found = similarity_by_definition(image, text, mask, S, similarity=similarity)
    torch.testing.assert_close(found, torch.tensor(s, dtype=torch.float64))
    terms = [
        math.log(sum(math.exp(s[i][j]) for j in range(5)))
        + math.log(sum(math.exp(s[j][i]) for j in range(5)))
        - 2 * s[i][i]
        for i in range(5)
    ]
    loss = loss_by_definition(image, text, mask, S, similarity=similarity)
    assert loss.item() == pytest.approx(sum(terms) / 10, abs=1e-12)

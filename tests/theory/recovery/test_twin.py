"""The twin of a code: its law, its reach and its errors."""

import pytest
import torch

from theory import CaptionFamily
from theory.errors import InputError
from theory.recovery.twin import twin_latents

FAMILY = CaptionFamily.from_captions([("a", "b"), ("a", "c")], sizes={"a": 1, "b": 2, "c": 2})


def latents() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(20_000, 5, dtype=torch.float64, generator=generator)


def test_the_law_of_independent_latents_stays_exactly():
    z = latents()[:20]
    turned = twin_latents(z, FAMILY, "b", "a")
    # p(T(z)) |det T'(z)| = p(z): the normal density sees |z| alone.
    assert torch.allclose(turned.norm(dim=1), z.norm(dim=1))
    for row in z:
        slope = torch.func.jacrev(lambda r: twin_latents(r[None], FAMILY, "b", "a")[0])(row)
        assert torch.linalg.det(slope).item() == pytest.approx(1)


def test_only_the_concept_moves_and_only_its_direction():
    z = latents()
    turned = twin_latents(z, FAMILY, "b", "a")
    own = FAMILY.space.columns(["b"])
    others = [column for column in range(5) if column not in own]
    assert torch.equal(turned[:, others], z[:, others])
    assert torch.allclose(turned[:, own].norm(dim=1), z[:, own].norm(dim=1))
    assert (turned[:, own] - z[:, own]).norm(dim=1).mean() > 0.5


def test_the_concept_alone_no_longer_tells_its_turned_self():
    z = latents()
    own = FAMILY.space.columns(["b"])
    turned = twin_latents(z, FAMILY, "b", "a")[:, own]
    # E[T(z)_b | z_b] = E[R(theta)] z_b, and E cos(2 a) = exp(-2) for a standard normal.
    kept = (turned * z[:, own]).mean() / z[:, own].square().mean()
    assert kept.item() == pytest.approx(torch.tensor(-2.0).exp().item(), abs=0.02)


@pytest.mark.parametrize(("concept", "companion"), [("b", "c"), ("b", "b"), ("a", "b")])
def test_a_companion_is_in_every_caption_of_the_concept(concept: str, companion: str):
    with pytest.raises(InputError, match="companion"):
        twin_latents(latents(), FAMILY, concept, companion)


def test_one_dimension_cannot_turn():
    family = CaptionFamily.from_captions([("a", "b"), ("a", "c")])
    with pytest.raises(InputError, match="one dimension"):
        twin_latents(torch.zeros(1, 3), family, "b", "a")

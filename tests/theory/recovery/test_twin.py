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


def test_one_independent_dimension_has_no_impure_twin():
    family = CaptionFamily.from_captions([("a", "b"), ("a", "c")])
    with pytest.raises(InputError, match="of one dimension is independent"):
        twin_latents(torch.zeros(1, 3), family, "b", "a")


def dependent(sizes: dict[str, int], seed: int = 0) -> tuple[CaptionFamily, torch.Tensor]:
    """Captions {a, b} and {a}, and a covariance without any zeros."""
    family = CaptionFamily.from_captions([("a", "b"), ("a",)], sizes=sizes)
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(family.dimension, family.dimension + 2, generator=generator).double()
    return family, root @ root.T


@pytest.mark.parametrize("sizes", [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 3}])
def test_the_law_of_dependent_latents_stays_exactly(sizes: dict[str, int]):
    """p(T(z)) |det T'(z)| = p(z) at every point, for a reflection and for a rotation."""
    family, covariance = dependent(sizes)
    precision = torch.linalg.inv(covariance)
    z = torch.randn(20, family.dimension, generator=torch.Generator().manual_seed(1)).double()
    moved = twin_latents(z, family, "b", "a", covariance=covariance)
    assert not torch.allclose(moved, z)
    for before, after in zip(z, moved, strict=True):
        assert (after @ precision @ after).item() == pytest.approx(
            (before @ precision @ before).item()
        )
        slope = torch.func.jacrev(
            lambda r: twin_latents(r[None], family, "b", "a", covariance=covariance)[0]
        )(before)
        assert abs(torch.linalg.det(slope).item()) == pytest.approx(1)
        own, other = family.space.columns(["b"]), family.space.columns(["a"])
        assert slope[own][:, other].abs().max() > 1e-3


def test_a_reflected_dependent_concept_has_equal_losses_and_depends_on_its_companion():
    """Gaussian, rho = 0.6: InfoNCE on T(z) and on z agree, and T(z)_b = 1.2 z_a - z_b."""
    family = CaptionFamily.from_captions([("a", "b"), ("a",)])
    covariance = torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    z = torch.randn(4096, 2, generator=torch.Generator().manual_seed(0)).double()
    z = z @ torch.linalg.cholesky(covariance).T
    moved = twin_latents(z, family, "b", "a", covariance=covariance)
    assert torch.allclose(moved[:, 1], 1.2 * z[:, 0] - z[:, 1])
    # Twice the twin is the latents: what the one code sees on z the other sees on T(z).
    back = twin_latents(moved, family, "b", "a", covariance=covariance)
    assert torch.allclose(back, z, atol=1e-12)


def test_what_depends_on_concepts_outside_its_closure_has_no_twin():
    """One common factor: z_b tells of z_c, which captions with b do not mention."""
    covariance = 0.4 * torch.eye(5, dtype=torch.float64) + 0.6
    with pytest.raises(InputError, match="outside its closure"):
        twin_latents(latents(), FAMILY, "b", "a", covariance=covariance)

"""The swap test against closed forms."""

import pytest
import torch

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery.swap import independent_latents, swap_test

FAMILY = CaptionFamily.from_captions([["a", "b"], ["a", "c"]], sizes={"a": 2})
MASKS = FAMILY.dimension_masks


def correlated(rows: int, strength: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(rows, 1, generator=generator, dtype=torch.float64)
    own = torch.randn(rows, FAMILY.dimension, generator=generator, dtype=torch.float64)
    return strength * common + (1 - strength**2) ** 0.5 * own


def plain(z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return torch.cat([z, noise], 1)


@pytest.mark.parametrize("strength", [0.0, 0.99])
def test_an_oracle_does_not_move_however_dependent_the_latents(strength: float) -> None:
    z = correlated(500, strength)
    noise = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    swap = swap_test(lambda image: image[:, :4] ** 3, plain, z, noise, family=FAMILY, masks=MASKS)
    assert swap.table().moved.max() == 0
    assert swap.leaks() == ()


@pytest.mark.parametrize("strength", [0.0, 0.99])
def test_a_leak_moves_by_its_share_of_the_variance(strength: float) -> None:
    """zhat_b = z_b + z_c has half of its variance from outside {a, b}, dependent or not."""
    z = correlated(20_000, strength)
    noise = torch.zeros(len(z), 0)

    def encode(image: torch.Tensor) -> torch.Tensor:
        code = image.clone()
        code[:, 2] += image[:, 3]
        return code

    swap = swap_test(encode, plain, z, noise, family=FAMILY, masks=MASKS)
    caption = next(row for row in swap.blocks if row.block == {"a", "b"})
    assert caption.moved[:2] == (0, 0)
    assert caption.moved[2] == pytest.approx(0.5, abs=0.02)
    assert swap.leaks()[0].worst > 0.45


def test_image_noise_is_a_leak() -> None:
    z = correlated(5000, 0.0)
    noise = torch.randn(5000, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    swap = swap_test(lambda i: i[:, :4] + i[:, 4:], plain, z, noise, family=FAMILY, masks=MASKS)
    assert all(row.worst == pytest.approx(0.5, abs=0.05) for row in swap.blocks if row.promised)


def test_constant_coordinates_are_not_scored() -> None:
    z = correlated(50, 0.0)
    swap = swap_test(
        lambda image: 0 * image, plain, z, torch.zeros(50, 0), family=FAMILY, masks=MASKS
    )
    assert all(value != value for row in swap.blocks for value in row.moved)
    assert swap.to_dict()["blocks"][0]["moved"] == [None, None, None]


def test_independent_latents_keep_each_concept_and_nothing_else() -> None:
    z = correlated(20_000, 0.9)
    free = independent_latents(z, family=FAMILY, seed=0)
    correlation = torch.corrcoef(free.T)
    assert correlation[0, 1] == pytest.approx(float(torch.corrcoef(z.T)[0, 1]))
    assert correlation[0, 2:].abs().max() < 0.03
    assert torch.equal(free[:, 2].sort().values, z[:, 2].sort().values)


def test_shapes_are_checked() -> None:
    z = correlated(50, 0.0)
    with pytest.raises(InputError, match=r"noise \(49, 0\)"):
        swap_test(torch.tanh, plain, z, torch.zeros(49, 0), family=FAMILY, masks=MASKS)


def test_a_code_that_is_not_finite_is_not_called_pure() -> None:
    z = correlated(50, 0.0)
    with pytest.raises(InputError, match="zhat holds NaN"):
        swap_test(
            lambda image: torch.nan * image,
            plain,
            z,
            torch.zeros(50, 0),
            family=FAMILY,
            masks=MASKS,
        )

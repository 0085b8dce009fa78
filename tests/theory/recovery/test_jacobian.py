"""The Jacobian test against matrices known in closed form."""

import pytest
import torch

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery.jacobian import code_jacobian, jacobian_test

FAMILY = CaptionFamily.from_captions([["a", "b"], ["a", "c"]], sizes={"a": 2})
MASKS = FAMILY.dimension_masks
GENERATOR = torch.Generator().manual_seed(0)
Z = torch.randn(300, 4, generator=GENERATOR, dtype=torch.float64)
NOISE = torch.randn(300, 2, generator=GENERATOR, dtype=torch.float64)


def plain(z: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return torch.cat([z, noise], 1)


def test_the_jacobian_of_a_matrix_is_the_matrix() -> None:
    matrix = torch.randn(5, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = code_jacobian(lambda image: image @ matrix.T, plain, Z[:7], NOISE[:7])
    torch.testing.assert_close(found, matrix.expand(7, -1, -1))


def test_a_pure_code_has_no_outside_norm_and_full_rank() -> None:
    test = jacobian_test(
        lambda image: torch.sinh(image[:, :4]), plain, Z, NOISE, family=FAMILY, masks=MASKS
    )
    assert all(row.outside == 0 and row.full_rank and row.smallest > 0 for row in test.blocks)
    assert test.norms.shape == (4, 4)
    assert (test.norms[:, 3] == 0).all()


def test_leaks_into_noise_and_lost_rank_are_seen() -> None:
    def encode(image: torch.Tensor) -> torch.Tensor:
        code = image[:, :4].clone()
        code[:, 1] = code[:, 0]
        code[:, 2] = code[:, 2] + image[:, 4]
        return code

    test = jacobian_test(encode, plain, Z, NOISE, family=FAMILY, masks=MASKS)
    shared = next(row for row in test.blocks if row.block == {"a"})
    assert (shared.rank, shared.dimension, shared.leak) == (1, 2, 0.0)
    caption = next(row for row in test.blocks if row.kind == "caption")
    assert caption.rank == 2
    assert caption.leak > 0.1
    assert test.norms[2, 3] > 0.4


def test_a_step_is_refused() -> None:
    with pytest.raises(InputError, match="no derivative"):
        jacobian_test(
            lambda image: image[:, :4].detach().sign(), plain, Z, NOISE, family=FAMILY, masks=MASKS
        )


def test_a_code_or_a_derivative_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match="zhat holds NaN"):
        jacobian_test(lambda i: i[:, :4] * torch.nan, plain, Z, NOISE, family=FAMILY, masks=MASKS)
    with pytest.raises(InputError, match="the Jacobian holds NaN or infinity, first in row 0"):
        jacobian_test(
            lambda i: (i[:, :4] - Z[:1]).abs().sqrt(), plain, Z, NOISE, family=FAMILY, masks=MASKS
        )


def test_empty_masks_have_an_answer() -> None:
    test = jacobian_test(
        torch.tanh, lambda z, e: z, Z, NOISE[:, :0], family=FAMILY, masks=0 * MASKS
    )
    assert {(row.inside, row.outside, row.rank, row.leak) for row in test.blocks} == {(0, 0, 0, 0)}

"""What a known encoder claims, against noise-free least squares."""

import pytest
import torch

from theory.captions import CaptionFamily
from theory.recovery.encoders import KnownEncoder, coordinates_of, known_encoders
from theory.recovery.lattice_blocks import lattice_blocks

FAMILY = CaptionFamily.from_captions(
    [["a", "b", "c"], ["a", "c"], ["a", "d"]], sizes={"a": 2, "d": 2}
)


def explains(inputs: torch.Tensor, targets: torch.Tensor) -> bool:
    """A linear function of the inputs equals the targets exactly."""
    if targets.shape[1] == 0:
        return True
    if inputs.shape[1] == 0:
        return not bool(targets.any())
    solution = torch.linalg.lstsq(inputs, targets, driver="gelsd").solution
    return bool((inputs @ solution - targets).abs().max() < 1e-9)


@pytest.mark.parametrize("encoder", known_encoders(FAMILY, seed=1), ids=lambda e: e.name)
def test_claims_are_true(encoder: KnownEncoder) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(100, FAMILY.dimension, generator=generator, dtype=torch.float64)
    for entry in lattice_blocks(coordinates_of(encoder)):
        code = (z @ encoder.mixing.T)[:, list(entry.coordinates)]
        noise = torch.randn(code.shape, generator=generator, dtype=torch.float64)
        code = torch.where(encoder.noisy[list(entry.coordinates)], noise, code)
        inside = z[:, FAMILY.space.columns(entry.block)]
        expected = len(entry.coordinates) > 0 and explains(code, inside) and explains(inside, code)
        assert encoder.identifies(entry.block, entry.coordinates) == expected


def test_faithful_encoders_keep_every_promise_and_spoiled_ones_break_one() -> None:
    encoders = known_encoders(FAMILY, seed=1)
    kept = [
        all(
            encoder.identifies(entry.block, entry.coordinates)
            for entry in lattice_blocks(coordinates_of(encoder))
            if entry.promised
        )
        for encoder in encoders
    ]
    faithful = [encoder.name for encoder, yes in zip(encoders, kept, strict=True) if yes]
    assert faithful[:5] == [encoder.name for encoder in encoders[:5]]
    assert set(faithful[5:]) == {"overcomplete"}


def test_the_sharp_solution_keeps_nothing_beyond_the_promise() -> None:
    sharp = next(e for e in known_encoders(FAMILY, seed=0) if e.name.startswith("entangled within"))
    for entry in lattice_blocks(coordinates_of(sharp), [["b"], ["b", "d"], ["a", "b"]]):
        assert sharp.identifies(entry.block, entry.coordinates) == entry.promised


def test_the_warp_is_invertible_inside_a_concept() -> None:
    warped = next(e for e in known_encoders(FAMILY, seed=0) if e.name == "warped")
    z = torch.randn(50, FAMILY.dimension, generator=torch.Generator().manual_seed(0)).double()
    moved = z.clone()
    moved[:, 2:] += 1
    a = slice(0, 2)
    assert torch.equal(warped.encode(z, seed=0)[:, a], warped.encode(moved, seed=0)[:, a])
    code = warped.encode(z, seed=0)
    first = bisect(code[:, 0])
    second = bisect(code[:, 1]) - torch.sin(1.5 * first)
    torch.testing.assert_close(torch.stack([first, second], 1), z[:, a], atol=1e-8, rtol=0)


def bisect(values: torch.Tensor) -> torch.Tensor:
    """The x with asinh(2 x) + 0.2 x = value."""
    low, high = torch.full_like(values, -50), torch.full_like(values, 50)
    for _ in range(80):
        middle = (low + high) / 2
        above = torch.asinh(2 * middle) + 0.2 * middle > values
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return low

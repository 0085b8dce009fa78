import pytest
import sympy
import torch

from simulators.mixings import (
    Autoregressive,
    Coupling,
    Embedded,
    Polynomial,
    Smooth,
    Symbolic,
)
from theory.errors import InputError


def symbolic():
    x, y, z, a, b, c = sympy.symbols("x y z a b c", real=True)
    return Symbolic(
        [x, y, z],
        [sympy.exp(x), y + sympy.sin(x), 2 * z + y**2 + 1],
        inverse=[
            sympy.log(a),
            b - sympy.sin(sympy.log(a)),
            (c - 1 - (b - sympy.sin(sympy.log(a))) ** 2) / 2,
        ],
        outputs_symbols=[a, b, c],
    )


MIXINGS = {
    "linear": lambda: Smooth(4, curvature=0.0),
    "smooth": lambda: Smooth(5),
    "deep": lambda: Smooth(3, seed=7, layers=4, curvature=0.7),
    "one input": lambda: Smooth(1),
    "coupling": lambda: Coupling(5),
    "autoregressive": lambda: Autoregressive(4),
    "polynomial": lambda: Polynomial(5),
    "larger image": lambda: Embedded(Smooth(4), 9),
    "same image": lambda: Embedded(Smooth(4), 4),
    "larger spline image": lambda: Embedded(Coupling(3), 5),
    "symbolic": symbolic,
}


def points(mixing, n=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, mixing.inputs, generator=generator, dtype=torch.float64)


@pytest.fixture(params=MIXINGS)
def mixing(request):
    return MIXINGS[request.param]()


def test_the_inverse_is_exact(mixing):
    x = points(mixing)
    y = mixing(x)
    assert y.shape == (len(x), mixing.outputs)
    torch.testing.assert_close(mixing.inverse(y), x, atol=1e-9, rtol=1e-9)


def test_the_jacobian_agrees_with_differences(mixing):
    x = points(mixing, n=20)
    step = 1e-6
    columns = [
        (mixing(x + step * row) - mixing(x - step * row)) / (2 * step)
        for row in torch.eye(mixing.inputs, dtype=torch.float64)
    ]
    torch.testing.assert_close(
        mixing.jacobian(x), torch.stack(columns, dim=2), atol=1e-6, rtol=1e-6
    )


def test_the_volume_agrees_with_the_jacobian(mixing):
    x = points(mixing, n=50)
    J = mixing.jacobian(x)
    torch.testing.assert_close(
        mixing.log_volume(x), 0.5 * torch.logdet(J.mT @ J), atol=1e-8, rtol=1e-8
    )


def test_the_rank_is_full_and_the_slopes_hold(mixing):
    x = 3 * points(mixing, n=200)
    values = torch.linalg.svdvals(mixing.jacobian(x))
    a, b = mixing.slopes
    assert (values[:, -1] > 0).all()
    assert (values >= a * (1 - 1e-9)).all()
    assert (values <= b * (1 + 1e-9)).all()
    assert (mixing.conditioning(x) <= mixing.condition * (1 + 1e-9)).all()


def test_distances_are_kept_up_to_the_declared_slopes(mixing):
    x, other = 3 * points(mixing), 3 * points(mixing, seed=1)
    a, b = mixing.slopes
    before = (x - other).norm(dim=1)
    after = (mixing(x) - mixing(other)).norm(dim=1)
    assert (after > 0).all()
    assert (after >= a * before * (1 - 1e-9)).all()
    assert (after <= b * before * (1 + 1e-9)).all()


@pytest.mark.parametrize("name", ["smooth", "coupling", "autoregressive", "polynomial"])
def test_outputs_are_standardised_and_not_linear(name):
    mixing = MIXINGS[name]()
    x = points(mixing, n=20_000, seed=3)
    y = mixing(x)
    assert y.mean(0).abs().max() < 0.05
    assert (y.std(0) - 1).abs().max() < 0.08
    design = torch.cat([x, torch.ones(len(x), 1).double()], dim=1)
    residual = y - design @ torch.linalg.lstsq(design, y).solution
    assert residual.square().mean() > 0.01


def test_smooth_declares_a_finite_condition_and_seeds_differ():
    assert Smooth(6).condition < 15
    x = points(Smooth(6))
    assert torch.equal(Smooth(6)(x), Smooth(6)(x))
    assert (Smooth(6, seed=1)(x) - Smooth(6)(x)).abs().max() > 0.1


def test_the_global_generator_is_left_alone():
    state = torch.random.get_rng_state()
    Autoregressive(3)
    Coupling(3)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_symbolic_matrix_is_the_jacobian():
    g = symbolic()
    x = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64)
    symbols = sympy.symbols("x y z", real=True)
    exact = g.matrix.subs(dict(zip(symbols, x[0].tolist(), strict=True)))
    torch.testing.assert_close(g.jacobian(x)[0], torch.tensor(exact.tolist(), dtype=torch.float64))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Smooth(0), "inputs"),
        (lambda: Smooth(2, curvature=1.0), "curvature"),
        (lambda: Coupling(1), "2"),
        (lambda: Autoregressive(1), "2"),
        (lambda: Embedded(Smooth(4), 3), "3 outputs"),
        (
            lambda: Symbolic(
                [sympy.Symbol("x")],
                [sympy.Symbol("x") ** 2],
                inverse=[sympy.sqrt(sympy.Symbol("y"))],
                outputs_symbols=[sympy.Symbol("y")],
            ),
            "inverse",
        ),
        (
            lambda: Symbolic(
                [sympy.Symbol("x")],
                [sympy.Symbol("q")],
                inverse=[sympy.Symbol("y")],
                outputs_symbols=[sympy.Symbol("y")],
            ),
            "symbols",
        ),
    ],
)
def test_bad_mixings_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()

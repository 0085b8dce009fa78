"""The fused loss and its hand-written gradient against autograd, and what it may be put into."""

import doctest
import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

import smartclip.objective.cross_entropy
from smartclip.objective.cross_entropy import BAND_ROWS, Factors, symmetric_cross_entropy


def drawn(size=9, dimension=4, *runs, root=True, bias=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.randn(*runs, size, dimension, generator=generator, dtype=torch.float64)
        for _ in range(4)
    ]
    u, v, q, m = parts
    c = torch.randn(*runs, size, generator=generator, dtype=torch.float64) if bias else None
    return Factors(u, v, c, q.square(), m.sigmoid()) if root else Factors(u, v, c)


def by_autograd(factors):
    logits = factors.logits()
    rows, columns = (logits.log_softmax(d).diagonal(0, -2, -1).mean(-1) for d in (-1, -2))
    return -(rows + columns) / 2


def learning(factors):
    return [part.detach().requires_grad_() for part in factors if part is not None]


def rebuilt(factors, parts):
    parts = iter(parts)
    return Factors(*(None if part is None else next(parts) for part in factors))


@pytest.mark.parametrize("chunk_size", [None, 1, 4, 9, 20])
@pytest.mark.parametrize(("root", "bias"), [(True, True), (True, False), (False, True)])
def test_value_and_gradient_are_autograds(root, bias, chunk_size):
    factors = drawn(root=root, bias=bias)
    parts = learning(factors)
    ours = symmetric_cross_entropy(rebuilt(factors, parts), chunk_size=chunk_size)
    theirs = by_autograd(rebuilt(factors, parts))
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    for mine, reference in zip(
        torch.autograd.grad(3 * ours, parts), torch.autograd.grad(3 * theirs, parts), strict=True
    ):
        torch.testing.assert_close(mine, reference, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("chunk_size", [None, 1, 2])
@pytest.mark.parametrize(("root", "bias"), [(True, True), (False, False)])
def test_shares_of_the_rows_make_up_the_loss(root, bias, chunk_size):
    """Three processes in one: each passes its rows, and the columns' normalisers of all."""
    factors = drawn(root=root, bias=bias)
    parts = learning(factors)
    columns = factors.logits().logsumexp(0, keepdim=True)
    losses = []
    for first in (0, 3, 6):
        u, v, c, q, m = rebuilt(factors, parts)
        rows = Factors(u[first : first + 3], v, c, None if q is None else q[first : first + 3], m)
        loss = symmetric_cross_entropy(
            rows, chunk_size=chunk_size, first=first, over_all_rows=lambda _: columns
        )
        losses.append(loss)
    theirs = by_autograd(rebuilt(factors, parts))
    torch.testing.assert_close(sum(losses) / 3, theirs)
    for mine, reference in zip(
        torch.autograd.grad(sum(losses) / 3, parts), torch.autograd.grad(theirs, parts), strict=True
    ):
        torch.testing.assert_close(mine, reference)


def test_more_rows_than_one_band():
    factors = drawn(2 * BAND_ROWS + 3, 3)
    parts = learning(factors)
    ours = symmetric_cross_entropy(rebuilt(factors, parts))
    theirs = by_autograd(rebuilt(factors, parts))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    for mine, reference in zip(
        torch.autograd.grad(ours, parts), torch.autograd.grad(theirs, parts), strict=True
    ):
        torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("root", [True, False])
def test_gradcheck(root, chunk_size):
    factors = drawn(5, 3, root=root)
    assert torch.autograd.gradcheck(
        lambda *parts: symmetric_cross_entropy(rebuilt(factors, parts), chunk_size=chunk_size),
        learning(factors),
    )


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_leading_dimensions_are_runs_of_their_own(chunk_size):
    factors = drawn(6, 3, 2, 4)
    parts = learning(factors)
    together = symmetric_cross_entropy(rebuilt(factors, parts), chunk_size=chunk_size)
    assert together.shape == (2, 4)
    weight = torch.arange(1.0, 9, dtype=torch.float64).reshape(2, 4)
    grads = torch.autograd.grad((weight * together).sum(), parts)
    for i in range(2):
        for j in range(4):
            alone = learning(Factors(*(part[i, j] for part in factors)))
            loss = symmetric_cross_entropy(rebuilt(factors, alone), chunk_size=chunk_size)
            torch.testing.assert_close(together[i, j], loss)
            for all_runs, one in zip(
                grads, torch.autograd.grad(weight[i, j] * loss, alone), strict=True
            ):
                torch.testing.assert_close(all_runs[i, j], one)


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_vmap_of_the_gradient(chunk_size):
    """Seeds trained in one program; here they share q and m."""
    u, v, c, q, m = drawn(6, 3, 4)

    def loss(u, v, c):
        return symmetric_cross_entropy(Factors(u, v, c, q[0], m[0]), chunk_size=chunk_size)

    grads, values = torch.func.vmap(torch.func.grad_and_value(loss, argnums=(0, 1, 2)))(u, v, c)
    for run in range(4):
        alone = [part[run].clone().requires_grad_() for part in (u, v, c)]
        value = loss(*alone)
        torch.testing.assert_close(values[run], value)
        for together, one in zip(grads, torch.autograd.grad(value, alone), strict=True):
            torch.testing.assert_close(together[run], one)


def test_the_graph_can_be_walked_twice():
    parts = learning(drawn())
    loss = symmetric_cross_entropy(Factors(*parts))
    first = torch.autograd.grad(loss, parts, retain_graph=True)
    for again, before in zip(torch.autograd.grad(loss, parts), first, strict=True):
        assert torch.equal(again, before)


@pytest.mark.parametrize("gap", [50.0, 95.0, 2000.0])
def test_far_apart_logits_stay_finite_and_right(gap):
    """Around 95, exp gives denormal numbers in float32; at 2,000, zeros."""
    u = gap * torch.eye(5)
    parts = learning(Factors(u, torch.eye(5).roll(1, 0)))
    ours = symmetric_cross_entropy(Factors(*parts))
    torch.testing.assert_close(ours, torch.tensor(gap + math.log1p(4 * math.exp(-gap))))
    theirs = by_autograd(Factors(*parts))
    for mine, reference in zip(
        torch.autograd.grad(ours, parts), torch.autograd.grad(theirs, parts), strict=True
    ):
        torch.testing.assert_close(mine, reference)


def test_nothing_is_kept_when_no_gradient_is_asked_for():
    factors = drawn()
    with torch.no_grad():
        quiet = symmetric_cross_entropy(Factors(*learning(factors)))
    assert not quiet.requires_grad
    torch.testing.assert_close(quiet, by_autograd(factors))


def test_not_a_number_is_not_hidden():
    factors = drawn(root=False)
    factors.u[0, 0] = math.nan
    assert symmetric_cross_entropy(factors).isnan()


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_every_tensor_is_made_on_its_inputs_device(chunk_size):
    with FakeTensorMode(), torch.no_grad():
        u, v, q, m = torch.empty(4, 8, 5, device="cuda")
        c = torch.empty(8, device="cuda")
        loss = symmetric_cross_entropy(Factors(u, v, c, q, m), chunk_size=chunk_size)
        assert loss.device.type == "cuda"


@pytest.mark.gpu
@pytest.mark.parametrize("chunk_size", [None, 100])
def test_gpu_agrees_with_cpu(chunk_size):
    factors = drawn(300, 16)
    here = learning(factors)
    there = [part.detach().cuda().requires_grad_() for part in here]
    losses = [symmetric_cross_entropy(Factors(*p), chunk_size=chunk_size) for p in (here, there)]
    torch.testing.assert_close(losses[1].cpu(), losses[0])
    for ours, theirs in zip(
        torch.autograd.grad(losses[1], there), torch.autograd.grad(losses[0], here), strict=True
    ):
        torch.testing.assert_close(ours.cpu(), theirs)


def test_open_factors_are_clip():
    x, t = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(0))
    logits = x @ t.T
    target = torch.arange(7)
    clip = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    torch.testing.assert_close(symmetric_cross_entropy(Factors(x, t)), clip)


def test_examples_run():
    assert doctest.testmod(smartclip.objective.cross_entropy).failed == 0

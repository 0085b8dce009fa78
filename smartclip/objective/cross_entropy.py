"""The symmetric cross-entropy of factored logits, without autograd's intermediates.

    S_ij = (<u_i, v_j> + c_j) / sqrt(<q_i, m_j> + epsilon)        (no root where q and m are None)
    L    = 1/2b sum_i [ logsumexp_j S_ij + logsumexp_k S_ki - 2 S_ii ]

The sum runs over b images, of B: all of them, or those of one process of several that share a
batch, whose mean of L is the loss of the batch. Derived here. With R = 1 / sqrt(<q, m> + epsilon)
and G = (softmax over rows + softmax over columns - 2 [i = j]) / 2b, the derivative by these rows
of S of the sum of L over all processes,

    dL/du = (G R) v,    dL/dv = (G R)' u,    dL/dq = -1/2 (G S R^2) m,    dL/dm = -1/2 (G S R^2)' q:

two matrix products forward and four backward, where plain CLIP has one and two. Everything between
the products happens on a band of rows that fits into a cache. With a chunk size nothing is kept
but the log-normalisers of rows and columns; the backward pass makes each band of S again.

Autocast changes nothing here: it leaves products alone that are written in place or to `out`.
Inputs may carry leading dimensions, one loss for each, and the function may be vmapped.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

# Inside the root, so that an empty mask has cosine 0 and a finite gradient instead of 0/0.
EPSILON = 1e-12
# A band of this many rows is fastest on a CPU, from B = 512 to 4,096.
BAND_ROWS = 256
# exp of less is so little beside 1 that no sum notices, in float64 either; but where it is a
# denormal number, a CPU takes up to ten times as long over every product with it.
LEAST_EXPONENT = -64.0


class Factors(NamedTuple):
    """What the logits S of the formula above are made of; F and D are any inner dimensions."""

    u: Float[Tensor, "*runs images F"]
    v: Float[Tensor, "*runs captions F"]
    c: Float[Tensor, "*runs captions"] | None = None
    q: Float[Tensor, "*runs images D"] | None = None
    m: Float[Tensor, "*runs captions D"] | None = None

    def logits(self) -> Float[Tensor, "*runs images captions"]:
        """S, in operations that autograd knows."""
        products = self.u @ self.v.mT
        if self.c is not None:
            products = products + self.c.unsqueeze(-2)
        if self.q is None or self.m is None:
            return products
        return products / (self.q @ self.m.mT).add(EPSILON).sqrt()


def symmetric_cross_entropy(
    factors: Factors,
    *,
    chunk_size: int | None = None,
    first: int = 0,
    over_all_rows: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "*runs"]:
    """L of the formula above, in nats, one for each leading index.

    Args:
        factors: of b images and B captions. Without the last two arguments, b = B.
        chunk_size: stream, with so many rows of S at a time; None keeps S and R for the backward
            pass where one may come. It changes memory and time, not the value.
        first: the caption to which the first image belongs; the next one belongs to the next.
        over_all_rows: from logsumexp_i S_ij over these images i, [K, B], that over all images. It
            lets several processes share a batch; they have to pass the same upstream gradient.

    Example:
        >>> x = torch.eye(3)
        >>> round(symmetric_cross_entropy(Factors(x, 0 * x)).item(), 4) == round(math.log(3), 4)
        True
    """
    runs = factors.u.shape[:-2]
    learning = any(part is not None and part.requires_grad for part in factors)
    keep = chunk_size is None and torch.is_grad_enabled() and learning
    parts = _with_one_leading_dimension(factors)
    loss, *_ = _CrossEntropy.apply(*parts, chunk_size, keep, first, over_all_rows)
    return loss.reshape(runs)


def _with_one_leading_dimension(factors: Factors) -> list[Tensor | None]:
    """[..., B, D] -> [K, B, D], and c from [..., B] to [K, B]."""
    runs = factors.u.shape[:-2]
    return [
        None if part is None else part.reshape(math.prod(runs), *part.shape[len(runs) :])
        for part in factors
    ]


def _rows_at_a_time(u: Tensor, chunk_size: int | None) -> int:
    """Rows of a band of each run. On a CPU the bands of all runs together stay as small as one.

    On a GPU one band is fastest: on an H100, bands of 4 to 128 MiB took 1.05 to 1.8 times as long
    at B = 16,384 and 32,768.
    """
    runs, size = u.shape[:2]
    if u.device.type != "cpu":
        return min(size, chunk_size or size)
    return min(size, max(1, (chunk_size or BAND_ROWS) // runs))


def _bands(size: int, rows: int) -> list[tuple[int, int]]:
    """First row and number of rows of each band."""
    return [(start, min(rows, size - start)) for start in range(0, size, rows)]


def _logits_(factors: Factors, start: int, rows: int, logits: Tensor, root: Tensor | None) -> None:
    """Writes rows of S, and of R where there is a root, into [K, rows, B]."""
    torch.bmm(factors.u.narrow(1, start, rows), factors.v.mT, out=logits)
    if factors.c is not None:
        logits.add_(factors.c.unsqueeze(1))
    if factors.q is not None and factors.m is not None and root is not None:
        torch.bmm(factors.q.narrow(1, start, rows), factors.m.mT, out=root)
        logits.mul_(root.add_(EPSILON).rsqrt_())


def _exp_difference_(logits: Tensor, normaliser: Tensor, scratch: Tensor) -> Tensor:
    """exp(logits - normaliser), written into `scratch`."""
    return torch.sub(logits, normaliser, out=scratch).clamp_min_(LEAST_EXPONENT).exp_()


def _logsumexp(logits: Tensor, dim: int, scratch: Tensor) -> Tensor:
    largest = logits.amax(dim, keepdim=True)
    return (_exp_difference_(logits, largest, scratch).sum(dim).log_()).add_(largest.squeeze(dim))


class _CrossEntropy(torch.autograd.Function):
    """Five factors and how to go about it -> the losses [K] and what is kept for the gradient."""

    @staticmethod
    def forward(
        u: Tensor,
        v: Tensor,
        c: Tensor | None,
        q: Tensor | None,
        m: Tensor | None,
        chunk_size: int | None,
        keep: bool,
        first: int,
        over_all_rows: Callable[[Tensor], Tensor] | None,
    ) -> tuple[Tensor | None, ...]:
        factors = Factors(u, v, c, q, m)
        runs, size, captions = *u.shape[:2], v.shape[1]
        rows = _rows_at_a_time(u, chunk_size)
        scratch = u.new_empty(runs, rows, captions)
        held = size if keep else rows
        logits = u.new_empty(runs, held, captions)
        root = None if q is None else u.new_empty(runs, held, captions)
        row_normalisers: list[Tensor] = []
        diagonals: list[Tensor] = []
        column_normaliser = u.new_full((runs, captions), -math.inf)
        for start, count in _bands(size, rows):
            at = start if keep else 0
            part, free = logits.narrow(1, at, count), scratch.narrow(1, 0, count)
            inverse = None if root is None else root.narrow(1, at, count)
            _logits_(factors, start, count, part, inverse)
            row_normalisers.append(_logsumexp(part, 2, free))
            column_normaliser = torch.logaddexp(column_normaliser, _logsumexp(part, 1, free))
            diagonals.append(part.diagonal(first + start, 1, 2).clone())
        row_normaliser, own = torch.cat(row_normalisers, 1), torch.cat(diagonals, 1)
        if over_all_rows is not None:
            column_normaliser = over_all_rows(column_normaliser)
        own_columns = column_normaliser.narrow(1, first, size)
        loss = ((row_normaliser - own) + (own_columns - own)).mean(1) / 2
        kept = (logits, root) if keep else (None, None)
        return loss, row_normaliser, column_normaliser, *kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        *factors, ctx.chunk_size, _, ctx.first, _ = inputs
        ctx.mark_non_differentiable(*(part for part in output[1:] if part is not None))
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*factors, *output[1:])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if upstream is None:
            return (None,) * 9
        how = (ctx.chunk_size, ctx.first, ctx.needs_input_grad[4])
        return *_Gradient.apply(upstream, *ctx.saved_tensors, *how), None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Any, Any]:
        return _over_runs(_CrossEntropy, info.batch_size, in_dims, inputs)


class _Gradient(torch.autograd.Function):
    """The backward pass, itself a function so that it can be vmapped. It has no derivative."""

    @staticmethod
    def forward(
        upstream: Tensor,
        u: Tensor,
        v: Tensor,
        c: Tensor | None,
        q: Tensor | None,
        m: Tensor | None,
        row_normaliser: Tensor,
        column_normaliser: Tensor,
        logits: Tensor | None,
        root: Tensor | None,
        chunk_size: int | None,
        first: int,
        masks_learn: bool,
    ) -> tuple[Tensor | None, ...]:
        factors = Factors(u, v, c, q, m)
        runs, size, captions = *u.shape[:2], v.shape[1]
        rows = _rows_at_a_time(u, chunk_size)
        du, dv = torch.empty_like(u), torch.zeros_like(v)
        dc = None if c is None else torch.zeros_like(c)
        dq = None if q is None else torch.empty_like(q)
        dm = torch.zeros_like(m) if m is not None and masks_learn else None
        upstream = upstream.reshape(runs, 1, 1) / (2 * size)
        row_normaliser = row_normaliser.unsqueeze(2)
        column_normaliser = column_normaliser.unsqueeze(1)
        again = 0 if logits is not None else 1 if q is None else 2
        scratch = [u.new_empty(runs, rows, captions) for _ in range(2 + again)]
        for start, count in _bands(size, rows):
            slope, other, *made = (part.narrow(1, 0, count) for part in scratch)
            if logits is None:
                part, inverse = made[0], None if q is None else made[1]
                _logits_(factors, start, count, part, inverse)
            else:
                part = logits.narrow(1, start, count)
                inverse = None if root is None else root.narrow(1, start, count)
            _exp_difference_(part, row_normaliser.narrow(1, start, count), slope)
            slope.add_(_exp_difference_(part, column_normaliser, other))
            slope.diagonal(first + start, 1, 2).sub_(2)
            slope.mul_(upstream)
            if inverse is not None:
                slope.mul_(inverse)
            torch.bmm(slope, v, out=du.narrow(1, start, count))
            dv.baddbmm_(slope.mT, u.narrow(1, start, count))
            if dc is not None:
                dc.add_(slope.sum(1))
            if inverse is None or q is None or m is None or dq is None:
                continue
            torch.mul(slope, part, out=other).mul_(inverse)
            torch.bmm(other, m, out=dq.narrow(1, start, count)).mul_(-0.5)
            if dm is not None:
                dm.baddbmm_(other.mT, q.narrow(1, start, count), alpha=-0.5)
        return du, dv, dc, dq, dm

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        """Nothing is kept."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Any, Any]:
        return _over_runs(_Gradient, info.batch_size, in_dims, inputs)


def _over_runs(
    function: type[torch.autograd.Function],
    count: int,
    in_dims: tuple[Any, ...],
    inputs: tuple[Any, ...],
) -> tuple[Any, Any]:
    """vmap of a function whose tensors all have one leading dimension: it becomes longer."""

    def joined(part: Any, dim: int | None) -> Any:
        if not isinstance(part, Tensor):
            return part
        moved = part.expand(count, *part.shape) if dim is None else part.movedim(dim, 0)
        return moved.flatten(0, 1)

    outputs = function.apply(*map(joined, inputs, in_dims))
    assert isinstance(outputs, tuple)
    return (
        tuple(None if part is None else part.unflatten(0, (count, -1)) for part in outputs),
        tuple(None if part is None else 0 for part in outputs),
    )

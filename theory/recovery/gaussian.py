"""Predictions K_ar (K_rr + alpha I)^-1 y_r of a Gaussian kernel, for many targets and penalties.

How a system is solved depends on the kernel (derived here):

    low rank       K = F F^T + E on m landmarks with trace E <= alpha / 2. As 0 <= E <= trace E, the
                   answer is that of a penalty that lies between alpha and 1.5 alpha in every
                   direction; one eigendecomposition of F^T F serves every alpha
    nearly I       the rows of K sum to at most 4, so K <= 4 I: a few conjugate gradients
    otherwise      one Cholesky factor for each alpha, shared by all targets

K_rr is held once, and once more while any penalty but the last is factored; K_ar is made 256 rows
at a time. Distances are taken in float64; K and its factor have the precision asked for.
"""

# pyright: basic

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.linalg import get_lapack_funcs
from torch import Tensor

from theory.errors import InputError
from theory.recovery.ridge import JITTER

CERTIFIED = 0.5
SUBSAMPLE = 256
MOST_ROW_SUM = 4.0
MOST_STEPS = 30
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}
ROWS = 256
LEAST_EXPONENT = -30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianKernel:
    """k(x, x') = exp(-gamma |x - x'|^2), as `gaussian` gives it.

    Attributes:
        gamma: one over the squared width, per unit of squared distance.
        landmarks: m of the low rank form; 0 goes without it.
        precision: of K and its factor.
    """

    gamma: float
    landmarks: int
    precision: torch.dtype

    def predict(
        self,
        x: Float[Tensor, "fit columns"],
        y: Float[Tensor, "fit targets"],
        new: Float[Tensor, "asked columns"],
        alphas: tuple[float, ...],
    ) -> Float[Tensor, "asked alphas targets"]:
        """Kernel ridge fitted on (x, y), at the rows `new`.

        Args:
            x: rows to fit.
            y: targets there.
            new: rows to predict.
            alphas: penalties, as scikit-learn's `KernelRidge` counts them.

        Raises:
            InputError: a penalty of 0, or too small for the kernel.
        """
        found = y.new_empty(len(new), len(alphas), y.shape[1])
        left = list(range(len(alphas)))
        features = self._features(x)
        if features is not None:
            columns = features(x)
            missing = float(len(x) - columns.square().sum())
            small = [i for i in left if missing <= CERTIFIED * alphas[i]]
            left = [i for i in left if i not in small]
            if small:
                weights = _low_rank(columns, y, y.new_tensor([alphas[i] for i in small]))
                found[:, small] = _in_parts(features, new, weights)
        if left:
            weights = self._weights(x, y, [alphas[i] for i in left])
            found[:, left] = _in_parts(lambda rows: self._entries(rows, x), new, weights)
        return found

    def _entries(self, left: Tensor, right: Tensor) -> Float[Tensor, "n m"]:
        return gaussian(left, right, gamma=self.gamma, precision=self.precision)

    def _weights(
        self,
        x: Float[Tensor, "fit columns"],
        y: Float[Tensor, "fit targets"],
        alphas: list[float],
    ) -> Float[Tensor, "fit alphas targets"]:
        """(K + alpha I)^-1 y for every alpha."""
        kernel = self._entries(x, x)
        if float(kernel.sum(1).max()) <= MOST_ROW_SUM:
            weights = _conjugate_gradients(kernel, y, y.new_tensor(alphas))
            if weights is not None:
                return weights
        solved = [_direct(kernel.clone(), y, alpha) for alpha in alphas[:-1]]
        return torch.stack([*solved, _direct(kernel, y, alphas[-1])], 1)

    def _features(self, x: Float[Tensor, "fit columns"]) -> Callable[[Tensor], Tensor] | None:
        """F with F F^T close to K; None where some rows show that it is not close enough."""
        if not 0 < 2 * self.landmarks <= len(x):
            return None
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).to(x.device)
        centres = x[order[: self.landmarks]]
        among = gaussian(centres, centres, gamma=self.gamma)
        among.diagonal().add_(JITTER)
        root = torch.linalg.cholesky(among)

        def features(rows: Tensor) -> Tensor:
            columns = gaussian(centres, rows, gamma=self.gamma)
            return torch.linalg.solve_triangular(root, columns, upper=False).T

        some = features(x[order[-SUBSAMPLE:]])
        missing = float((1 - some.square().sum(1)).mean()) * len(x)
        return features if missing <= CERTIFIED else None


def gaussian(
    left: Float[Tensor, "n columns"],
    right: Float[Tensor, "m columns"],
    *,
    gamma: float,
    precision: torch.dtype = torch.float64,
) -> Float[Tensor, "n m"]:
    """max(exp(-gamma |x - x'|^2), exp(-30)) for every pair of rows, rounded to `precision`.

    Smaller entries, and products of them, would be denormal numbers (below 1e-38 in float32), on
    which some processors are a hundred times slower; no score sees exp(-30) = 1e-13.

    >>> x = torch.tensor([[0.0], [1.0], [9.0]], dtype=torch.float64)
    >>> gaussian(x[:1], x, gamma=1.0)
    tensor([[1.0000e+00, 3.6788e-01, 9.3576e-14]], dtype=torch.float64)
    """
    # -gamma |x - x'|^2 = (2 x, -|x|^2, 1) (x', 1, -|x'|^2), scaled by gamma, in one product.
    left, right = left * gamma**0.5, right * gamma**0.5
    lengths, others = left.square().sum(1, True), right.square().sum(1, True)
    left = torch.cat([2 * left, -lengths, torch.ones_like(lengths)], 1)
    right = torch.cat([right, torch.ones_like(others), -others], 1).T
    kernel = left.new_empty(left.shape[0], right.shape[1], dtype=precision)
    for rows, part in zip(left.split(ROWS), kernel.split(ROWS), strict=True):
        part.copy_((rows @ right).clamp_(LEAST_EXPONENT, 0)).exp_()
    return kernel


def _in_parts(
    features: Callable[[Tensor], Tensor],
    rows: Float[Tensor, "n columns"],
    weights: Float[Tensor, "m alphas targets"],
) -> Float[Tensor, "n alphas targets"]:
    """features(rows) w, in the precision of w: its entries are large and cancel for small alpha."""
    w = weights.flatten(1)
    found = w.new_empty(len(rows), w.shape[1])
    for part, place in zip(rows.split(ROWS), found.split(ROWS), strict=True):
        torch.mm(features(part).to(w.dtype), w, out=place)
    return found.unflatten(1, weights.shape[1:])


def _low_rank(
    factor: Float[Tensor, "fit m"],
    y: Float[Tensor, "fit targets"],
    alphas: Float[Tensor, " alphas"],
) -> Float[Tensor, "m alphas targets"]:
    values, vectors = torch.linalg.eigh(factor.T @ factor)
    moments = vectors.T @ (factor.T @ y)
    shrunk = moments[:, None] / (values.clamp_min(0)[:, None, None] + alphas[None, :, None])
    return (vectors @ shrunk.flatten(1)).unflatten(1, shrunk.shape[1:])


def _direct(
    kernel: Float[Tensor, "n n"], y: Float[Tensor, "n targets"], alpha: float
) -> Float[Tensor, "n targets"]:
    """(K + alpha I)^-1 y by Cholesky, in float64 where float32 makes K + alpha I indefinite.

    A factor may overwrite one triangle of K; the second try reads the other one.
    """
    for precision, lower in ((kernel.dtype, True), (torch.float64, False)):
        kernel = kernel.to(precision)
        kernel.diagonal().fill_(1 + alpha)
        found = _cholesky_solution(kernel, y, lower=lower)
        if found is not None:
            return found
    raise InputError(
        f"the penalty is {alpha:g}",
        rule="the kernel plus the penalty on its diagonal is positive definite in float64",
        fix="give a larger penalty, such as 0.001",
    )


def _cholesky_solution(
    matrix: Float[Tensor, "n n"], y: Float[Tensor, "n targets"], *, lower: bool
) -> Float[Tensor, "n targets"] | None:
    """A^-1 y; None if A is indefinite.

    On the CPU by SciPy's LAPACK, which factors in place and about twice as fast as torch does.
    Transposed, a matrix in C order is one in LAPACK's order.
    """
    right = y.to(matrix.dtype)
    if matrix.device.type != "cpu":
        root, failed = torch.linalg.cholesky_ex(matrix)
        return None if int(failed) else torch.cholesky_solve(right, root).to(y.dtype)
    factor, solve = get_lapack_funcs(("potrf", "potrs"), (matrix.numpy(),))
    root, failed = factor(matrix.numpy().T, lower=lower, clean=False, overwrite_a=True)
    if failed:
        return None
    found, _ = solve(root, right.numpy(), lower=lower)
    return torch.from_numpy(found).to(y.dtype)


def _conjugate_gradients(
    kernel: Float[Tensor, "n n"],
    y: Float[Tensor, "n targets"],
    alphas: Float[Tensor, " alphas"],
) -> Float[Tensor, "n alphas targets"] | None:
    """w with |y - (K + alpha I) w| <= sqrt(eps) |y|, eps that of K; None if it takes too long."""
    shift = alphas.repeat_interleave(y.shape[1])
    residual = y.repeat(1, len(alphas))
    weights = torch.zeros_like(residual)
    direction = residual
    power = residual.square().sum(0)
    goal = TOLERANCE[kernel.dtype] ** 2 * power
    for _ in range(MOST_STEPS):
        acting = (kernel @ direction.to(kernel.dtype)).to(y.dtype) + shift * direction
        step = power / (direction * acting).sum(0).clamp_min(1e-300)
        weights = weights + step * direction
        residual = residual - step * acting
        left = residual.square().sum(0)
        if bool((left <= goal).all()):
            return weights.unflatten(1, (len(alphas), -1))
        direction = residual + left / power.clamp_min(1e-300) * direction
        power = left
    return None

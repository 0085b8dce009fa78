"""Predictions K_ar (K_rr + alpha I)^-1 y_r of a Gaussian kernel, for many targets and penalties.

How a system is solved depends on the kernel (derived here):

    low rank       K = F F^T + E on m landmarks with trace E <= alpha / 2. As 0 <= E <= trace E, the
                   answer is that of a penalty that lies between alpha and 1.5 alpha in every
                   direction; one eigendecomposition of F^T F serves every alpha
    nearly I       the rows of K sum to at most 4, so K <= 4 I: a few conjugate gradients
    otherwise      one Cholesky factor in float32 for each alpha, shared by all targets; `polish`
                   takes its rounding away by conjugate gradients in float64
"""

# pyright: basic

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from scipy.linalg import get_lapack_funcs
from torch import Tensor

from theory.recovery.ridge import JITTER, squared_distances

CERTIFIED = 0.5
SUBSAMPLE = 256
MOST_ROW_SUM = 4.0
MOST_STEPS = 30
ROWS_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class GaussianKernel:
    """K = exp(-gamma |x - x'|^2) on the rows of x.

    Attributes:
        x: rows to fit and rows to predict together.
        gamma: one over the squared width, per unit of squared distance.
        distances: |x - x'|^2 from all rows to at least those that are fitted, computed in float64
            and rounded to float32.
        landmarks: m of the low rank form; 0 goes without it.
    """

    x: Float[Tensor, "n columns"]
    gamma: float
    distances: Float[Tensor, "n fitted"]
    landmarks: int

    def predict(
        self,
        fit: Int[Tensor, " fit"],
        asked: Int[Tensor, " asked"],
        y: Float[Tensor, "fit targets"],
        alphas: tuple[float, ...],
        *,
        polish: bool,
    ) -> Float[Tensor, "asked alphas targets"]:
        """Kernel ridge fitted on the rows `fit`, at the rows `asked`.

        Args:
            fit: row numbers.
            asked: row numbers.
            y: targets on the rows `fit`.
            alphas: penalties, as scikit-learn's `KernelRidge` counts them.
            polish: refine float32 solutions in float64.
        """
        found = y.new_empty(len(asked), len(alphas), y.shape[1])
        left = list(range(len(alphas)))
        columns = self._factor
        if columns is not None:
            missing = float(len(fit) - columns[fit].square().sum())
            small = [i for i in left if missing <= CERTIFIED * alphas[i]]
            left = [i for i in left if i not in small]
            if small:
                chosen = y.new_tensor([alphas[i] for i in small])
                found[:, small] = _low_rank(columns[fit], columns[asked], y, chosen)
        if left:
            within, across = _block(self._kernel, fit, fit), _block(self._kernel, asked, fit)
            shifts = y.new_tensor([alphas[i] for i in left])
            weights = None
            if float(within.sum(1).max()) <= MOST_ROW_SUM:
                weights = _conjugate_gradients(within, y, shifts)
            if weights is None:
                weights = torch.stack(
                    [_direct(within, y, shift, polish=polish) for shift in shifts], 1
                )
            found[:, left] = _product(across, weights.flatten(1)).unflatten(1, weights.shape[1:])
        return found

    @cached_property
    def _kernel(self) -> Float[Tensor, "n fitted"]:
        """K in the precision of the distances, with entries no smaller than exp(-30) = 1e-13.

        Entries and products of entries below 1e-38 would be denormal numbers, on which some
        processors are a hundred times slower; no score sees 1e-13.
        """
        return self.distances.mul(-self.gamma).clamp_min_(-30).exp_()

    @cached_property
    def _factor(self) -> Float[Tensor, "n m"] | None:
        """F with F F^T close to K; None where some rows show that it is not close enough."""
        if not 0 < 2 * self.landmarks <= len(self.x):
            return None
        order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(0))
        order = order.to(self.x.device)
        centres = self.x[order[: self.landmarks]]
        among = torch.exp(-self.gamma * squared_distances(centres, centres))
        among.diagonal().add_(JITTER)
        root = torch.linalg.cholesky(among)

        def features(x: Tensor) -> Tensor:
            columns = torch.exp(-self.gamma * squared_distances(centres, x))
            return torch.linalg.solve_triangular(root, columns, upper=False).T

        some = features(self.x[order[-SUBSAMPLE:]])
        missing = float((1 - some.square().sum(1)).mean()) * len(self.x)
        return features(self.x) if missing <= CERTIFIED else None


def _block(matrix: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A copy of some rows and columns; runs of consecutive numbers are sliced, which is quicker."""
    for dimension, places in enumerate((rows, columns)):
        first, last = int(places[0]), int(places[-1])
        if last - first + 1 == len(places):
            matrix = matrix.narrow(dimension, first, len(places))
        else:
            matrix = matrix.index_select(dimension, places)
    return matrix


def _product(kernel: Float[Tensor, "n m"], w: Float[Tensor, "m any"]) -> Float[Tensor, "n any"]:
    """K w in the precision of w: its entries are large and cancel when alpha is small."""
    return torch.cat([part.to(w.dtype) @ w for part in kernel.split(ROWS_AT_ONCE)])


def _low_rank(
    factor: Float[Tensor, "fit m"],
    asked: Float[Tensor, "asked m"],
    y: Float[Tensor, "fit targets"],
    alphas: Float[Tensor, " alphas"],
) -> Float[Tensor, "asked alphas targets"]:
    values, vectors = torch.linalg.eigh(factor.T @ factor)
    moments = vectors.T @ (factor.T @ y)
    shrunk = moments[:, None] / (values.clamp_min(0)[:, None, None] + alphas[None, :, None])
    return (asked @ (vectors @ shrunk.flatten(1))).unflatten(1, shrunk.shape[1:])


@dataclass(frozen=True, slots=True)
class _Cholesky:
    """L L^T = K + alpha I in float32; in float64 where rounding makes that indefinite.

    On the CPU by SciPy's LAPACK, which factors in place and about twice as fast as torch does.
    """

    root: Float[Tensor, "n n"]

    @classmethod
    def of(cls, kernel: Float[Tensor, "n n"], alpha: float) -> "_Cholesky":
        shifted = kernel.clone()
        shifted.diagonal().add_(alpha)
        if shifted.device.type == "cpu":
            # Transposed, a symmetric matrix in C order is one in LAPACK's order.
            matrix = shifted.numpy().T
            (potrf,) = get_lapack_funcs(("potrf",), (matrix,))
            _, failed = potrf(matrix, lower=True, clean=False, overwrite_a=True)
            root = shifted
        else:
            root, failed = torch.linalg.cholesky_ex(shifted)
        if int(failed) == 0:
            return cls(root)
        assert kernel.dtype == torch.float32
        return cls.of(kernel.double(), alpha)

    def solve(self, y: Float[Tensor, "n targets"]) -> Float[Tensor, "n targets"]:
        right = y.to(self.root.dtype)
        if y.device.type != "cpu":
            return torch.cholesky_solve(right, self.root).to(y.dtype)
        (potrs,) = get_lapack_funcs(("potrs",), (self.root.numpy(),))
        found, _ = potrs(self.root.numpy().T, right.numpy(), lower=True)
        return torch.from_numpy(found).to(y.dtype)


def _direct(
    kernel: Float[Tensor, "n n"],
    y: Float[Tensor, "n targets"],
    alpha: Float[Tensor, ""],
    *,
    polish: bool,
) -> Float[Tensor, "n targets"]:
    factor = _Cholesky.of(kernel, float(alpha))
    weights = _conjugate_gradients(kernel, y, alpha[None], factor) if polish else None
    return factor.solve(y) if weights is None else weights[:, 0]


def _conjugate_gradients(
    kernel: Float[Tensor, "n n"],
    y: Float[Tensor, "n targets"],
    alphas: Float[Tensor, " alphas"],
    factor: _Cholesky | None = None,
    *,
    tolerance: float = 1e-3,
) -> Float[Tensor, "n alphas targets"] | None:
    """w with |y - (K + alpha I) w| <= tolerance |y|, preconditioned by a factor if there is one.

    None if it takes too long. Predictions on the fitted rows are off by at most as much.
    """
    shift = alphas.repeat_interleave(y.shape[1])

    def act(w: Tensor) -> Tensor:
        image = _product(kernel, w) if factor else (kernel @ w.to(kernel.dtype)).to(w.dtype)
        return image + shift * w

    residual = y.repeat(1, len(alphas))
    weights = torch.zeros_like(residual)
    change = residual if factor is None else factor.solve(residual)
    direction = change
    power = (residual * change).sum(0)
    goal = tolerance * residual.square().sum(0).sqrt()
    for _ in range(MOST_STEPS):
        acting = act(direction)
        step = power / (direction * acting).sum(0).clamp_min(1e-300)
        weights = weights + step * direction
        residual = residual - step * acting
        if bool((residual.square().sum(0).sqrt() <= goal).all()):
            return weights.unflatten(1, (len(alphas), -1))
        change = residual if factor is None else factor.solve(residual)
        next_power = (residual * change).sum(0)
        direction = change + next_power / power.clamp_min(1e-300) * direction
        power = next_power
    return None

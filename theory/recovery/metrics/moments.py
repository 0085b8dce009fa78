"""n, sum x and sum x x^T of x = (z, zhat): all that linear metrics need, added up over batches.

Sums of sums are sums, so several processes accumulate to the numbers of one.
"""

# pyright: basic

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from theory.errors import InputError
from theory.recovery.metrics.accumulator import Accumulator, summed


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """First and second moments of z and zhat together.

    Attributes:
        count: rows seen.
        total: [d + D].
        products: [d + D, d + D].
        latents: d.
    """

    count: Tensor
    total: Float[Tensor, " both"]
    products: Float[Tensor, "both both"]
    latents: int

    @classmethod
    def of(cls, z: Float[Tensor, "n d"], zhat: Float[Tensor, "n D"]) -> "Moments":
        both = torch.cat([z, zhat.to(z.device)], 1).detach().double()
        return cls(
            count=torch.tensor(len(both), dtype=torch.float64, device=both.device),
            total=both.sum(0),
            products=both.T @ both,
            latents=z.shape[1],
        )

    def correlation(self) -> Float[Tensor, "both both"]:
        """Pearson correlations; 0 with a coordinate that is constant.

        Raises:
            InputError: fewer than 2 rows, NaN or infinity.
        """
        if self.count < 2:
            raise InputError(
                f"{int(self.count)} rows",
                rule="a correlation needs 2 or more samples",
                fix="update with more samples before computing",
            )
        if not bool(torch.isfinite(self.products).all()):
            raise InputError(
                "z or zhat holds NaN or infinity", rule="samples are finite", fix="mend the encoder"
            )
        mean = self.total / self.count
        covariance = self.products / self.count - torch.outer(mean, mean)
        variance = covariance.diagonal()
        # What is left by cancellation of a constant is no variance.
        varies = variance > 1e-12 * self.products.diagonal() / self.count
        scale = torch.where(varies, variance.clamp_min(0).sqrt(), torch.inf)
        found = (covariance / torch.outer(scale, scale)).clamp(-1, 1)
        return found.fill_diagonal_(1.0)


class MomentMetric(Accumulator):
    """Accumulates moments; a subclass computes its value from them.

    Args:
        latents: d.
        coordinates: D.
        device: where batches come from.
    """

    def __init__(
        self, latents: int, coordinates: int, *, device: torch.device | str = "cpu"
    ) -> None:
        self.latents = latents
        self.coordinates = coordinates
        self.device = torch.device(device)
        self.reset()

    def reset(self) -> None:
        both = self.latents + self.coordinates
        self._moments = Moments.of(
            torch.zeros(0, self.latents, device=self.device),
            torch.zeros(0, both - self.latents, device=self.device),
        )

    def update(self, z: Float[Tensor, "rows d"], zhat: Float[Tensor, "others D"]) -> None:
        """Add a batch.

        Args:
            z: latents [n, d].
            zhat: code [n, D].

        Raises:
            InputError: shapes other than those the metric was made for.
        """
        if z.shape != (len(zhat), self.latents) or zhat.shape[1] != self.coordinates:
            raise InputError(
                f"z has shape {tuple(z.shape)} and zhat {tuple(zhat.shape)}",
                rule=f"this metric was made for {self.latents} and {self.coordinates} columns",
                fix="give batches of the same rows",
            )
        batch = Moments.of(z, zhat)
        self._moments = Moments(
            count=self._moments.count + batch.count,
            total=self._moments.total + batch.total,
            products=self._moments.products + batch.products,
            latents=self.latents,
        )

    def moments(self) -> Moments:
        """The moments of all rows seen, by all processes."""
        return Moments(
            count=summed(self._moments.count),
            total=summed(self._moments.total),
            products=summed(self._moments.products),
            latents=self.latents,
        )

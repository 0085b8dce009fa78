"""Block recovery of everything seen so far: the accumulating twin of `block_recovery`."""

# pyright: basic

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from theory.captions import CaptionFamily
from theory.errors import InputError
from theory.recovery.inputs import Regression
from theory.recovery.metrics.accumulator import Accumulator, gathered
from theory.recovery.recovery import Recovery, block_recovery


class BlockRecovery(Accumulator):
    """Keeps z and zhat, and measures all blocks at the end.

    Args:
        family: the captions.
        masks: estimated masks [n captions, D].
        threshold: see `block_recovery`.
        regression: see `block_recovery`.
        seed: see `block_recovery`.
        device: where the rows are kept.
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        family: CaptionFamily,
        masks: Tensor,
        *,
        threshold: float = 0.95,
        regression: Regression | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.family = family
        self.masks = masks
        self.threshold = threshold
        self.regression = regression
        self.seed = seed
        self.device = torch.device(device)
        self.reset()

    def reset(self) -> None:
        self._z: list[Tensor] = []
        self._zhat: list[Tensor] = []

    def update(self, z: Float[Tensor, "rows d"], zhat: Float[Tensor, "others D"]) -> None:
        """Add a batch of latents [n, d] and code [n, D].

        Raises:
            InputError: shapes other than those of the family and its masks.
        """
        if z.shape != (len(zhat), self.family.dimension) or zhat.shape[1] != self.masks.shape[1]:
            raise InputError(
                f"z has shape {tuple(z.shape)} and zhat {tuple(zhat.shape)}",
                rule=f"latents have {self.family.dimension} columns and codes "
                f"{self.masks.shape[1]}, and both the same rows",
                fix="give batches of the same rows",
            )
        self._z.append(z.detach().to(self.device, torch.float64))
        self._zhat.append(zhat.detach().to(self.device, torch.float64))

    def recovery(self) -> Recovery:
        """The whole answer, for the rows of all processes; one without a batch has no rows.

        Raises:
            InputError: too few rows, NaN or infinity; on every process alike.
        """
        none = torch.zeros(0, dtype=torch.float64, device=self.device)
        return block_recovery(
            gathered(torch.cat([none.reshape(0, self.family.dimension), *self._z])),
            gathered(torch.cat([none.reshape(0, self.masks.shape[1]), *self._zhat])),
            family=self.family,
            masks=self.masks,
            threshold=self.threshold,
            regression=self.regression,
            seed=self.seed,
        )

    def compute(self) -> dict[str, Any]:
        """Shares of promised blocks recovered and of other blocks kept apart; worst scores."""
        found = self.recovery()
        promised = [row for row in found.blocks if row.promised]
        others = [row for row in found.blocks if not row.promised]
        return {
            "recovered": _share([row.verdict.as_predicted for row in promised]),
            "entangled": _share([row.verdict.as_predicted for row in others]),
            "completeness": min(row.completeness.worst for row in promised),
            "purity": min(row.purity.worst for row in promised),
        }


def _share(values: list[bool]) -> float:
    return sum(values) / len(values) if values else 1.0

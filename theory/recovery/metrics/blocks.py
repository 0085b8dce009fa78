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
    ) -> None:
        self.family = family
        self.masks = masks
        self.threshold = threshold
        self.regression = regression
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        self._z: list[Tensor] = []
        self._zhat: list[Tensor] = []

    def update(self, z: Float[Tensor, "n d"], zhat: Float[Tensor, "n D"]) -> None:
        """Add a batch of latents [n, d] and code [n, D]."""
        self._z.append(z.detach())
        self._zhat.append(zhat.detach())

    def recovery(self) -> Recovery:
        """The whole answer, for the rows of all processes.

        Raises:
            InputError: no batch was given to this process, or too few rows to all.
        """
        if not self._z:
            raise InputError(
                "no batch was given",
                rule="a metric is computed after updates",
                fix="call update on every process first",
            )
        return block_recovery(
            gathered(torch.cat(self._z)),
            gathered(torch.cat(self._zhat)),
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

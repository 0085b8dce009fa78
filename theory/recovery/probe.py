"""A two-layer perceptron as a second opinion: f(x) = W_3 g(W_2 g(W_1 x)), g = GELU.

Kernel ridge needs many samples for rough functions of many inputs; a network does not share that
weakness. Where the two disagree, the larger R2 is the better lower bound.
"""

# pyright: basic

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from theory.recovery.inputs import Inputs, Regression
from theory.recovery.samples import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe(Regression):
    """Adam with cosine decay on the fit rows; the weights best on the choose rows are kept.

    Attributes:
        width: of both hidden layers.
        steps: of Adam.
        batch: rows a step.
        rate: of learning, at the start.
        seed: of weights and batches.
    """

    width: int = 256
    steps: int = 2000
    batch: int = 512
    rate: float = 3e-3
    seed: int = 0

    def predict(
        self, inputs: Inputs, targets: Float[Tensor, "n targets"], split: Split
    ) -> Float[Tensor, "test targets"]:
        """The targets on the test rows; see `Regression`."""
        x = torch.cat([inputs.standard, inputs.ranked], 1).float()
        y = targets.float()
        generator = torch.Generator().manual_seed(self.seed)
        sizes = [x.shape[1], self.width, self.width, y.shape[1]]
        weights: list[Tensor] = []
        for width, outputs in pairwise(sizes):
            normal = torch.randn(width, outputs, generator=generator)
            scaled = (normal * math.sqrt(1 / width)).to(x.device)
            weights += [scaled.requires_grad_(), torch.zeros(outputs).to(x.device).requires_grad_()]
        optimiser = torch.optim.Adam(weights, lr=self.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)

        best, lowest = [weight.detach().clone() for weight in weights], math.inf
        with torch.enable_grad():
            for step in range(1, self.steps + 1):
                drawn = torch.randint(len(split.fit), (self.batch,), generator=generator)
                rows = split.fit[drawn.to(x.device)]
                loss = (_forward(x[rows], weights) - y[rows]).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                if step % 100 == 0 or step == self.steps:
                    with torch.no_grad():
                        guess = _forward(x[split.choose], weights)
                        error = float((guess - y[split.choose]).square().mean())
                    if error < lowest:
                        best, lowest = [weight.detach().clone() for weight in weights], error
        with torch.no_grad():
            return _forward(x[split.test], best).to(targets.dtype)


def _forward(x: Float[Tensor, "rows columns"], weights: list[Tensor]) -> Tensor:
    for place in range(0, len(weights) - 2, 2):
        x = torch.nn.functional.gelu(x @ weights[place] + weights[place + 1])
    return x @ weights[-2] + weights[-1]

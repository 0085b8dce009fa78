"""e_I and e_T: what an image shows and no caption says, and how a caption is said.

Condition C2 asks that the two be independent: noise that both share enters the code.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from simulators.randomness import LARGEST_UNIFORM
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """Normal noise of both modalities; `shared` breaks the independence by a degree.

    Coordinate j of e_T equals coordinate j of e_I wherever e_I lies below its `shared`-quantile,
    and is independent of it, above that quantile, elsewhere. Both stay normal at every degree.

    Attributes:
        image: size of e_I.
        text: size of e_T.
        scale: standard deviation of both.
        shared: 0 (private) to 1 (the same noise).
    """

    image: int = 2
    text: int = 2
    scale: float = 0.5
    shared: float = 0.0

    def __post_init__(self) -> None:
        if min(self.image, self.text) < 0 or not self.scale > 0:
            raise InputError(
                f"noise of sizes {self.image} and {self.text} and scale {self.scale}",
                rule="sizes are counts and the scale is a standard deviation",
                fix="give sizes of 0 or more and a positive scale",
            )
        if not 0 <= self.shared <= 1:
            raise InputError(
                f"shared={self.shared}",
                rule="a condition is broken by a degree from 0 (holds) to 1",
                fix="give 0 <= shared <= 1",
            )

    def of_image(self, u: Float[Tensor, "n a"]) -> Float[Tensor, "n a"]:
        """e_I from its uniforms."""
        return self.scale * torch.special.ndtri(u)

    def of_text(
        self, u: Float[Tensor, "n b"], u_image: Float[Tensor, "n a"]
    ) -> Float[Tensor, "n b"]:
        """e_T from its own uniforms, and from the image's where they are shared."""
        if self.shared:
            common = min(self.image, self.text)
            theirs, ours = u_image[:, :common], u[:, :common]
            above = (self.shared + (1 - self.shared) * ours).clamp(max=LARGEST_UNIFORM)
            u = torch.cat([torch.where(theirs < self.shared, theirs, above), u[:, common:]], dim=1)
        return self.scale * torch.special.ndtri(u)

"""i = g_I(z_I, e_I), t = g_T(z_I * m, m, e_T) as vectors (SmartCLIP, CVPR 2025, Section 4).

The caption vector also says which concepts it mentions (+1 or -1 each), so that t determines m, as
condition C1 asks.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from simulators.captions import CaptionProcess, Weighted
from simulators.latents import Gaussian, Latents
from simulators.mixings import Embedded, Mixing, Smooth
from simulators.noise import Noise
from simulators.world import Batch, Truth, World
from theory.captions import CaptionFamily
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorTruth(Truth):
    """The truth of a `VectorWorld`.

    Attributes:
        image: g_I on [z, e_I], with inverse and Jacobian.
        text: g_T on [z * m, +-1 per concept, e_T], with inverse and Jacobian.
    """

    image: Mixing
    text: Mixing


class VectorWorld(World):
    """Images and captions are vectors; every part of the process is known and can be exchanged.

    Args:
        family: the captions with their weights, or a process over captions.
        latents: p(z); independent standard normals by default.
        image_noise: size of e_I.
        text_noise: size of e_T.
        noise_scale: standard deviation of both noises.
        shared_noise: 0 (the noises are independent) to 1 (they are the same; breaks C2).
        image_dimension: size of an image; d + image_noise by default, and not below.
        image_mixing: g_I; a `Smooth` one by default.
        text_mixing: g_T; a `Smooth` one by default.
        seed: of the default mixings (samples have seeds of their own).

    Raises:
        InputError: sizes that do not fit each other.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> world = VectorWorld(family)
    >>> batch = world.sample(4, seed=0)
    >>> batch.z.shape, batch.image.shape, batch.text.shape
    (torch.Size([4, 3]), torch.Size([4, 5]), torch.Size([4, 8]))
    """

    def __init__(
        self,
        family: CaptionFamily | CaptionProcess,
        *,
        latents: Latents | None = None,
        image_noise: int = 2,
        text_noise: int = 2,
        noise_scale: float = 0.5,
        shared_noise: float = 0.0,
        image_dimension: int | None = None,
        image_mixing: Mixing | None = None,
        text_mixing: Mixing | None = None,
        seed: int = 0,
    ) -> None:
        process = Weighted(family) if isinstance(family, CaptionFamily) else family
        known = process.family
        super().__init__(
            process,
            latents=Gaussian(known.dimension) if latents is None else latents,
            noise=Noise(image=image_noise, text=text_noise, scale=noise_scale, shared=shared_noise),
        )
        self._masks = torch.tensor(known.dimension_masks, dtype=torch.float64)
        self._signs = 2 * torch.tensor(known.matrix, dtype=torch.float64) - 1
        inputs = known.dimension + image_noise
        if image_mixing is None:
            image_mixing = Smooth(inputs, seed=2 * seed)
            if image_dimension not in (None, inputs):
                image_mixing = Embedded(image_mixing, image_dimension, seed=2 * seed)
        self._image = _fitting(image_mixing, inputs, image_dimension, "image")
        inputs = known.dimension + len(known.concepts) + text_noise
        self._text = _fitting(
            text_mixing or Smooth(inputs, seed=2 * seed + 1), inputs, None, "text"
        )

    @property
    def image_dimension(self) -> int:
        """Size of an image."""
        return self._image.outputs

    @property
    def text_dimension(self) -> int:
        """Size of a caption."""
        return self._text.outputs

    @property
    def truth(self) -> VectorTruth:
        return VectorTruth(
            family=self.family, latents=self.latents, image=self._image, text=self._text
        )

    def _render(
        self, z: Float[Tensor, "n d"], image_noise: Float[Tensor, "n a"]
    ) -> Float[Tensor, "n i"]:
        return self._image(torch.cat([z, image_noise], dim=1))

    def say(
        self,
        z: Float[Tensor, "n d"],
        caption: Int64[Tensor, " n"],
        text_noise: Float[Tensor, "n b"],
    ) -> Float[Tensor, "n t"]:
        masked = z * self._masks.index_select(0, caption)
        return self._text(torch.cat([masked, self._signs.index_select(0, caption), text_noise], 1))

    def tokens(self, batch: Batch) -> tuple[Float[Tensor, "n k w"], Bool[Tensor, "n k"]]:
        """The caption as a set of words instead of a vector, one word a mentioned concept.

        Word k is [one-hot of k, z_k, zeros up to the largest concept].

        Returns:
            The words [N, K, K + max d_k], and which of them the caption holds [N, K]; the others
            are zero.
        """
        K, widest = len(self.family.concepts), max(self.family.sizes)
        present = torch.tensor(self.family.matrix, device=batch.z.device)[batch.caption]
        words = torch.zeros(len(batch), K, K + widest, device=batch.z.device)
        for k, part in enumerate(batch.z.split(self.family.sizes, dim=1)):
            words[:, k, k] = 1
            words[:, k, K : K + part.shape[1]] = part
        return words * present[:, :, None], present


def _fitting(mixing: Mixing, inputs: int, outputs: int | None, which: str) -> Mixing:
    if mixing.inputs != inputs:
        raise InputError(
            f"an {which} mixing of {mixing.inputs} inputs",
            rule=f"the {which} has {inputs} causes, concepts and noise together",
            fix=f"give a mixing of {inputs} inputs",
        )
    if outputs not in (None, mixing.outputs):
        raise InputError(
            f"image_dimension={outputs} and a mixing of {mixing.outputs} outputs",
            rule="a mixing that is given decides the size of the image",
            fix="leave one of the two out",
        )
    return mixing

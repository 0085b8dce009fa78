"""i = g_I(z, e_I), t = g_T(z * m, e_T): what a check asks of a world, and a table of its samples.

Paper: SmartCLIP, CVPR 2025, section 4. `simulators` has worlds; anything else with these methods,
or a table of samples alone, can be checked as well.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from theory.captions import CaptionFamily
from theory.errors import InputError


@runtime_checkable
class Sampled(Protocol):
    """n rows of (z, m, e_I, e_T), as anything NumPy can read: arrays, or tensors on the host."""

    @property
    def z(self) -> ArrayLike: ...
    @property
    def caption(self) -> ArrayLike: ...
    @property
    def image_noise(self) -> ArrayLike: ...
    @property
    def text_noise(self) -> ArrayLike: ...


@runtime_checkable
class CheckableWorld(Protocol):
    """A law of (z, m, e_I, e_T) that can be sampled, and the two generators as functions."""

    @property
    def family(self) -> CaptionFamily:
        """C and p(m)."""
        ...

    def sample(self, n: int, *, seed: int) -> Sampled:
        """n independent rows; the same for the same seed."""
        ...

    def image_of(self, causes: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n p"]:
        """g_I on rows [z, e_I], flattened images, in double precision."""
        ...

    def text_of(self, causes: Float[np.ndarray, "n c"], caption: int) -> Float[np.ndarray, "n q"]:
        """g_T( . , m) on rows [z, e_T], m the mask of one caption, in double precision."""
        ...

    def supported(self, z: Float[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
        """Which rows lie in the support of p(z)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Observations:
    """n rows of (z, m, e_I, e_T) with the captions that m counts.

    Attributes:
        family: the captions, with the layout of z.
        z: latents [n, d].
        caption: m, as an index into `family.captions` [n].
        image_noise: e_I [n, a]; no columns where it is unknown.
        text_noise: e_T [n, b]; no columns where it is unknown.

    Raises:
        InputError: shapes that do not fit, values that are not finite, a caption out of range.

    Source: SmartCLIP, CVPR 2025, section 4.

    >>> family = CaptionFamily.from_captions([["a"], ["b"]])
    >>> Observations.of(family, z=[[0.1, 0.2], [0.3, 0.4]], caption=[0, 1]).image_noise.shape
    (2, 0)
    """

    family: CaptionFamily
    z: Float[np.ndarray, "n d"]
    caption: Int[np.ndarray, " n"]
    image_noise: Float[np.ndarray, "n a"]
    text_noise: Float[np.ndarray, "n b"]

    @classmethod
    def of(
        cls,
        family: CaptionFamily,
        *,
        z: ArrayLike,
        caption: ArrayLike,
        image_noise: ArrayLike | None = None,
        text_noise: ArrayLike | None = None,
    ) -> "Observations":
        """Rows from arrays, tensors or lists, checked by name."""
        latents, captions = np.asarray(z, dtype=float), np.asarray(caption)
        if latents.shape != (captions.size, family.dimension) or captions.ndim != 1:
            raise InputError(
                f"z has shape {latents.shape} and caption {captions.shape}",
                rule=f"a row has {family.dimension} latent dimensions and one caption",
                fix=f"give z [n, {family.dimension}] and caption [n]",
            )
        if captions.dtype.kind not in "iu":
            raise InputError(
                f"captions are of kind {captions.dtype}",
                rule="caption is an index into family.captions",
                fix="give whole numbers",
            )
        if captions.size and not 0 <= captions.min() <= captions.max() < len(family.captions):
            raise InputError(
                f"captions run from {captions.min()} to {captions.max()}",
                rule="caption is an index into family.captions",
                fix=f"use 0 to {len(family.captions) - 1}",
            )
        noises: list[Float[np.ndarray, "n a"]] = []
        for name, given in (("the image noise", image_noise), ("the text noise", text_noise)):
            noise = np.empty((len(latents), 0)) if given is None else np.asarray(given, dtype=float)
            if noise.ndim != 2 or len(noise) != len(latents):
                raise InputError(
                    f"{name} has shape {noise.shape}",
                    rule="each row has its own noise",
                    fix=f"give [{len(latents)}, size]",
                )
            noises.append(noise)
        for name, values in (("z", latents), ("image noise", noises[0]), ("text noise", noises[1])):
            if not np.all(np.isfinite(values)):
                raise InputError(
                    f"{name} holds NaN or infinity",
                    rule="checks need finite numbers",
                    fix="drop those rows",
                )
        return cls(
            family=family, z=latents, caption=captions, image_noise=noises[0], text_noise=noises[1]
        )

    @classmethod
    def from_world(cls, world: CheckableWorld, samples: int, *, seed: int) -> "Observations":
        """Rows sampled from a world."""
        batch = world.sample(samples, seed=seed)
        return cls.of(
            world.family,
            z=batch.z,
            caption=batch.caption,
            image_noise=batch.image_noise,
            text_noise=batch.text_noise,
        )

    def __len__(self) -> int:
        return len(self.z)

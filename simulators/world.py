"""A world: sample i of seed s as a pure function of (s, i), and the exact truth behind it.

i = g_I(z_I, e_I), t = g_T(z_I * m, e_T) (SmartCLIP, CVPR 2025, Section 4).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from simulators.captions import CaptionProcess, Mentions, Weighted
from simulators.latents import Latents
from simulators.noise import Noise
from simulators.randomness import Stream, uniforms
from theory.captions import CaptionFamily
from theory.concepts import Concept
from theory.errors import InputError

CHUNK = 16_384
"""Rows made at once: what fits in the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """N samples.

    Attributes:
        z: z_I, the latents [N, d], float32.
        caption: index into `family.captions` [N], int64: what the caption mentions.
        image: i = g_I(z_I, e_I) [N, ...], float32.
        text: t = g_T(z_T, e_T) [N, ...], float32, or N sentences.
        image_noise: e_I [N, a], float32: what the image shows and no caption mentions.
        text_noise: e_T [N, b], float32: how the caption is put.
    """

    z: Float[Tensor, "n d"]
    caption: Int64[Tensor, " n"]
    image: Float[Tensor, "n ..."]
    text: Float[Tensor, "n t"] | list[str]
    image_noise: Float[Tensor, "n a"]
    text_noise: Float[Tensor, "n b"]

    @property
    def latents(self) -> Float[Tensor, "n d"]:
        return self.z

    @property
    def sentences(self) -> list[str]:
        """The captions of a world that speaks in words.

        Raises:
            InputError: its captions are vectors.
        """
        if not isinstance(self.text, list):
            raise InputError(
                "captions that are vectors",
                rule="this world does not speak in words",
                fix="read `text`",
            )
        return self.text

    def __len__(self) -> int:
        return len(self.z)

    def to(self, device: torch.device | str | None) -> "Batch":
        """The same batch with its tensors on a device."""
        return replace(
            self,
            z=self.z.to(device),
            caption=self.caption.to(device),
            image=self.image.to(device),
            text=self.text if isinstance(self.text, list) else self.text.to(device),
            image_noise=self.image_noise.to(device),
            text_noise=self.text_noise.to(device),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What an encoder is asked to find.

    Attributes:
        family: the captions, with p(m) as `family.weights`.
        latents: p(z), with density and support.
    """

    family: CaptionFamily
    latents: Latents

    @property
    def sizes(self) -> tuple[int, ...]:
        """d_1, ..., d_K."""
        return self.family.sizes


class World(ABC):
    """Images and captions with known concepts behind them.

    A subclass says how z and e_I become an image and how a caption is put.

    Args:
        captions: the family, or a process that samples from one.
        latents: p(z).
        noise: sizes and law of e_I and e_T.

    Raises:
        InputError: the latents do not have the family's dimension.
    """

    def __init__(
        self, captions: CaptionFamily | CaptionProcess, *, latents: Latents, noise: Noise
    ) -> None:
        self.captions = Weighted(captions) if isinstance(captions, CaptionFamily) else captions
        self.latents = latents
        self.noise = noise
        if latents.dimension != self.family.dimension:
            raise InputError(
                f"latents of dimension {latents.dimension} for a family of {self.family.dimension}",
                rule="the concepts lay out the latents: d = sum of the sizes",
                fix=f"make latents of dimension {self.family.dimension}",
            )

    @property
    def family(self) -> CaptionFamily:
        """The captions with their weights p(m)."""
        return self.captions.family

    @property
    @abstractmethod
    def truth(self) -> Truth:
        """Family, sizes, laws and generators."""

    def render(
        self, z: Float[Tensor, "n d"], image_noise: Float[Tensor, "n a"]
    ) -> Float[Tensor, "n ..."]:
        """i = g_I(z, e_I) in float64 or as pictures, differentiable where g_I is.

        Args:
            z: latents on any device.
            image_noise: e_I on the same device.

        Returns:
            One image a row, on that device.
        """
        return self._render(z.cpu().double(), image_noise.cpu().double()).to(z.device)

    @abstractmethod
    def _render(
        self, z: Float[Tensor, "n d"], image_noise: Float[Tensor, "n a"]
    ) -> Float[Tensor, "n ..."]:
        """`render` on the host, in float64."""

    @abstractmethod
    def say(
        self,
        z: Float[Tensor, "n d"],
        caption: Int64[Tensor, " n"],
        text_noise: Float[Tensor, "n b"],
    ) -> Float[Tensor, "n t"] | list[str]:
        """t = g_T(z * m, e_T), m the mask of each row's caption.

        Args:
            z: what is said of the concepts.
            caption: index into the family.
            text_noise: e_T, how it is said.
        """

    def image_of(self, causes: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n p"]:
        """g_I on rows [z, e_I] in NumPy, flattened: what `theory.conditions` asks."""
        rows = torch.from_numpy(np.ascontiguousarray(causes, dtype=np.float64))
        d = self.family.dimension
        return self.render(rows[:, :d], rows[:, d:]).double().flatten(1).numpy()

    def text_of(self, causes: Float[np.ndarray, "n c"], caption: int) -> Float[np.ndarray, "n q"]:
        """g_T( . , m) on rows [z, e_T] in NumPy, m the mask of one caption.

        Raises:
            InputError: the captions of this world are words.
        """
        rows = torch.from_numpy(np.ascontiguousarray(causes, dtype=np.float64))
        d = self.family.dimension
        text = self.say(rows[:, :d], torch.full((len(rows),), caption), rows[:, d:])
        if isinstance(text, list):
            raise InputError(
                f"the captions of {type(self).__name__} as vectors",
                rule="this world speaks in words",
                fix="read `text` of a batch",
            )
        return text.double().numpy()

    def supported(self, z: Float[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
        """Which rows lie in the support of p(z), by its exact density."""
        density = self.latents.log_density(torch.from_numpy(np.ascontiguousarray(z)).double())
        return (density > -torch.inf).numpy()

    def sample(
        self,
        n: int,
        *,
        seed: int,
        start: int = 0,
        draw: int = 0,
        device: torch.device | str | None = None,
    ) -> Batch:
        """Samples start, ..., start + n - 1 of a seed.

        Everything is computed on the host, whatever the device. Latents, captions, noises, texts
        in words and rendered images are the same to the last bit in any batch; vectors through a
        mixing are rounded once from float64, so they are the same but for ties in that rounding.

        Args:
            n: how many, at least 1.
            seed: two seeds give independent samples.
            start: index of the first.
            draw: which caption of each image; images and latents do not depend on it.
            device: where the tensors go; the host by default.

        Raises:
            InputError: no sample is asked for, or a number is negative.
        """
        _refuse_none(n)
        chunks = [
            self._chunk(min(CHUNK, start + n - first), seed, first, draw)
            for first in range(start, start + n, CHUNK)
        ]
        return _joined(chunks).to(device)

    def texts(
        self, n: int, *, seed: int, start: int = 0, draw: int = 0
    ) -> list[str] | Float[Tensor, "n t"]:
        """The `text` of `sample`, with the same arguments on the host; no image is made."""
        _refuse_none(n)
        return self._said(n, seed, start, draw).text

    def swap(self, batch: Batch, block: Iterable[Concept], *, seed: int) -> Batch:
        """The swap test: z_B held, (z outside B, e_I) redrawn apart from it, images made anew.

        The redraw follows the law of (z outside B, e_I) and ignores z_B, so the two come from a
        product law. What an encoder computes from z_B alone is the same on `batch` and the result.

        Args:
            batch: samples of this world.
            block: B, concepts of the family.
            seed: of the redraw.

        Returns:
            The batch with other z outside B, e_I and images. Captions stay as they were: they
            describe the old images.
        """
        held = torch.zeros(self.family.dimension, dtype=torch.bool)
        held[self.family.space.columns(block)] = True
        n = len(batch)
        fresh = self._draw(n, seed, 0, Stream.SWAP_LATENTS)
        z = torch.where(held, batch.z.cpu().double(), fresh)
        noise = self.noise.of_image(
            uniforms(n, self.noise.image, seed=seed, stream=Stream.SWAP_IMAGE_NOISE)
        )
        images = [
            self.render(z[rows], noise[rows]).float() for rows in torch.arange(n).split(CHUNK)
        ]
        swapped = replace(batch, z=z.float(), image=torch.cat(images), image_noise=noise.float())
        return swapped.to(batch.z.device)

    def _repr_html_(self) -> str:
        facts = (
            f"{self.family.dimension} latents ({type(self.latents).__name__}), captions "
            f"{type(self.captions).__name__}, noise of {self.noise.image} and {self.noise.text}"
        )
        return f"<p><b>{type(self).__name__}</b>: {facts}</p>{self.family._repr_html_()}"

    def mentions(self, n: int, *, seed: int, start: int = 0, draw: int = 0) -> Mentions:
        """What the captions of `sample` name, and which of it is false."""
        return self._mentions(self._draw(n, seed, start, Stream.LATENTS), seed, start, draw)

    def _draw(self, n: int, seed: int, start: int, stream: Stream) -> Float[Tensor, "n d"]:
        u = uniforms(n, self.latents.uniforms, seed=seed, stream=stream, start=start)
        return self.latents.from_uniforms(u)

    def _mentions(self, z: Float[Tensor, "n d"], seed: int, start: int, draw: int) -> Mentions:
        u = uniforms(
            len(z), self.captions.uniforms, seed=seed, stream=Stream.CAPTION, start=start, draw=draw
        )
        return self.captions.from_uniforms(u, lambda: self.latents.rank(z))

    def _said(self, n: int, seed: int, start: int, draw: int) -> "_Said":
        z = self._draw(n, seed, start, Stream.LATENTS)
        mentions = self._mentions(z, seed, start, draw)
        u_image = uniforms(n, self.noise.image, seed=seed, stream=Stream.IMAGE_NOISE, start=start)
        u_text = uniforms(
            n, self.noise.text, seed=seed, stream=Stream.TEXT_NOISE, start=start, draw=draw
        )
        said = z
        if mentions.false.any():
            wrong = mentions.false.repeat_interleave(torch.tensor(self.family.sizes), dim=1)
            said = torch.where(wrong, self._draw(n, seed, start, Stream.FALSEHOOD), z)
        text_noise = self.noise.of_text(u_text, u_image)
        text = self.say(said, mentions.caption, text_noise)
        return _Said(
            z=z,
            caption=mentions.caption,
            u_image=u_image,
            text_noise=text_noise,
            text=text if isinstance(text, list) else text.float(),
        )

    def _chunk(self, n: int, seed: int, start: int, draw: int) -> Batch:
        said = self._said(n, seed, start, draw)
        noise = self.noise.of_image(said.u_image)
        return Batch(
            z=said.z.float(),
            caption=said.caption,
            image=self.render(said.z, noise).float(),
            text=said.text,
            image_noise=noise.float(),
            text_noise=said.text_noise.float(),
        )


class _Said(NamedTuple):
    """What there is of a batch before its images are made; `u_image` are the uniforms of e_I."""

    z: Float[Tensor, "n d"]
    caption: Int64[Tensor, " n"]
    u_image: Float[Tensor, "n a"]
    text_noise: Float[Tensor, "n b"]
    text: Float[Tensor, "n t"] | list[str]


def _refuse_none(n: int) -> None:
    if n < 1:
        raise InputError(
            f"n={n} samples", rule="a batch holds at least one sample", fix="give n >= 1"
        )


def _joined(chunks: list[Batch]) -> Batch:
    if len(chunks) == 1:
        return chunks[0]
    sentences = [text for chunk in chunks if isinstance(chunk.text, list) for text in chunk.text]
    vectors = [chunk.text for chunk in chunks if isinstance(chunk.text, Tensor)]
    return Batch(
        z=torch.cat([chunk.z for chunk in chunks]),
        caption=torch.cat([chunk.caption for chunk in chunks]),
        image=torch.cat([chunk.image for chunk in chunks]),
        text=torch.cat(vectors) if vectors else sentences,
        image_noise=torch.cat([chunk.image_noise for chunk in chunks]),
        text_noise=torch.cat([chunk.text_noise for chunk in chunks]),
    )

"""SmartCLIP: two towers, and a mask network that reads the caption.

    z^_I = f_I(i),    z^_T, states = f_T(t),    m = m^(t),

trained so that z^_I * m and z^_T agree, caption by caption. Source: SmartCLIP (CVPR 2025). One
class serves every world; only the towers differ.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from smartclip.gates import Gate, draw_gate, draw_uniforms, expected_opening, read_gate
from smartclip.masks import MaskNetwork


class Features(NamedTuple):
    """What the towers say of each pair by itself, each [B, D], or [B, 2, D] of two captions.

    `image` is f_I(i) before whitening, `text` is z^_T, `mask_logits` are l(t). No row depends on
    another, so a batch can be embedded a few rows at a time, or on several machines.
    """

    image: Float[Tensor, "B D"]
    text: Float[Tensor, "B *captions D"]
    mask_logits: Float[Tensor, "B *captions D"]


class GateNoise(NamedTuple):
    """The uniforms behind the gates of a step, for caption masks [B, D] and shared gates [D]."""

    caption: Float[Tensor, "B D"] | None
    shared: Float[Tensor, " D"] | None


class Embeddings(NamedTuple):
    """What one batch becomes: `image` z^_I, `text` z^_T and `mask` m, each [B, D].

    `open_probability` is the expected caption mask (before the shared gates), [B, D].
    """

    image: Float[Tensor, "B D"]
    text: Float[Tensor, "B D"]
    mask: Float[Tensor, "B D"]
    open_probability: Float[Tensor, "B D"]


class SmartCLIP(nn.Module):
    """The whole model.

    Args:
        image_tower: images -> z_I [B, D].
        text_tower: tokens -> (z_T [B, D], states [B, L, W]).
        width: W, the width of the token states.
        dimension: D, the number of coordinates d^.
        whiten: give every image coordinate unit variance (batch statistics, no affine part). It
            bounds what a single coordinate can tell, so that each true dimension keeps earning its
            place; leave it off for pretrained towers.
        budget: give each coordinate a gate g_k shared by all captions (condition C5).
        masks: have a mask network. Without one every mask is all ones: plain CLIP, the baseline.
        heads: attention heads of the mask network.
        gate: how logits become masks, for caption masks and shared gates alike.
        opening: probability with which caption gates are open at first.

    `loss_state` is what the loss of a training run keeps here (see `smartclip.train.loss_state`).
    """

    def __init__(
        self,
        image_tower: nn.Module,
        text_tower: nn.Module,
        *,
        width: int,
        dimension: int,
        whiten: bool = True,
        budget: bool = True,
        masks: bool = True,
        heads: int = 4,
        gate: Gate = "bernoulli",
        opening: float = 0.5,
    ) -> None:
        super().__init__()
        self.dimension = dimension
        self.gate: Gate = gate
        self.image_tower = image_tower
        self.text_tower = text_tower
        self.image_norm = nn.BatchNorm1d(dimension, affine=False) if whiten else nn.Identity()
        self.mask_network: MaskNetwork | None = None
        if masks:
            self.mask_network = MaskNetwork(
                width, dimension, heads=heads, gate=gate, opening=opening
            )
        # sigmoid(3) = 0.95: every coordinate is used at first, and each can still be given up.
        shared = nn.Parameter(torch.full((dimension,), 3.0)) if masks and budget else None
        self.shared_logits: nn.Parameter | None = shared
        self.loss_state: nn.Module | None = None

    def encode_image(self, images: Tensor) -> Float[Tensor, "B D"]:
        """z^_I, unmasked."""
        return self.image_norm(self.image_tower(images))

    def encode_text(self, tokens: Tensor) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """z^_T and the hard mask m^(t), as used after training."""
        text, mask_logits = self._read(tokens)
        return text, self._close_unused(read_gate(mask_logits, self.gate))

    def used_coordinates(self) -> Float[Tensor, " D"]:
        """1 for each coordinate that some caption may open, 0 for those given up for all."""
        like = next(self.parameters())
        return self._close_unused(like.new_ones(self.dimension))

    def expected_size(self, open_probability: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
        """E |m^(t)| = sum_k g_k E[b_k(t)], a function of the shared gates g alone.

        Charging this closes, for all captions at once, the coordinates that bring least where they
        are open: two copies of one dimension become one (C5), and a concept that few captions
        mention is as safe as a common one, since its price shrinks with its use.
        """
        open_share = open_probability.detach().mean(0)
        if self.shared_logits is None:
            return open_share.sum()
        return (expected_opening(self.shared_logits, self.gate) * open_share).sum()

    def expected_mask(self, open_probability: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """E m^(t) = E g * E b(t), a function of the caption gates b alone."""
        if self.shared_logits is None:
            return open_probability
        return open_probability * expected_opening(self.shared_logits, self.gate).detach()

    def forward(
        self, images: Tensor, tokens: Tensor, *, generator: torch.Generator | None = None
    ) -> Embeddings:
        """Embeddings with masks drawn at random if a generator is given, hard ones if not."""
        return self.head(self.embed(images, tokens), generator=generator)

    @property
    def parts(self) -> list[nn.Module]:
        """What looks at one row at a time: both towers, and the mask network if there is one."""
        parts = [self.image_tower, self.text_tower, self.mask_network]
        return [part for part in parts if part is not None]

    def embed(self, images: Tensor, tokens: Tensor) -> Features:
        """The heavy half of `forward`: both towers and the mask network, row by row.

        Two captions of each image, tokens [B, 2, L], have features [B, 2, D].
        """
        if tokens.ndim == 2:
            return Features(self.image_tower(images), *self._read(tokens))
        text, mask_logits = self._read(tokens.flatten(0, 1))
        pairs = tokens.shape[:2]
        return Features(
            self.image_tower(images), text.unflatten(0, pairs), mask_logits.unflatten(0, pairs)
        )

    def head(
        self, features: Features, *, generator: torch.Generator | GateNoise | None = None
    ) -> Embeddings:
        """The light half of `forward`: what depends on the whole batch, whitening and gates.

        Args:
            features: of the whole batch.
            generator: draws the gates, or what `gate_noise` drew for them; hard gates without one.
        """
        image, text, mask_logits = features
        image = self.image_norm(image)
        if generator is None:
            mask = self._close_unused(read_gate(mask_logits, self.gate))
        else:
            noise = generator
            if isinstance(noise, torch.Generator):
                noise = self.gate_noise(mask_logits, noise)
            mask = draw_gate(mask_logits, self.gate, noise.caption)
            if self.shared_logits is not None:
                mask = mask * draw_gate(self.shared_logits, self.gate, noise.shared)
        return Embeddings(image, text, mask, expected_opening(mask_logits, self.gate))

    def gate_noise(
        self, mask_logits: Float[Tensor, "B D"], generator: torch.Generator
    ) -> GateNoise:
        """What `head` needs of randomness for logits of this shape."""
        caption = draw_uniforms(mask_logits, self.gate, generator)
        if self.shared_logits is None:
            return GateNoise(caption, None)
        return GateNoise(caption, draw_uniforms(self.shared_logits, self.gate, generator))

    def _read(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        text, states = self.text_tower(tokens)
        if self.mask_network is None:
            return text, torch.full_like(text, torch.inf)
        return text, self.mask_network(states)

    def _close_unused(self, mask: Tensor) -> Tensor:
        if self.shared_logits is None:
            return mask
        return mask * read_gate(self.shared_logits, self.gate)

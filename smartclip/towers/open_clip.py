"""An image tower and a text tower, `i -> z_I` and `t -> (z_T, states)`.

The transformers are open_clip's own `VisionTransformer` and `TextTransformer`, the modules behind
CLIP ViT-B/16 and L/14 (Radford et al., ICML 2021), at any size: the defaults train on a CPU, and
`smartclip.towers.pretrained` gives them trained weights. open_clip is imported only when a tower is
made: it takes seconds.
"""

import importlib
import sys
from dataclasses import dataclass
from types import ModuleType

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from smartclip.towers.inputs import require_images, require_tokens
from theory.errors import InputError

_TORCHVISION_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []


def load_open_clip() -> ModuleType:
    """Import open_clip, also where torch and torchvision come from different builds.

    open_clip imports torchvision for transforms that a tower never uses. A torchvision built for
    CUDA beside a torch built for the CPU cannot load its compiled operators, and then fails while
    it describes them: "operator torchvision::nms does not exist". Declaring the schemas of the two
    operators it describes lets the import through; they stay without an implementation, so a call
    to one is still an error.

    Returns:
        The module `open_clip`.
    """
    before = set(sys.modules)
    try:
        return importlib.import_module("open_clip")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    _forget_half_imported(before)
    if not _declared:
        # The declarations live as long as the object does.
        library = torch.library.Library("torchvision", "DEF")
        for schema in _TORCHVISION_SCHEMAS:
            library.define(schema)
        _declared.append(library)
    return importlib.import_module("open_clip")


def _forget_half_imported(before: set[str]) -> None:
    """Drop what a failed import left behind, so that the next one starts afresh."""
    for name in list(sys.modules):
        root = name.partition(".")[0]
        if root in ("open_clip", "torchvision") and (root not in sys.modules or name not in before):
            del sys.modules[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class ViTConfig:
    """Size of an image tower; the defaults fit 16 x 16 scenes of digits.

    Attributes:
        image_size: height and width in pixels.
        channels: 1 for grey, 3 for RGB.
        patch: side of a square patch in pixels; it divides `image_size`.
        width: of the token states.
        layers: residual attention blocks.
        heads: attention heads; they divide `width`.
        mlp_ratio: width inside a block's perceptron, in multiples of `width`.
        quick_gelu: x sigmoid(1.702 x) for an activation, as in OpenAI's CLIP; else the exact GELU.
    """

    image_size: int = 16
    channels: int = 1
    patch: int = 4
    width: int = 64
    layers: int = 3
    heads: int = 4
    mlp_ratio: float = 4.0
    quick_gelu: bool = False

    def __post_init__(self) -> None:
        _require_positive(self)
        if self.image_size % self.patch:
            raise InputError(
                f"image_size {self.image_size} with patch {self.patch}",
                rule="patches tile the image",
                fix="choose a patch that divides the image size",
            )
        _require_divisible_heads(self.width, self.heads)

    @classmethod
    def emoji(cls) -> "ViTConfig":
        """64 x 64 RGB in 64 patches of 8 x 8."""
        return cls(image_size=64, channels=3, patch=8, width=128, layers=3, heads=4)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """Size of a text tower; the defaults fit short captions with a compact vocabulary.

    Attributes:
        vocabulary: number of token ids, `Tokenizer.size`.
        context: longest caption in tokens with its start and end, `Tokenizer.context`.
        width: of the token states, W.
        layers: residual attention blocks.
        heads: attention heads; they divide `width`.
        mlp_ratio: width inside a block's perceptron, in multiples of `width`.
        quick_gelu: see `ViTConfig`.
    """

    vocabulary: int
    context: int
    width: int = 64
    layers: int = 2
    heads: int = 4
    mlp_ratio: float = 4.0
    quick_gelu: bool = False

    def __post_init__(self) -> None:
        _require_positive(self)
        _require_divisible_heads(self.width, self.heads)


def _require_positive(config: ViTConfig | TextConfig) -> None:
    for name in config.__slots__:
        value = getattr(config, name)
        if not isinstance(value, bool) and value < 1:
            raise InputError(
                f"{name} = {value}", rule="sizes of a tower are at least 1", fix="use a larger one"
            )


def _require_divisible_heads(width: int, heads: int) -> None:
    if width % heads:
        raise InputError(
            f"width {width} with {heads} heads",
            rule="each head takes an equal part of the width",
            fix="choose a number of heads that divides the width",
        )


class ImageTower(nn.Module):
    """`i -> z_I`: a vision transformer whose class token is projected to D coordinates.

    Weights are drawn from torch's default generator, like those of any `nn.Module`.

    Args:
        config: size of the transformer.
        dimension: D, coordinates of the code.
    """

    def __init__(self, config: ViTConfig, dimension: int) -> None:
        super().__init__()
        load_open_clip()
        from open_clip.transformer import QuickGELU, VisionTransformer

        self.config = config
        self.transformer = VisionTransformer(
            image_size=config.image_size,
            patch_size=config.patch,
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            mlp_ratio=config.mlp_ratio,
            output_dim=dimension,
            act_layer=QuickGELU if config.quick_gelu else nn.GELU,
        )
        if config.channels != 3:  # open_clip fixes three input channels
            self.transformer.conv1 = nn.Conv2d(
                config.channels,
                config.width,
                kernel_size=config.patch,
                stride=config.patch,
                bias=False,
            )

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        require_images(images, channels=self.config.channels, size=self.config.image_size)
        return self.transformer(images)


class TextTower(nn.Module):
    """`t -> (z_T, states)`: a causal transformer read at the end-of-text token.

    The end-of-text token has the largest id of the vocabulary, as in CLIP; `Tokenizer` sees to it.
    Attention is causal, so padding after the end changes neither `z_T` nor the states before it.

    Args:
        config: size of the transformer.
        dimension: D, coordinates of the code.
    """

    def __init__(self, config: TextConfig, dimension: int) -> None:
        super().__init__()
        load_open_clip()
        from open_clip.transformer import QuickGELU, TextTransformer

        self.config = config
        self.transformer = TextTransformer(
            context_length=config.context,
            vocab_size=config.vocabulary,
            width=config.width,
            heads=config.heads,
            layers=config.layers,
            mlp_ratio=config.mlp_ratio,
            output_dim=dimension,
            output_tokens=True,
            act_layer=QuickGELU if config.quick_gelu else nn.GELU,
        )

    @property
    def projection(self) -> nn.Parameter:
        """The last linear map, from the end-of-text state to z_T [W, D]."""
        weights = self.transformer.text_projection
        assert isinstance(weights, nn.Parameter)
        return weights

    @property
    def width(self) -> int:
        """W, the width of the states that the mask network reads."""
        return self.config.width

    def forward(
        self, tokens: Int[Tensor, "b l"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b l w"]]:
        """`(z_T [B, D], states [B, L, W])`; the states are those after the final norm."""
        require_tokens(tokens, context=self.config.context)
        return self.transformer(tokens)

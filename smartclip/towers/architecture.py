"""The size of a CLIP: an image tower, a text tower and the D coordinates they share.

Names are open_clip's: `ViT-B-16` is ViT-B/16 with exact GELU, `ViT-B-16-quickgelu` the same with
the activation of OpenAI's own weights.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from smartclip.towers.layouts import NamedTensors
from smartclip.towers.open_clip import (
    ImageTower,
    TextConfig,
    TextTower,
    ViTConfig,
    load_open_clip,
)
from theory.errors import InputError

# What these towers can be told; a model that needs more is another kind of model.
_MODEL = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
_VISION = {"image_size", "layers", "width", "head_width", "patch_size", "mlp_ratio"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """Both towers and D.

    Attributes:
        image: size of the image tower.
        text: size of the text tower.
        dimension: D, coordinates of the code.

    Example:
        >>> clip = Architecture.named("ViT-B-16-quickgelu")
        >>> clip.dimension, clip.text.context, clip.with_context(248).text.context
        (512, 77, 248)
    """

    image: ViTConfig
    text: TextConfig
    dimension: int

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise InputError(
                f"dimension = {self.dimension}",
                rule="a code has at least one coordinate",
                fix="use a larger one",
            )
        if self.image.quick_gelu != self.text.quick_gelu:
            raise InputError(
                f"quick_gelu {self.image.quick_gelu} for images, {self.text.quick_gelu} for text",
                rule="both towers of a CLIP have the same activation",
                fix="set both alike",
            )

    @classmethod
    def named(cls, name: str) -> "Architecture":
        """One of open_clip's vision transformers with CLIP's tokenizer.

        Raises:
            InputError: no such model, or one with parts that these towers do not have (another
                tokenizer, pooling or image encoder).
        """
        module = load_open_clip()
        config = module.get_model_config(name.replace("/", "-"))
        if config is None:
            raise InputError(
                f"the model {name!r}",
                rule="models have open_clip's names, such as " + ", ".join(known_names()[:6]),
                fix="choose one of smartclip.towers.architecture.known_names()",
            )
        if foreign := foreign_parts(config):
            raise InputError(
                f"the model {name!r} with {', '.join(foreign)}",
                rule="these towers are CLIP's vision transformer and causal text transformer",
                fix="choose one of smartclip.towers.architecture.known_names()",
            )
        return cls.from_open_clip(config)

    @classmethod
    def from_open_clip(cls, config: dict[str, Any]) -> "Architecture":
        """From a model configuration of open_clip, as in its `open_clip_config.json`."""
        vision, text = config["vision_cfg"], config["text_cfg"]
        quick_gelu = bool(config.get("quick_gelu", False))
        return cls(
            image=ViTConfig(
                image_size=vision["image_size"],
                channels=3,
                patch=vision["patch_size"],
                width=vision["width"],
                layers=vision["layers"],
                heads=vision["width"] // vision.get("head_width", 64),
                mlp_ratio=vision.get("mlp_ratio", 4.0),
                quick_gelu=quick_gelu,
            ),
            text=TextConfig(
                vocabulary=text["vocab_size"],
                context=text["context_length"],
                width=text["width"],
                layers=text["layers"],
                heads=text["heads"],
                mlp_ratio=text.get("mlp_ratio", 4.0),
                quick_gelu=quick_gelu,
            ),
            dimension=config["embed_dim"],
        )

    @classmethod
    def of_tensors(
        cls,
        tensors: NamedTensors,
        source: str,
        *,
        quick_gelu: bool,
        heads: tuple[int, int] | None = None,
    ) -> "Architecture":
        """The size that the tensors of a checkpoint have.

        Args:
            tensors: of both towers.
            source: where they lie, for error messages.
            quick_gelu: what no tensor tells.
            heads: of the image and the text tower; where nothing tells, one for each 64 of the
                width, as in every released CLIP.

        Raises:
            InputError: a tensor that gives a size is missing, or patches form no square.
        """
        try:
            patches = tensors.image["conv1.weight"]
            places = tensors.image["positional_embedding"]
            words = tensors.text["token_embedding.weight"]
            context = tensors.text["positional_embedding"]
            dimension = tensors.image["proj"].shape[1]
            ratios = [
                each["transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / width
                for each, width in (
                    (tensors.image, patches.shape[0]),
                    (tensors.text, words.shape[1]),
                )
            ]
        except KeyError as error:
            raise InputError(
                f"{source} without {error} in one of its towers",
                rule="both towers of a CLIP are there",
                fix="give the weights of a whole CLIP with a vision transformer",
            ) from error
        side = math.isqrt(len(places) - 1)
        if side * side != len(places) - 1:
            raise InputError(
                f"{source} with positions of {len(places) - 1} patches",
                rule="the patches of an image form a square",
                fix="give the weights of a plain CLIP",
            )
        widths = patches.shape[0], words.shape[1]
        of_image, of_text = heads or (max(1, widths[0] // 64), max(1, widths[1] // 64))
        return cls(
            image=ViTConfig(
                image_size=side * patches.shape[-1],
                channels=patches.shape[1],
                patch=patches.shape[-1],
                width=widths[0],
                layers=_layers(tensors.image),
                heads=of_image,
                mlp_ratio=ratios[0],
                quick_gelu=quick_gelu,
            ),
            text=TextConfig(
                vocabulary=len(words),
                context=len(context),
                width=widths[1],
                layers=_layers(tensors.text),
                heads=of_text,
                mlp_ratio=ratios[1],
                quick_gelu=quick_gelu,
            ),
            dimension=dimension,
        )

    def to_open_clip(self) -> dict[str, Any]:
        """As a model configuration of open_clip; `from_open_clip` gives it back."""
        return {
            "embed_dim": self.dimension,
            "quick_gelu": self.quick_gelu,
            "vision_cfg": {
                "image_size": self.image.image_size,
                "layers": self.image.layers,
                "width": self.image.width,
                "head_width": self.image.width // self.image.heads,
                "patch_size": self.image.patch,
                "mlp_ratio": self.image.mlp_ratio,
            },
            "text_cfg": {
                "context_length": self.text.context,
                "vocab_size": self.text.vocabulary,
                "width": self.text.width,
                "heads": self.text.heads,
                "layers": self.text.layers,
                "mlp_ratio": self.text.mlp_ratio,
            },
        }

    @property
    def quick_gelu(self) -> bool:
        """The activation of both towers."""
        return self.image.quick_gelu

    def with_context(self, length: int) -> "Architecture":
        """The same towers, reading captions of `length` tokens."""
        return replace(self, text=replace(self.text, context=length))

    def towers(self) -> tuple[ImageTower, TextTower]:
        """Fresh towers; their weights are drawn from torch's default generator."""
        return ImageTower(self.image, self.dimension), TextTower(self.text, self.dimension)


def _layers(tensors: Mapping[str, Tensor]) -> int:
    """Residual blocks, by the numbers in their names."""
    blocks = {name.split(".")[2] for name in tensors if name.startswith("transformer.resblocks.")}
    return len(blocks)


def known_names() -> list[str]:
    """All of open_clip's names that `Architecture.named` takes.

    >>> {"ViT-B-16", "ViT-B-32", "ViT-L-14-quickgelu"} <= set(known_names())
    True
    """
    module = load_open_clip()
    names = [
        name for name in module.list_models() if not foreign_parts(module.get_model_config(name))
    ]
    return sorted(names)


def foreign_parts(config: dict[str, Any]) -> list[str]:
    """Settings of an open_clip configuration that these towers cannot follow."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    foreign = set(config) - _MODEL | set(vision) - _VISION | set(text) - _TEXT
    if isinstance(vision.get("layers"), list | tuple):
        foreign.add("a convolutional image encoder")
    return sorted(foreign)

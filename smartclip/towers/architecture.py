"""The size of a CLIP: an image tower, a text tower and the D coordinates they share.

Names are open_clip's: `ViT-B-16` is ViT-B/16 with exact GELU, `ViT-B-16-quickgelu` the same with
the activation of OpenAI's own weights.
"""

from dataclasses import dataclass, replace
from typing import Any

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

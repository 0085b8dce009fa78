"""A convolutional image tower, `i -> z_I`, for small pictures that are learned from scratch.

    x -> (x - 1/2) / (1/4) -> [strided convolution; GroupNorm; GELU] x depth -> perceptron

A vision transformer has to learn what a neighbourhood is; on rendered scenes it costs more a step
than this and learns less from it. GroupNorm (Wu and He, ECCV 2018) normalises each picture by
itself, so that a batch may be embedded a few rows at a time, or on several machines: batch
normalisation inside a tower would make every row depend on the others.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from smartclip.towers.inputs import require_images
from theory.errors import refuse_broken_rules

GROUPS = 8
# Pixels in [0, 1] to about zero mean and unit variance; left as they are, towers do not align.
CENTRE, SPREAD = 0.5, 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvConfig:
    """Size of a convolutional tower; the defaults fit 64 x 64 RGB.

    Attributes:
        image_size: height and width in pixels.
        channels: 1 for grey, 3 for RGB.
        stem: stride of the first layer, which sees stem + 2 pixels at a time; a large one is cheap.
            Every further layer sees 3 and halves what there is.
        widths: channels after each layer, multiples of 8.
        hidden: width of the perceptron's one hidden layer.
    """

    image_size: int = 64
    channels: int = 3
    stem: int = 4
    widths: tuple[int, ...] = (32, 64, 96)
    hidden: int = 256

    def __post_init__(self) -> None:
        rules = {
            "stem": (self.stem >= 1, "at least 1"),
            "image_size": (
                self.image_size >= 1 and self.image_size % max(self.shrink, 1) == 0,
                f"a multiple of {self.shrink}, by which the layers shrink it",
            ),
            "channels": (self.channels >= 1, "at least 1"),
            "widths": (
                bool(self.widths) and all(w >= 1 and w % GROUPS == 0 for w in self.widths),
                f"at least one, each a multiple of {GROUPS}",
            ),
            "hidden": (self.hidden >= 1, "at least 1"),
        }
        refuse_broken_rules(self, rules)

    @property
    def shrink(self) -> int:
        """How many pixels of a row become one position after all layers."""
        return self.stem * 2 ** max(len(self.widths) - 1, 0)


class ConvImageTower(nn.Module):
    """`i -> z_I`: convolutions that halve the picture, then a perceptron over what is left.

    Weights are drawn from torch's default generator, like those of any `nn.Module`.

    Args:
        config: size of the tower.
        dimension: D, coordinates of the code.

    >>> tower = ConvImageTower(ConvConfig(image_size=16, stem=2, widths=(8, 8)), 5)
    >>> tower(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 5])
    """

    def __init__(self, config: ConvConfig, dimension: int) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before, kernel, stride = config.channels, config.stem + 2, config.stem
        for width in config.widths:
            layers += [
                nn.Conv2d(before, width, kernel, stride=stride, padding=1, bias=False),
                nn.GroupNorm(GROUPS, width),
                nn.GELU(),
            ]
            before, kernel, stride = width, 3, 2
        side = config.image_size // config.shrink
        layers += [
            nn.Flatten(),
            nn.Linear(before * side * side, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, dimension),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        require_images(images, channels=self.config.channels, size=self.config.image_size)
        # Channels last: the layout that convolutions compute in, on CPUs and on GPUs.
        images = images.contiguous(memory_format=torch.channels_last)
        return self.layers((images - CENTRE) / SPREAD)

"""i = a rendered scene, t = words about some of its concepts; boxes and masks of the objects.

Two objects stand side by side before a background, under a light. Each attribute of an object is a
concept, and so are background and light. Concepts take a few values each, which words can name; e_I
varies everything within its value (a red that is a little more orange) without reaching the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from simulators import grammar
from simulators.captions import CaptionProcess, Windows
from simulators.latents import Independent
from simulators.marginals import Discrete
from simulators.noise import Noise
from simulators.shapes import distance_of
from simulators.world import Batch, Truth, World
from theory.captions import CaptionFamily
from theory.concepts import Concept
from theory.errors import InputError

SIDES = grammar.SIDES
OBJECT = {
    "shape": (6,),
    "hue": (6,),
    "size": (3,),
    "position": (3, 2),
    "orientation": (3,),
    "texture": (3,),
}
SCENE = {"background": (4,), "light": (4,)}
LEVELS: dict[str, tuple[int, ...]] = {
    **{f"{side} {name}": levels for side in SIDES for name, levels in OBJECT.items()},
    **SCENE,
}
"""Concept -> how many values each of its dimensions takes."""

CONCEPTS = tuple(LEVELS)
SIZES: dict[Concept, int] = {concept: len(levels) for concept, levels in LEVELS.items()}
FIRST_COLUMN = dict(zip(CONCEPTS, accumulate(SIZES.values(), initial=0), strict=False))

FRAME = 64.0
PI = np.float32(np.pi)
HUES = np.array([0, 28, 54, 125, 215, 285], dtype=np.float32)
RED_GREEN_BLUE = np.array([5, 3, 1], dtype=np.float32)
BRIGHT = np.array([0.85, 0.95], dtype=np.float32)
RADII = np.array([6.5, 9.0, 11.5], dtype=np.float32)
ROWS = np.array([16, 32, 48], dtype=np.float32)
OUTWARD = np.array([-2.5, 2.5], dtype=np.float32)
TILTS = np.array([0, 25, -25], dtype=np.float32)
STRIPED, DOTTED = 1, 2
BACKGROUNDS = np.array(
    [[42, 0.28, 0.88], [215, 0.22, 0.42], [150, 0.24, 0.86], [345, 0.22, 0.88]], dtype=np.float32
)
TOWARDS_LIGHT = np.array([[0, -1], [0, 1], [1, 0], [-1, 0]], dtype=np.float32)
GLARE = np.float32(0.24)

JITTERS_OF_OBJECT, JITTERS_OF_SCENE = 6, 2
DRAWN_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Objects:
    """Where the two objects are.

    Attributes:
        masks: coverage of each pixel by each object [N, 2, H, W], 0 to 1.
        boxes: x0, y0, x1, y1 in pixels [N, 2, 4], around the pixels covered by at least half.
    """

    masks: Float[Tensor, "n 2 h w"]
    boxes: Int64[Tensor, "n 2 4"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneTruth(Truth):
    """The truth of a `SceneWorld`.

    Attributes:
        levels: how many values each dimension of each concept takes.
        world: renders, says and finds boxes for any z.
    """

    levels: dict[str, tuple[int, ...]]
    world: "SceneWorld"

    def objects(self, batch: Batch) -> Objects:
        """Masks and boxes of the objects in a batch."""
        return self.world.objects(batch.z.cpu(), batch.image_noise.cpu())


class SceneWorld(World):
    """Rendered scenes of two objects, with captions in words.

    Args:
        captions: a family over `CONCEPTS`, or a process. By default three neighbouring concepts a
            caption, around the circle: 14 captions that identify every concept alone.
        pixels: side of the image, even.
        paragraphs: let one caption in four be a paragraph, longer than CLIP's 77 tokens, most of
            which says nothing about the scene.

    Raises:
        InputError: other concepts than `CONCEPTS`, or an odd size.

    >>> world = SceneWorld()
    >>> batch = world.sample(2, seed=0)
    >>> batch.image.shape, batch.z.shape, len(world.family.captions)
    (torch.Size([2, 3, 64, 64]), torch.Size([2, 16]), 14)
    """

    def __init__(
        self,
        captions: CaptionFamily | CaptionProcess | None = None,
        *,
        pixels: int = 64,
        paragraphs: bool = True,
    ) -> None:
        if captions is None:
            sentences = [[concept] for concept in CONCEPTS]
            captions = Windows(sentences, width=3, circular=True, sizes=SIZES)
        K = len(CONCEPTS)
        super().__init__(
            captions,
            latents=Independent(
                [Discrete.evenly(count) for levels in LEVELS.values() for count in levels]
            ),
            noise=Noise(image=2 * JITTERS_OF_OBJECT + JITTERS_OF_SCENE, text=2 * K + 1, scale=1.0),
        )
        if self.family.concepts != CONCEPTS:
            raise InputError(
                f"the concepts {self.family.concepts}",
                rule="the concepts of a scene are those it is drawn from, in order",
                fix="pass concepts=CONCEPTS and sizes=SIZES of simulators.scenes",
            )
        if pixels < 16 or pixels % 2:
            raise InputError(
                f"pixels={pixels}",
                rule="each object has one half of the image",
                fix="give an even number of at least 16",
            )
        self.pixels = pixels
        self.forms = grammar.PARAGRAPH + 1 if paragraphs else grammar.PARAGRAPH
        centres = ((np.arange(pixels) + 0.5) * (FRAME / pixels)).astype(np.float32)
        self._x = np.tile(centres[: pixels // 2], pixels)
        self._y = np.repeat(centres, pixels // 2)
        self._across = centres * (2 / FRAME) - 1

    @property
    def truth(self) -> SceneTruth:
        return SceneTruth(family=self.family, latents=self.latents, levels=LEVELS, world=self)

    def _render(
        self, z: Float[Tensor, "n 16"], image_noise: Float[Tensor, "n 14"]
    ) -> Float[Tensor, "n 3 h w"]:
        """RGB in [0, 1]; NumPy draws, for torch's threads cost more than they gain here."""
        values, jitter = _drawn_from(z, image_noise)
        image = np.empty((len(z), 3, self.pixels, self.pixels), dtype=np.float32)
        for first in range(0, len(z), DRAWN_AT_ONCE):
            rows = slice(first, first + DRAWN_AT_ONCE)
            self._draw_scene(values[rows], jitter[rows], image[rows])
        return torch.from_numpy(image)

    def objects(self, z: Float[Tensor, "n 16"], image_noise: Float[Tensor, "n 14"]) -> Objects:
        """Where the objects of these scenes are."""
        values, jitter = _drawn_from(z, image_noise)
        n, side = len(z), self.pixels
        masks = torch.zeros(n, 2, side, side)
        for which in range(2):
            cover, _ = self._object(which, values, jitter)
            half = slice(which * side // 2, (which + 1) * side // 2)
            masks[:, which, :, half] = torch.from_numpy(cover).view(n, side, side // 2)
        covered = masks >= 0.5
        rows, columns = covered.any(3), covered.any(2)
        ends = [
            columns.int().argmax(2),
            rows.int().argmax(2),
            side - columns.flip(2).int().argmax(2),
            side - rows.flip(2).int().argmax(2),
        ]
        return Objects(masks=masks, boxes=torch.stack(ends, dim=2))

    def say(
        self,
        z: Float[Tensor, "n 16"],
        caption: Int64[Tensor, " n"],
        text_noise: Float[Tensor, "n 29"],
    ) -> list[str]:
        K = len(CONCEPTS)
        rank = torch.special.ndtr(text_noise)
        orders = rank[:, :K].argsort(dim=1).tolist()
        choices = rank[:, K : 2 * K].tolist()
        forms = (rank[:, 2 * K] * self.forms).long().tolist()
        masks = torch.tensor(self.family.matrix)[caption].tolist()
        return [
            grammar.caption(
                [_mention(CONCEPTS[k], row) for k in order if mask[k]], form, grammar.Choices(picks)
            )
            for row, mask, order, picks, form in zip(
                z.long().tolist(), masks, orders, choices, forms, strict=True
            )
        ]

    def _draw_scene(
        self,
        values: Int64[np.ndarray, "n 16"],
        jitter: Float32[np.ndarray, "n 14"],
        out: Float32[np.ndarray, "n 3 h w"],
    ) -> None:
        n, side = len(values), self.pixels
        background, light = values[:, -2], values[:, -1]
        hue, saturation, brightness = BACKGROUNDS[background].T
        ground = _rgb(hue, saturation, brightness + 0.05 * jitter[:, -2])[:, :, None]
        for which in range(2):
            cover, colour = self._object(which, values, jitter)
            painted = ground + cover[:, None] * (colour - ground)
            half = slice(which * side // 2, (which + 1) * side // 2)
            out[..., half] = painted.reshape(n, 3, side, side // 2)
        towards = TOWARDS_LIGHT[light]
        turn = np.stack([-towards[:, 1], towards[:, 0]], axis=1) * (0.3 * jitter[:, -1:])
        slope = GLARE * (towards + turn)[:, :, None] * self._across
        out *= 0.96 + slope[:, None, 1, :, None] + slope[:, None, 0, None, :]
        np.clip(out, 0, 1, out=out)

    def _object(
        self,
        which: int,
        values: Int64[np.ndarray, "n 16"],
        jitter: Float32[np.ndarray, "n 14"],
    ) -> tuple[Float32[np.ndarray, "n p"], Float32[np.ndarray, "n 3 p"]]:
        """Coverage and colour of one object on the pixels of its half."""
        width = sum(map(len, OBJECT.values()))
        shape, hue, size, row, depth, tilt, texture = values[:, which * width :][:, :width].T
        own = jitter[:, which * JITTERS_OF_OBJECT :][:, :JITTERS_OF_OBJECT, None]
        radius = RADII[size][:, None] * (1 + 0.08 * own[:, 1])
        outward = OUTWARD[depth][:, None]
        x0 = FRAME / 4 + (outward if which else -outward) + own[:, 2]
        y0 = ROWS[row][:, None] + 2.5 * own[:, 3]
        angle = np.deg2rad(TILTS[tilt][:, None] + 5 * own[:, 4])
        dx, dy = (self._x - x0) / radius, (self._y - y0) / radius
        cosine, sine = np.cos(angle), np.sin(angle)
        u, v = cosine * dx + sine * dy, cosine * dy - sine * dx
        pixel = FRAME / self.pixels
        cover = np.clip(0.5 - distance_of(shape[:, None], u, v) * (radius / pixel), 0, 1)
        wave = np.sin(7.5 * u + PI * own[:, 5])
        striped, dotted = (
            (texture == value).astype(np.float32)[:, None] for value in (STRIPED, DOTTED)
        )
        pattern = striped * wave + dotted * (wave * np.sin(7.5 * v) * 1.6 - 0.5)
        shade = 1 - 0.5 * np.clip(4 * pattern, 0, 1)
        colour = _rgb(HUES[hue] + 6 * own[:, 0, 0], BRIGHT[:1], BRIGHT[1:])
        return cover, colour[:, :, None] * shade[:, None]


def _rgb(
    hue: Float32[np.ndarray, " n"],
    saturation: Float32[np.ndarray, "..."],
    brightness: Float32[np.ndarray, "..."],
) -> Float32[np.ndarray, "n 3"]:
    """Red, green and blue in [0, 1]; hue in degrees."""
    k = (hue[:, None] / 60 + RED_GREEN_BLUE) % 6
    dip = np.clip(np.minimum(k, 4 - k), 0, 1)
    return brightness.reshape(-1, 1) * (1 - saturation.reshape(-1, 1) * dip)


def _drawn_from(
    z: Float[Tensor, "n 16"], image_noise: Float[Tensor, "n 14"]
) -> tuple[Int64[np.ndarray, "n 16"], Float32[np.ndarray, "n 14"]]:
    """The values, and e_I as offsets in (-1, 1)."""
    offsets = 2 * torch.special.ndtr(image_noise) - 1
    return z.long().numpy(), offsets.float().numpy()


def _mention(concept: str, values: Sequence[int]) -> grammar.Mention:
    side, _, attribute = concept.rpartition(" ")
    first = FIRST_COLUMN[concept]
    value = values[first]
    if attribute == "position":
        value = value * OBJECT["position"][1] + values[first + 1]
    return side, attribute, value

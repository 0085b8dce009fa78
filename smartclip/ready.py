"""A model with all that it takes to use it: sizes, tokens, colours, and how it is read.

    weights of CLIP, in any layout  ->  ReadyModel  ->  evaluation, export

What a run of this project wrote becomes one in `experiments.checkpoints`, which knows its recipe.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from smartclip.data.crop import MEAN, STD
from smartclip.model import SmartCLIP
from smartclip.text import CLIPTokenizer
from smartclip.towers.architecture import Architecture
from smartclip.towers.pretrained import backbone
from smartclip.towers.weights import HUB, Colour, Weights, fetch_weights, read_weights
from theory.errors import InputError

RANDOM = "random"
# Of released CLIPs; a checkpoint without one is read at it.
LOGIT_SCALE = 100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyModel:
    """A model in evaluation mode and what one has to know to use it.

    Attributes:
        model: both towers, and the mask network if there is one.
        architecture: their size.
        tokenizer: CLIP's, with the context of the text tower.
        source: where it comes from, for people.
        mean: of each colour, that images are normalised with.
        std: of each colour.
        similarity: that it was trained with.
        logit_scale: s.
        start: the checkpoint that training started from; None where nobody trained it here.
        method: title of the method; None for weights of others.
        folder: of the run that trained it; None for weights of others.
    """

    model: SmartCLIP
    architecture: Architecture
    tokenizer: CLIPTokenizer
    source: str
    mean: Colour = MEAN
    std: Colour = STD
    similarity: str = "cosine"
    logit_scale: float = LOGIT_SCALE
    start: str | None = None
    method: str | None = None
    folder: Path | None = None

    @property
    def masked(self) -> bool:
        """Whether it has a mask for each caption."""
        return self.model.mask_network is not None


def read_clip(
    checkpoint: str, *, quick_gelu: bool | None = None, context: int | None = None
) -> ReadyModel:
    """A CLIP of others, without masks.

    Args:
        checkpoint: a file or folder in one of the layouts of `smartclip.towers.layouts`;
            `hf-hub:owner/name`; open_clip's name of a model and a tag, `ViT-B-16-quickgelu/openai`;
            or `ViT-B-16/random`, with weights drawn under seed 0.
        quick_gelu: what the weights were trained with, where nothing beside them tells.
        context: tokens of a caption; positions are stretched to it. None keeps the model's own.

    Raises:
        InputError: nothing there, unreadable, or nothing tells the activation.

    Example:
        >>> read_clip("ViT-B-32/random").architecture.dimension
        512
    """
    name, _, tag = checkpoint.rpartition("/")
    found = None
    if Path(checkpoint).exists():
        found = read_weights(Path(checkpoint))
    elif checkpoint.startswith(HUB):
        found = fetch_weights("", checkpoint)
    elif not name:
        raise InputError(
            f"the checkpoint {checkpoint!r}",
            rule=f"a checkpoint is a run folder, a file or folder of weights, {HUB}owner/name, or "
            "open_clip's name of a model and a tag, such as ViT-B-16-quickgelu/openai",
            fix="check the path, or give a tag (random needs no weights)",
        )
    elif tag != RANDOM:
        found = fetch_weights(name, tag)
    size = Architecture.named(name) if found is None else architecture_of(found, quick_gelu)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = backbone(size, found, context=context, quick_gelu=quick_gelu)
        model = SmartCLIP(
            made.image_tower,
            made.text_tower,
            width=made.text_tower.width,
            dimension=size.dimension,
            whiten=False,
            budget=False,
            masks=False,
        )
    return ReadyModel(
        model=model.eval(),
        architecture=made.architecture,
        tokenizer=CLIPTokenizer(context=made.architecture.text.context),
        source=checkpoint,
        mean=made.mean,
        std=made.std,
        logit_scale=LOGIT_SCALE if made.logit_scale is None else made.logit_scale,
    )


def architecture_of(weights: Weights, quick_gelu: bool | None = None) -> Architecture:
    """The size of weights; the activation as told beside them, or as given.

    Raises:
        InputError: nothing tells the activation.
    """
    known = weights.quick_gelu if quick_gelu is None else quick_gelu
    if known is None:
        raise InputError(
            f"{weights.source} in the layout of {weights.tensors.layout}, alone",
            rule="no tensor tells whether weights were trained with quick-GELU (OpenAI) or with "
            "GELU (LAION)",
            fix="put its config.json or open_clip_config.json beside it, or say which with "
            "--quick-gelu True or --quick-gelu False",
        )
    return Architecture.of_tensors(
        weights.tensors, weights.source, quick_gelu=known, heads=weights.heads
    )

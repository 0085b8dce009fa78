"""Train SmartCLIP on image-text pairs from pretrained towers: everything such a run depends on."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from experiments.recipes.record import TWIN, Record
from smartclip.data.crop import Crop
from smartclip.data.sentences import Policy, Split
from smartclip.gates import Gate, opening_logit
from smartclip.model import SmartCLIP
from smartclip.text import CLIPTokenizer
from smartclip.towers.architecture import Architecture
from smartclip.towers.open_clip import TextConfig, ViTConfig
from smartclip.towers.positions import KEPT, LONG_CONTEXT
from smartclip.towers.pretrained import Backbone, backbone
from smartclip.train.config import TrainConfig
from smartclip.train.execution import ExecutionConfig
from smartclip.train.optimiser import OptimiserConfig
from theory.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRecipe:
    """A run on image-text pairs.

    Attributes:
        name: of the recipe.
        record: machine, minutes and expected number.
        model: open_clip's name of the towers, or their sizes.
        weights: that the towers start from: a path, `hf-hub:owner/name` or one of open_clip's
            tags; None for random ones.
        heads: attention heads of the mask network.
        context: tokens of a caption.
        kept: position embeddings that are not stretched.
        gate: how logits become masks.
        opening: sigmoid(l) of every gate at the start. Above 1/2 every mask begins all ones, so
            that training starts from exactly the CLIP that the weights are.
        policy: which sentences of a caption are kept at a step.
        split: where captions are cut into sentences.
        epochs: passes over the data; None for `train.steps` steps, whatever the data.
        train: the training.
        optimiser: what an update does.
        execution: how it is carried out; it does not change the numbers.
    """

    name: str
    record: Record
    model: str | Architecture
    weights: str | None
    heads: int
    context: int = LONG_CONTEXT
    kept: int = KEPT
    gate: Gate = "straight_through"
    opening: float = 0.6
    policy: Policy = "prefix"
    split: Split = "published"
    epochs: int | None
    train: TrainConfig
    optimiser: OptimiserConfig
    execution: ExecutionConfig

    @property
    def architecture(self) -> Architecture:
        """Sizes of the towers, with the context of this recipe."""
        size = Architecture.named(self.model) if isinstance(self.model, str) else self.model
        return size.with_context(self.context)

    @property
    def tokenizer(self) -> CLIPTokenizer:
        """CLIP's own ids, for captions of `context` tokens."""
        return CLIPTokenizer(context=self.context)

    @property
    def crop(self) -> Crop:
        """The middle of a picture at the size of the image tower."""
        return Crop(pixels=self.architecture.image.image_size)

    def for_data(self, pictures: int) -> "PairRecipe":
        """With as many steps as its epochs take on so many pictures.

        Raises:
            InputError: fewer pictures than a batch has.
        """
        steps = pictures // self.train.batch_size
        if steps < 1:
            raise InputError(
                f"{pictures:,} pictures for batches of {self.train.batch_size}",
                rule="a batch holds no picture twice",
                fix="take a smaller batch, or more data",
            )
        if self.epochs is None:
            return self
        return replace(self, train=replace(self.train, steps=self.epochs * steps))

    def make(self, device: torch.device) -> tuple[SmartCLIP, Backbone]:
        """A fresh model and where its towers come from; drawn from the seed of the training."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.train.seed)
            found = backbone(self.model, self.weights, context=self.context, kept=self.kept)
            model = SmartCLIP(
                found.image_tower,
                found.text_tower,
                width=found.text_tower.width,
                dimension=found.architecture.dimension,
                whiten=False,
                budget=False,
                heads=self.heads,
                gate=self.gate,
            )
            nn.init.constant_(model.mask_network.score.bias, opening_logit(self.opening, self.gate))
        return model.to(device), found

    def debug(self) -> "PairRecipe":
        """Its twin of seconds on a CPU: tiny random towers, four small steps, all else alike."""
        size = self.architecture
        heads = 2
        tiny = Architecture(
            image=ViTConfig(
                image_size=32,
                channels=3,
                patch=16,
                width=32,
                layers=1,
                heads=heads,
                quick_gelu=size.quick_gelu,
            ),
            text=TextConfig(
                vocabulary=size.text.vocabulary,
                context=self.context,
                width=32,
                layers=1,
                heads=heads,
                quick_gelu=size.quick_gelu,
            ),
            dimension=16,
        )
        train = replace(
            self.train,
            steps=4,
            batch_size=4,
            warm_up_steps=1,
            sparsity=self.train.sparsity * size.dimension / tiny.dimension,
            log_every=1,
            checkpoint_every=2,
        )
        return replace(
            self,
            name=f"{self.name}-debug",
            record=TWIN,
            model=tiny,
            weights=None,
            heads=heads,
            epochs=None,
            train=train,
            execution=ExecutionConfig(),
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

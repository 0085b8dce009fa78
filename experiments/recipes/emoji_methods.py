"""SmartCLIP, plain CLIP and Long-CLIP on the emoji: towers, batches, steps and rates alike.

Each sees the same two captions of the same pictures at every step (`smartclip.train.two_captions`):

    CLIP         L(x, long) + L(x, short)
    Long-CLIP    L(x, long) + L(P_k x, short)
    SmartCLIP    L(x m(long), long) + L(x m(short), short)
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from experiments.recipes.emoji import TwoCaptionSource, emoji
from experiments.recipes.pictures import as_clip, from_scratch
from experiments.run_folder import RunFolder
from smartclip.data.emoji import EmojiData
from smartclip.model import SmartCLIP
from smartclip.objective import Similarity
from smartclip.text import Tokenizer
from smartclip.train.config import TrainConfig
from smartclip.train.growth import Growth
from smartclip.train.loop import train
from smartclip.train.two_captions import LongCaptionObjective, TwoCaptions, two_caption_loss

SMARTCLIP, CLIP, LONG_CLIP = "SmartCLIP", "CLIP", "Long-CLIP"
BATCH = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One way to train the same towers.

    Attributes:
        name: SmartCLIP, CLIP or Long-CLIP.
        train: steps, batches, rates, similarity and prices.
        components: k of Long-CLIP; None for the others.
    """

    name: str
    train: TrainConfig
    components: int | None = None

    def model(self, tokenizer: Tokenizer, device: torch.device) -> SmartCLIP:
        """Fresh; the towers of a seed start alike in all methods, but for a scale."""
        recipe = replace(emoji(seed=self.train.seed), train=self.train)
        clip = self.name != SMARTCLIP
        return recipe.model(tokenizer, device, clip=clip, kind=TwoCaptions)

    def trained(
        self,
        data: EmojiData,
        tokenizer: Tokenizer,
        root: Path,
        *,
        device: torch.device,
        quiet: bool = False,
    ) -> tuple[SmartCLIP, Path]:
        """Train, or load what is trained already, and the folder of the run."""
        settings = self.to_dict() | {"pictures": len(data)}
        folder = RunFolder.open(root, f"{self.name.lower()}-{self.train.seed}", settings)
        model = train(
            self.model(tokenizer, device),
            TwoCaptionSource(data, tokenizer, seed=self.train.seed),
            self.train,
            folder.path,
            objective=two_caption_loss
            if self.components is None
            else LongCaptionObjective(self.components),
            label=f"{self.name}, seed {self.train.seed}",
            quiet=quiet,
        )
        return model, folder.path

    def to_dict(self) -> dict[str, Any]:
        """All that the training depends on, but for the pictures."""
        return asdict(self)


def smartclip(
    *,
    seed: int,
    steps: int,
    sparsity: float = 0.001,
    similarity: Similarity = "likelihood_ratio",
    logit_scale: float = 0.5,
    growth: Growth | None = None,
) -> Method:
    """SmartCLIP with one price per open coordinate and no budget.

    Args:
        seed: of the weights, the batches and the gates.
        steps: of the training.
        sparsity: the price, in nats.
        similarity: the cosine takes CLIP's scale.
        logit_scale: s of the likelihood ratio.
        growth: stages in which s rises; None for one s.
    """
    train = replace(
        from_scratch(seed=seed, steps=steps),
        batch_size=BATCH,
        sparsity=sparsity,
        budget=0.0,
        logit_scale=logit_scale,
        growth=growth,
        checkpoint_every=100,
    )
    if similarity == "cosine":
        train = as_clip(train)
    return Method(name=SMARTCLIP, train=replace(train, similarity=similarity))


def clip(*, seed: int, steps: int, logit_scale: float = 1 / 0.07) -> Method:
    """Plain CLIP."""
    train = as_clip(smartclip(seed=seed, steps=steps).train)
    return Method(name=CLIP, train=replace(train, logit_scale=logit_scale))


def long_clip(
    *, seed: int, steps: int, components: int = 32, logit_scale: float = 1 / 0.07
) -> Method:
    """Long-CLIP; the published k is 32, of 512 coordinates."""
    plain = clip(seed=seed, steps=steps, logit_scale=logit_scale)
    return replace(plain, name=LONG_CLIP, components=components)

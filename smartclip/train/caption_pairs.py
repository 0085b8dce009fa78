"""A caption code learned before any picture: captions of one picture are told from all others.

    minimise  L(z, z') + w R(z),    z = f_T(t), z' = f_T(t') for two captions of each picture,

the loss of plain CLIP with a caption in the picture's place. What two captions of a picture share
are its concepts. A code that tells their pictures apart says which value of which concept a caption
names, whatever its words, and leaves out the words that name none. Held still afterwards (in a
phase whose captions do not learn) it is a target that pictures learn from several times faster than
from a random sum of words: there most of what varies is wording, and "left" does not know to which
"red" it belongs. Text costs little: a step here is less than half of one with small pictures.

SmartCLIP starts from towers that were trained on captions; from scratch this takes their place.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from smartclip.model import SmartCLIP
from smartclip.towers.words import WordTower
from smartclip.train.config import TrainConfig
from smartclip.train.loop import train
from smartclip.train.method import Method
from smartclip.train.source import PairSource, Source
from theory.errors import InputError

# Captions over which the code is standardised in the end.
CENSUS = 2048


def learn_captions(
    model: SmartCLIP,
    source: Source,
    method: Method,
    config: TrainConfig,
    folder: Path,
    *,
    label: str = "captions",
    quiet: bool = False,
) -> None:
    """Train the caption tower of a model in place; continue if `folder` has a checkpoint.

    Args:
        model: fresh, on the device to train on, with a `WordTower`. Nothing else of it changes.
        source: a `PairSource`.
        method: of this training, without masks (`smartclip.methods.caption_code`).
        config: batch size, rates and seed.
        folder: gets what `train` writes.
        label: what the progress bar says.
        quiet: no progress bar.

    Raises:
        InputError: the source has no pairs of captions, or the tower is another one.
    """
    tower = model.text_tower
    if not isinstance(source, PairSource) or not isinstance(tower, WordTower):
        raise InputError(
            f"{type(source).__name__} for a {type(tower).__name__}",
            rule="a code of captions is learned by a WordTower from two captions of each picture",
            fix="give a source with `pairs` and a model with a WordTower, or leave this stage out",
        )
    device = next(tower.parameters()).device
    pairs = SmartCLIP(
        _FirstCaption(tower),
        tower,
        width=tower.width,
        dimension=model.dimension,
        whiten=method.model.whiten,
        masks=method.model.masks,
    ).to(device)
    train(pairs, _Pairs(source), method, config, folder, label=label, quiet=quiet)
    tokens, _ = source.pairs(0, CENSUS, device)
    tower.standardise(tokens)


class _FirstCaption(nn.Module):
    """A caption tower in the place of an image tower: z_T without its states.

    Its weights are those of the text tower: in a tuple, where a module is not registered, so that
    they are not saved twice.
    """

    def __init__(self, tower: WordTower) -> None:
        super().__init__()
        self._towers = (tower,)

    def forward(self, tokens: Tensor) -> Tensor:
        (tower,) = self._towers
        return tower(tokens)[0]


class _Pairs:
    """The pairs of a source as batches, a caption in the picture's place."""

    def __init__(self, source: PairSource) -> None:
        self.source = source

    def batch(self, step: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        return self.source.pairs(step, size, device)

"""Two captions of each image: the mean of the losses with one, and Long-CLIP's in the same loop."""

from dataclasses import replace

import pytest
import torch
from smartclip.train.two_captions import LongCaptionObjective, TwoCaptions, two_caption_loss

from simulators import VectorWorld
from smartclip.long_caption import long_caption_loss
from smartclip.model import Features
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.config import TrainConfig
from smartclip.train.log import read_metrics
from smartclip.train.loop import METRICS, train
from smartclip.train.losses import step_loss
from smartclip.train.source import LongAndShort
from theory import CaptionFamily

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"]])
CONFIG = TrainConfig(
    steps=6, refine_steps=0, batch_size=8, log_every=1, checkpoint_every=3, prune_from=0.25, seed=1
)
WORLD = VectorWorld(FAMILY)
# Captions of two sizes.
CHAIN = VectorWorld(CaptionFamily.from_captions([["a", "b"], ["b", "c"], ["c"]]))


class Pairs:
    """A batch and the captions of the next one beside its own."""

    def batch(self, step, size, device):
        batch = WORLD.sample(2 * size, seed=2, start=2 * step * size, device=device)
        return batch.image[:size], batch.text.unflatten(0, (2, size)).transpose(0, 1)


def fresh(**options):
    torch.manual_seed(0)
    config = MLPConfig(width=8, depth=1)
    text = MLPTextTower(WORLD.text_dimension, 6, config, state_width=8)
    image = MLPImageTower(WORLD.image_dimension, 6, config)
    return TwoCaptions(image, text, width=text.width, dimension=6, heads=2, **options)


def features(model):
    return model.embed(*Pairs().batch(0, 8, torch.device("cpu")))


def test_features_are_those_of_each_caption_alone():
    model = fresh().eval()
    images, tokens = Pairs().batch(0, 8, torch.device("cpu"))
    both = model.embed(images, tokens)
    assert both.text.shape == both.mask_logits.shape == (8, 2, 6)
    for which in range(2):
        text, mask = model.encode_text(tokens[:, which])
        assert torch.allclose(both.text[:, which], text, atol=1e-6)
        assert torch.equal((both.mask_logits[:, which] > 0).float(), mask)


def test_the_loss_is_the_mean_of_the_losses_with_one_caption():
    model = fresh()
    both = features(model)
    found = two_caption_loss(model, both, CONFIG, 5, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    alone = [
        step_loss(
            model,
            Features(both.image, both.text[:, which], both.mask_logits[:, which]),
            CONFIG,
            5,
            generator,
        )
        for which in range(2)
    ]
    assert torch.allclose(found.loss, (alone[0].loss + alone[1].loss) / 2)
    assert torch.equal(found.mask, torch.cat([alone[0].mask, alone[1].mask]))
    assert not torch.allclose(alone[0].loss, alone[1].loss)


def test_with_all_components_long_clip_is_clip():
    settings = replace(CONFIG, similarity="cosine", logit_scale=10.0)
    model = fresh(whiten=False, budget=False, all_open=True)
    both, generator = features(model), torch.Generator()
    plain = two_caption_loss(model, both, settings, 0, generator)
    every, one = (LongCaptionObjective(k)(model, both, settings, 0, generator) for k in (6, 1))
    assert torch.allclose(every.loss, plain.loss, atol=1e-5)
    expected = long_caption_loss(both.image, both.text[:, 0], both.text[:, 1], 10.0, components=1)
    assert torch.allclose(one.loss, expected / 2)
    assert not torch.allclose(one.loss, every.loss, atol=1e-3)


@pytest.mark.parametrize(
    "objective", [two_caption_loss, LongCaptionObjective(2)], ids=["two", "long"]
)
def test_the_loop_trains_with_either_and_resumes(tmp_path, objective):
    clip = objective is not two_caption_loss
    settings = replace(CONFIG, similarity="cosine", logit_scale=10.0) if clip else CONFIG
    options = {"whiten": False, "budget": False, "all_open": True} if clip else {}

    def run(folder):
        return train(fresh(**options), Pairs(), settings, folder, objective=objective, quiet=True)

    whole = run(tmp_path / "whole")
    assert len(read_metrics(tmp_path / "whole" / METRICS)) == 6

    class Killed(Pairs):
        def batch(self, step, size, device):
            if step == 4:
                raise KeyboardInterrupt
            return super().batch(step, size, device)

    with pytest.raises(KeyboardInterrupt):
        train(
            fresh(**options),
            Killed(),
            settings,
            tmp_path / "killed",
            objective=objective,
            quiet=True,
        )
    again = run(tmp_path / "killed")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    moved = fresh(**options).state_dict()
    assert any(not torch.equal(tensor, moved[name]) for name, tensor in whole.state_dict().items())


def test_long_and_short_captions_of_one_image():
    pairs = LongAndShort(CHAIN, seed=1, steps_at_once=2)
    cpu = torch.device("cpu")
    images, tokens = pairs.batch(3, 8, cpu)
    assert tokens.shape[:2] == (8, 2)
    whole = [CHAIN.sample(8, seed=1, start=24, draw=draw) for draw in (0, 1)]
    assert torch.equal(images, whole[0].image)
    mentioned = torch.tensor(CHAIN.family.matrix).sum(1)
    counts = torch.stack([mentioned[batch.caption] for batch in whole])
    for row in range(8):
        texts = {tuple(batch.text[row].tolist()) for batch in whole}
        assert texts == {tuple(caption.tolist()) for caption in tokens[row]}
        if counts[0, row] != counts[1, row]:
            longer = whole[int(counts[:, row].argmax())]
            assert torch.equal(tokens[row, 0], longer.text[row])
    assert (counts[0] != counts[1]).any()
    torch.testing.assert_close(pairs.rows(3, 8, slice(1, 4), cpu), (images[1:4], tokens[1:4]))

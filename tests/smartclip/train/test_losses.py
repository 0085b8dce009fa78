"""The loss of a step: its terms, its channel, and two captions of an image."""

import math
from dataclasses import replace

import pytest
import torch

from simulators import VectorWorld
from smartclip.long_caption import long_caption_loss
from smartclip.model import Embeddings, Features, SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.losses import RECALL, matched_scale, step_loss, through_channel
from smartclip.train.method import Objective
from smartclip.train.phases import Phase, moment
from smartclip.train.source import WorldSource
from theory import CaptionFamily

WORLD = VectorWorld(CaptionFamily.from_captions([["a", "b"], ["b", "c"]]))
# Captions of two sizes.
CHAIN = VectorWorld(CaptionFamily.from_captions([["a", "b"], ["b", "c"], ["c"]]))
CPU = torch.device("cpu")
DRAWN = Phase(steps=1, scale=2.0, budget=0.3, sparsity=0.06)
OPEN = Phase(steps=1, gates="open", scale=10.0)


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
    return SmartCLIP(image, text, width=text.width, dimension=6, heads=2, **options)


def features(model):
    return model.embed(*Pairs().batch(0, 8, CPU))


def loss(model, both, objective, phase, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return step_loss(model, both, objective, moment((phase,), 0), generator)


def test_features_are_those_of_each_caption_alone():
    model = fresh().eval()
    images, tokens = Pairs().batch(0, 8, CPU)
    both = model.embed(images, tokens)
    assert both.text.shape == both.mask_logits.shape == (8, 2, 6)
    for which in range(2):
        text, mask = model.encode_text(tokens[:, which])
        assert torch.allclose(both.text[:, which], text, atol=1e-6)
        assert torch.equal((both.mask_logits[:, which] > 0).float(), mask)


def test_the_loss_is_the_mean_of_the_losses_with_one_caption():
    model = fresh()
    both, now = features(model), moment((DRAWN,), 0)
    found = loss(model, both, Objective(captions=2), DRAWN)
    generator = torch.Generator().manual_seed(3)
    alone = [
        step_loss(
            model,
            Features(both.image, both.text[:, which], both.mask_logits[:, which]),
            Objective(),
            now,
            generator,
        )
        for which in range(2)
    ]
    assert torch.allclose(found.loss, (alone[0].loss + alone[1].loss) / 2)
    assert torch.equal(found.mask, torch.cat([alone[0].mask, alone[1].mask]))
    assert not torch.allclose(alone[0].loss, alone[1].loss)


def test_with_all_components_long_clip_is_clip():
    model = fresh(whiten=False, masks=False)
    both = features(model)
    plain, every, one = (
        loss(model, both, Objective(similarity="cosine", captions=2, components=k), OPEN)
        for k in (None, 6, 1)
    )
    assert torch.allclose(every.loss, plain.loss, atol=1e-5)
    expected = long_caption_loss(both.image, both.text[:, 0], both.text[:, 1], 10.0, components=1)
    assert torch.allclose(one.loss, expected / 2)
    assert not torch.allclose(one.loss, every.loss, atol=1e-3)


def test_long_and_short_captions_of_one_image():
    pairs = WorldSource(CHAIN, seed=1, captions=2, steps_at_once=2)
    images, tokens = pairs.batch(3, 8, CPU)
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
    torch.testing.assert_close(pairs.rows(3, 8, slice(1, 4), CPU), (images[1:4], tokens[1:4]))


def embedded(*, residual, opened):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(500, 6, generator=generator)
    text = image + residual**0.5 * torch.randn(500, 6, generator=generator)
    mask = torch.full((500, 6), opened)
    return Embeddings(image, text, mask, mask)


def test_a_matched_precision_makes_the_residuals_likeliest():
    given = embedded(residual=0.2, opened=0.5)
    opened = torch.rand(500, 6, generator=torch.Generator().manual_seed(1))
    found = matched_scale(given, opened, least=0.5, largest=8.0).item()

    def likelihood(s):
        gap = (given.image - given.text).square()
        return (opened * (0.5 * torch.log(torch.tensor(2 * s)) - s * gap)).sum().item()

    assert found == pytest.approx(2.5, rel=0.1)
    assert max((0.9 * found, found, 1.1 * found), key=likelihood) == found


@pytest.mark.parametrize(("residual", "expected"), [(4.0, 0.5), (1e-4, 8.0), (0.0, 8.0)])
def test_a_matched_precision_stays_within_its_bounds(residual, expected):
    given = embedded(residual=residual, opened=1.0)
    assert matched_scale(given, given.mask, least=0.5, largest=8.0).item() == expected


def test_masks_that_open_nothing_are_no_reason_for_more_precision():
    given = embedded(residual=0.2, opened=0.0)
    assert matched_scale(given, given.mask, least=0.5, largest=8.0).item() == 0.5


def test_the_channel_has_precision_two_s():
    image, noise = (
        torch.zeros(4000, 8),
        torch.randn(4000, 8, generator=torch.Generator().manual_seed(0)),
    )
    assert through_channel(image, 4.0, noise).var().item() == pytest.approx(1 / 8, rel=0.05)


@pytest.mark.parametrize("bound", [None, 0.05])
def test_only_a_gate_below_its_bound_is_drawn_back(bound):
    torch.manual_seed(0)
    size = MLPConfig(width=8, depth=1)
    text = MLPTextTower(5, 3, size)
    model = SmartCLIP(MLPImageTower(7, 3, size), text, width=text.width, dimension=3, budget=False)
    logits = torch.tensor([-12.0, -0.5, 2.0]).repeat(16, 1).requires_grad_()
    both = model.embed(torch.randn(16, 7), torch.randn(16, 5))._replace(mask_logits=logits)
    phase = Phase(steps=1, noise=True, scale=4.0, least_scale=0.5, least_opening=bound)
    found = loss(model, both, Objective(), phase, seed=0).loss
    (slope,) = torch.autograd.grad(found, logits)
    plain = loss(model, both, Objective(), replace(phase, least_opening=None), seed=0).loss
    missing = 0.0 if bound is None else 12 - math.log(0.95 / 0.05)
    assert found.item() - plain.item() == pytest.approx(RECALL * missing**2, abs=1e-4)
    assert slope.sum(0)[0].item() == pytest.approx(-2 * RECALL * missing, abs=1e-3)


def test_words_that_are_held_get_no_gradient():
    model = fresh()
    one = Features(*(part[:, 0] if part.ndim == 3 else part for part in features(model)))
    for learn in (True, False):
        model.zero_grad()
        held = replace(OPEN, captions_learn=learn)
        loss(model, one, Objective(), held).loss.backward(retain_graph=True)
        assert (model.text_tower.project.weight.grad is not None) == learn

"""What each method is, held against its own formula or another implementation."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from smartclip.methods import METHODS, method
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.towers.open_clip import load_open_clip
from smartclip.train.assembly import assemble
from smartclip.train.loss_state import attach_loss_state
from smartclip.train.losses import LONG, SHORT, step_loss
from smartclip.train.method import Budget, Method
from smartclip.train.phases import moment
from theory.errors import InputError

BUDGET = Budget(steps=60, dimension=16, warm_up=10)
BATCH = 12


def built(asked: Method) -> SmartCLIP:
    torch.manual_seed(0)
    size = MLPConfig(width=16, depth=1)
    text = MLPTextTower(5, 16, size, state_width=8)
    image = MLPImageTower(4, 16, size)
    model = assemble(asked, image, text, width=text.width, dimension=16, heads=2)
    attach_loss_state(model, asked)
    return model.double().train()


def batch(captions: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(BATCH, 4, dtype=torch.float64, generator=generator)
    tokens = torch.randn(BATCH, captions, 5, dtype=torch.float64, generator=generator)
    return images, tokens if captions == 2 else tokens[:, 0]


def gradients(model: SmartCLIP, loss: Tensor) -> dict[str, Tensor]:
    named = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    pairs = zip(named, found, strict=True)
    return {name: grad for name, grad in pairs if grad is not None}


def assert_same(
    asked: Method, step: int, naive: Callable[[SmartCLIP, Tensor, Tensor], Tensor]
) -> None:
    """Loss and gradient of a step equal those of a formula written down naively."""
    images, tokens = batch(asked.objective.captions)
    model = built(asked)
    generator = torch.Generator().manual_seed(2)
    now = moment(asked.phases, step)
    terms = step_loss(model, model.embed(images, tokens), asked.objective, now, generator)
    expected = naive(model, images, tokens)
    torch.testing.assert_close(terms.loss, expected, rtol=1e-9, atol=1e-9)
    ours, theirs = gradients(model, terms.loss), gradients(model, expected)
    moved = {name for name, grad in ours.items() if grad.abs().max() > 1e-12}
    assert moved == {name for name, grad in theirs.items() if grad.abs().max() > 1e-12}
    for name in moved:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-7, atol=1e-9)


def cross_entropies(logits: Tensor) -> Tensor:
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


@pytest.mark.parametrize("step", [0, 30, 59])
def test_clip_is_open_clips_loss_and_nothing_else(step: int):
    asked = method("clip", BUDGET)

    def naive(model: SmartCLIP, images: Tensor, tokens: Tensor) -> Tensor:
        image = F.normalize(model.image_tower(images), dim=-1)
        text = F.normalize(model.text_tower(tokens)[0], dim=-1)
        return load_open_clip().ClipLoss()(image, text, model.loss_state.temperature())

    assert_same(asked, step, naive)


def test_the_masks_of_clip_are_all_ones_in_training_and_after():
    for name in ("clip", "long-clip"):
        asked = method(name, BUDGET)
        model = built(asked)
        images, tokens = batch(asked.objective.captions)
        for step in range(asked.steps):
            now = moment(asked.phases, step)
            assert (now.gates, now.noise, now.isolating) == ("open", False, False)
            assert now.alignment == now.decorrelation == now.sparsity == now.budget == 0
        terms = step_loss(
            model,
            model.embed(images, tokens),
            asked.objective,
            moment(asked.phases, 0),
            torch.Generator(),
        )
        assert terms.mask.eq(1).all()
        assert terms.loss is terms.contrastive or torch.equal(terms.loss, terms.contrastive)
        model.eval()
        assert model.encode_text(batch(1)[1])[1].eq(1).all()
        assert model.used_coordinates().eq(1).all()


@pytest.mark.parametrize("step", [0, 30, 59])
def test_published_is_the_formula_of_the_paper(step: int):
    asked = method("published", BUDGET)
    assert moment(asked.phases, step).scale == 100

    def naive(model: SmartCLIP, images: Tensor, tokens: Tensor) -> Tensor:
        image = model.image_tower(images)
        text, states = model.text_tower(tokens)
        share = model.mask_network(states).sigmoid()
        mask = (share > 0.5).double().detach() + share - share.detach()  # straight through
        masked = F.normalize(image[:, None] * mask[None], dim=2)  # [B, B, D]
        logits = 100 * torch.einsum("ijd,jd->ij", masked, F.normalize(text, dim=1))
        target = torch.arange(BATCH)
        captions, pictures = F.cross_entropy(logits, target), F.cross_entropy(logits.T, target)
        # AdamW does not see the factor 1/20.
        return (10 * (captions + pictures) + 2 * mask.mean()) / 20

    # The published square of the mask under the root has another gradient on {0, 1} than ours,
    # which is linear in the mask; where masks are open they agree, and so they start.
    images, tokens = batch(1)
    model = built(asked)
    generator = torch.Generator().manual_seed(2)
    now = moment(asked.phases, step)
    terms = step_loss(model, model.embed(images, tokens), asked.objective, now, generator)
    expected = naive(model, images, tokens)
    torch.testing.assert_close(terms.loss, expected, rtol=1e-9, atol=1e-9)
    ours, theirs = gradients(model, terms.loss), gradients(model, expected)
    assert ours.keys() == theirs.keys()
    towers = [name for name in ours if "tower" in name]
    assert towers
    for name in towers:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("step", [0, 30])
def test_long_clip_shows_the_short_caption_the_leading_components(step: int):
    asked = method("long-clip", Budget(steps=60, dimension=64, warm_up=10))
    assert asked.objective.components == 4
    asked = method("long-clip", BUDGET)
    assert asked.objective.components == 1

    def naive(model: SmartCLIP, images: Tensor, tokens: Tensor) -> Tensor:
        image = F.normalize(model.image_tower(images), dim=-1)
        long, short = (
            F.normalize(model.text_tower(tokens[:, which])[0], dim=-1) for which in (LONG, SHORT)
        )
        scale = model.loss_state.temperature()
        mean = image.mean(0)
        first = torch.linalg.svd((image - mean).detach(), full_matrices=False).Vh[:1]
        coarse = F.normalize(mean + (image - mean) @ first.T @ first, dim=-1)
        fine = cross_entropies(scale * image @ long.T)
        return (fine + cross_entropies(scale * coarse @ short.T)) / 2

    assert_same(asked, step, naive)


def test_the_names_are_those_of_the_list():
    for name, make in METHODS.items():
        assert make(BUDGET).name == name
        assert make(BUDGET).steps == BUDGET.steps
    with pytest.raises(InputError, match="method 'klip'; the methods are ours, published"):
        method("klip", BUDGET)

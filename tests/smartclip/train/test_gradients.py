"""Cached features: the gradient of the whole batch from a few rows at a time."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from smartclip.model import Features, SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPTextTower
from smartclip.train.execution import ExecutionConfig
from smartclip.train.gradients import accumulate_gradients
from smartclip.train.losses import step_loss
from smartclip.train.method import Objective
from smartclip.train.parallel import Towers, blocks, seeded
from smartclip.train.phases import Phase, moment
from theory.errors import InputError

OPEN = Phase(steps=1, gates="open", scale=2.0)
HOLDING = replace(OPEN, captions_learn=False)
PRUNING = replace(OPEN, gates="drawn", budget=0.6, sparsity=0.06)
REFINING = replace(OPEN, gates="held", scale=6.0, alignment=1.0)
STEP = 5
DATA = torch.Generator().manual_seed(4)
BATCH = tuple(torch.randn(8, n, dtype=torch.float64, generator=DATA) for n in (4, 3))


class Layered(nn.Module):
    def __init__(self, dropout=0.0, norm=nn.LayerNorm):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(4, 4), norm(4), nn.SiLU(), nn.Dropout(dropout))
            for _ in range(2)
        )
        self.project = nn.Linear(4, 6)

    def forward(self, images):
        for layer in self.layers:
            images = layer(images)
        return self.project(images)


def fresh(image=None, **options):
    torch.manual_seed(0)
    text = MLPTextTower(3, 6, MLPConfig(width=8, depth=1), state_width=8)
    image = image or Layered()
    model = SmartCLIP(image, text, width=text.width, dimension=6, heads=2, **options)
    # Away from the start, where all logits are 0 and some gradients too.
    if model.mask_network is not None:
        nn.init.normal_(model.mask_network.score.weight)
    return model.double().train()


def now(model, phase):
    """What holds in a phase; a model without masks has open gates in all of them."""
    if model.mask_network is None:
        phase = replace(phase, gates="open", sparsity=0.0, budget=0.0)
    return moment((phase,), 0)


def gradients(model, phase=PRUNING, **execution):
    towers = Towers(model, ExecutionConfig(**execution), seed=0)
    generator = torch.Generator().manual_seed(1)
    terms = accumulate_gradients(
        towers,
        *BATCH,
        lambda features: step_loss(model, features, Objective(), now(model, phase), generator),
        step=STEP,
    )
    return terms.loss.item(), {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("phase", [HOLDING, PRUNING, REFINING], ids=["hold", "prune", "refine"])
@pytest.mark.parametrize("options", [{}, {"masks": False}, {"whiten": False}])
@pytest.mark.parametrize(
    "execution",
    [{"micro_batch": 1}, {"micro_batch": 3}, {"micro_batch": 3, "checkpoint_activations": True}],
    ids=str,
)
def test_a_few_rows_at_a_time_give_the_gradient_of_all(phase, options, execution):
    loss, whole = gradients(fresh(**options), phase)
    again, cached = gradients(fresh(**options), phase, **execution)
    assert again == pytest.approx(loss, abs=1e-12)
    for name, gradient in whole.items():
        if gradient is None:
            assert cached[name] is None, name
        else:
            torch.testing.assert_close(cached[name], gradient, atol=1e-10, rtol=0)


@pytest.mark.parametrize("execution", [{}, {"micro_batch": 3}], ids=str)
def test_held_words_do_not_learn_and_pictures_learn_from_them(execution):
    _, held = gradients(fresh(), HOLDING, **execution)
    _, free = gradients(fresh(), PRUNING, **execution)
    text = [name for name in held if name.startswith("text_tower")]
    assert text
    assert all(held[name] is None and free[name] is not None for name in text)
    assert held["image_tower.project.weight"].abs().sum() > 0


def test_running_statistics_move_once_a_step():
    model = fresh()
    gradients(model, micro_batch=2)
    assert model.image_norm.num_batches_tracked == 1


def test_dropout_is_the_same_in_both_passes():
    def model():
        torch.manual_seed(1)
        return fresh(Layered(dropout=0.5))

    _, cached = gradients(model(), micro_batch=3)
    # The same rows with the same dropout, with the graph kept.
    whole = model()
    towers = Towers(whole, ExecutionConfig(), seed=0)
    pieces = [
        towers.embed(*(part[first : first + 3] for part in BATCH), step=STEP, first=first)
        for first in range(0, 8, 3)
    ]
    features = Features(*(torch.cat(column) for column in zip(*pieces, strict=True)))
    generator = torch.Generator().manual_seed(1)
    step_loss(whole, features, Objective(), now(whole, PRUNING), generator).loss.backward()
    for name, parameter in whole.named_parameters():
        torch.testing.assert_close(cached[name], parameter.grad, atol=1e-10, rtol=0)
    assert not torch.equal(pieces[0].image, towers.embed(*BATCH, step=4, first=0).image[:3])


def test_what_is_random_inside_does_not_show_outside():
    before = torch.get_rng_state()
    with seeded("0 1 2", torch.device("cpu")):
        first = torch.rand(3)
    with seeded("0 1 2", torch.device("cpu")):
        assert torch.equal(first, torch.rand(3))
    with seeded("0 1 3", torch.device("cpu")):
        assert not torch.equal(first, torch.rand(3))
    assert torch.equal(before, torch.get_rng_state())


def test_a_tower_with_batch_statistics_cannot_be_fed_in_parts():
    def model():
        return fresh(Layered(norm=nn.BatchNorm1d))

    gradients(model())
    with pytest.raises(InputError, match=r"layers\.0\.1 of Layered takes statistics of the batch"):
        gradients(model(), micro_batch=4)


def test_blocks_are_layers_or_the_whole():
    tower = Layered()
    assert blocks(tower) == list(tower.layers)
    assert blocks(tower.project) == [tower.project]


def test_low_precision_is_for_the_towers_alone():
    model = fresh().float()
    towers = Towers(model, ExecutionConfig(precision="bfloat16"), seed=0)
    batch = [part.float() for part in BATCH]
    features = towers.embed(*batch, step=0, first=0)
    exact = model.embed(*batch)
    assert {feature.dtype for feature in features} == {torch.float32}
    assert not torch.equal(features.image, exact.image)
    torch.testing.assert_close(features.image, exact.image, atol=0.05, rtol=0.05)


def test_images_reach_a_channels_last_tower_with_channels_last():
    class Seen(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 6, 2)

        def forward(self, images):
            assert images.is_contiguous(memory_format=torch.channels_last)
            return self.convolution(images).mean((2, 3))

    model = fresh(Seen())
    towers = Towers(model, ExecutionConfig(channels_last=True), seed=0)
    towers.embed(torch.randn(8, 3, 5, 5).double(), BATCH[1], step=0, first=0)
    weight = model.image_tower.convolution.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_compiled_blocks_are_compiled_also_where_they_are_computed_again(monkeypatch):
    compiled = []

    def count(function):
        def call(*arguments):
            compiled.append(torch.is_grad_enabled())
            return function(*arguments)

        return call

    monkeypatch.setattr(torch, "compile", count)
    _, expected = gradients(fresh())
    _, found = gradients(fresh(), compile=True, checkpoint_activations=True)
    # Two layers of the image tower, the text tower, the mask network: each forward and again.
    assert compiled == 8 * [True]
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-10, rtol=0)


def test_a_model_that_forgot_activations_can_still_be_read():
    model = fresh().eval()
    expected = model.encode_image(BATCH[0])
    Towers(model, ExecutionConfig(checkpoint_activations=True), seed=0)
    with torch.inference_mode():
        torch.testing.assert_close(model.encode_image(BATCH[0]), expected)


@pytest.mark.parametrize(
    "change",
    [
        {"micro_batch": 0},
        {"chunk_size": 0},
        {"keep_last": 0},
        {"price_per_hour": -1.0},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        ExecutionConfig(**change)


@pytest.mark.gpu
@pytest.mark.parametrize("execution", [{}, {"micro_batch": 3}], ids=str)
def test_gpu_gradients_agree_with_those_of_a_cpu(execution):
    _, here = gradients(fresh(), REFINING, **execution)
    model = fresh().cuda()
    towers = Towers(model, ExecutionConfig(**execution), seed=0)
    accumulate_gradients(
        towers,
        *(part.cuda() for part in BATCH),
        lambda features: step_loss(model, features, CONFIG, REFINING, torch.Generator("cuda")),
        step=REFINING,
    )
    for name, parameter in model.named_parameters():
        if here[name] is not None:
            torch.testing.assert_close(parameter.grad.cpu(), here[name], atol=1e-10, rtol=0)

"""Runs trained together: the same numbers as apart, in every phase."""

import statistics
import time
from dataclasses import replace

import pytest
import torch
from smartclip.train.growth import Growth
from torch import nn

from simulators import VectorWorld
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.config import TrainConfig
from smartclip.train.ensemble import Ensemble, train_together
from smartclip.train.loop import train
from smartclip.train.optimiser import OptimiserConfig
from smartclip.train.source import WorldSource
from theory import CaptionFamily
from theory.errors import InputError

WORLD = VectorWorld(CaptionFamily.from_captions([["a", "b"], ["b", "c"]]))
# Every phase of growth within 30 steps.
GROWING = TrainConfig(
    steps=24,
    refine_steps=6,
    batch_size=16,
    logit_scale=4.0,
    prune_from=0.55,
    prune_until=0.75,
    growth=Growth(),
    checkpoint_every=100,
)
ALIGNING = replace(GROWING, growth=None, align_until=0.2, prune_from=0.3, prune_until=0.5)
FOLLOWING = replace(
    GROWING,
    hold_text_until=0.1,
    align_until=0.2,
    growth=Growth(matched=True, least_opening=0.4),
)
COSINE = replace(GROWING, growth=None, similarity="cosine", schedule="cosine", refine_steps=0)


class Source(WorldSource):
    """In float64, where the order of sums does not show."""

    def batch(self, step, size, device):
        images, tokens = super().batch(step, size, device)
        return images.double(), tokens.double()


def fresh(config, **options):
    torch.manual_seed(config.seed)
    sizes = MLPConfig(width=8, depth=1)
    text = MLPTextTower(WORLD.text_dimension, 6, sizes, state_width=8)
    image = MLPImageTower(WORLD.image_dimension, 6, sizes)
    return SmartCLIP(image, text, width=text.width, dimension=6, heads=2, **options).double()


def together(configs, *, models=None, **options):
    models = models or [fresh(config) for config in configs]
    sources = [Source(WORLD, seed=config.seed) for config in configs]
    return train_together(models, sources, configs, **options)


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (GROWING, {}),
        (GROWING, {"gate": "hard_concrete"}),
        (FOLLOWING, {}),
        (ALIGNING, {"budget": False}),
        (ALIGNING, {"gate": "straight_through"}),
        (ALIGNING, {"all_open": True, "budget": False}),
        (COSINE, {"whiten": False}),
    ],
    ids=[
        "growing",
        "hard concrete",
        "following",
        "aligning",
        "straight through",
        "all open",
        "cosine",
    ],
)
def test_runs_trained_together_equal_runs_trained_apart(config, options, tmp_path):
    configs = [
        replace(config, seed=seed, sparsity=0.3 * seed, budget=0.5 - 0.1 * seed)
        for seed in (0, 1, 2)
    ]
    settings = OptimiserConfig(weight_decay=0.01)
    apart = [
        train(
            fresh(one, **options),
            Source(WORLD, seed=one.seed),
            one,
            tmp_path / str(one.seed),
            optimiser=settings,
            quiet=True,
        )
        for one in configs
    ]
    models = [fresh(one, **options) for one in configs]
    before = [model.image_tower.project.weight.detach().clone() for model in models]
    joint = together(configs, models=models, optimiser=settings)
    images, tokens = Source(WORLD, seed=9).batch(0, 64, torch.device("cpu"))
    for one, other, start in zip(apart, joint, before, strict=True):
        assert not other.training
        assert (other.image_tower.project.weight - start).abs().max() > 1e-3
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-6, rtol=0)
        torch.testing.assert_close(other.encode_image(images), one.encode_image(images))
        torch.testing.assert_close(other.encode_text(tokens), one.encode_text(tokens))


def test_runs_that_do_not_fit_at_once_follow():
    configs = [replace(GROWING, seed=seed) for seed in range(3)]
    for one, other in zip(together(configs), together(configs, at_once=2), strict=True):
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-6, rtol=0)


def test_what_cannot_be_trained_together_is_refused():
    configs = [GROWING, replace(GROWING, learning_rate=1e-2, steps=25)]
    with pytest.raises(InputError, match="differ in learning_rate, steps"):
        together(configs)
    with pytest.raises(InputError, match="1 models, 2 sources and 2 settings"):
        together(configs, models=[fresh(GROWING)])
    models = [fresh(GROWING), fresh(GROWING, gate="hard_concrete")]
    with pytest.raises(InputError, match="different shapes or gates"):
        together([GROWING, GROWING], models=models)
    with pytest.raises(InputError, match=r"clip_norm 1\.0"):
        together([GROWING], optimiser=OptimiserConfig(clip_norm=1.0))


def test_a_run_that_diverges_is_named():
    configs = [replace(GROWING, seed=seed, log_every=1) for seed in (3, 4)]
    models = [fresh(config) for config in configs]
    nn.init.constant_(models[1].text_tower.project.bias, torch.nan)
    with pytest.raises(InputError, match="seed 4 is nan at step 1"):
        together(configs, models=models)


@pytest.mark.gpu
def test_on_a_gpu_runs_end_where_they_do_on_a_cpu():
    # Settings without chance, since a GPU draws other numbers.
    config = replace(COSINE, steps=20)
    options = {"whiten": False, "gate": "straight_through"}
    configs = [replace(config, seed=seed) for seed in (0, 1)]
    here = together(configs, models=[fresh(one, **options) for one in configs])
    there = together(configs, models=[fresh(one, **options).cuda() for one in configs])
    for one, other in zip(here, there, strict=True):
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(
                other.state_dict()[name].cpu(), tensor, atol=1e-6, rtol=0, msg=name
            )


@pytest.mark.gpu
def test_on_a_gpu_32_seeds_cost_at_most_4_times_one():
    def seconds(count):
        configs = [replace(GROWING, seed=seed, batch_size=512) for seed in range(count)]
        models = [fresh(config).float().cuda() for config in configs]
        sources = [_Held(WORLD, seed=config.seed) for config in configs]
        ensemble = Ensemble(models, sources, configs, OptimiserConfig())
        times = []
        for step in range(20):
            torch.cuda.synchronize()
            started = time.perf_counter()
            ensemble.step(step)
            torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
        return statistics.median(times[5:])

    assert seconds(32) <= 4 * seconds(1)


class _Held(WorldSource):
    """The batch of step 0 at every step, already on the device: only the training is timed."""

    def batch(self, step, size, device):
        if not hasattr(self, "held"):
            self.held = super().batch(0, size, device)
        return self.held

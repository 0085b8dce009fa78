"""Runs trained together: the same numbers as apart, in every phase."""

import statistics
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from simulators import VectorWorld
from smartclip.growth import grown
from smartclip.methods import clip, long_clip, published
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.config import TrainConfig
from smartclip.train.ensemble import Ensemble, train_together
from smartclip.train.loop import train
from smartclip.train.method import Budget
from smartclip.train.optimiser import OptimiserConfig
from smartclip.train.source import WorldSource
from theory import CaptionFamily
from theory.errors import InputError

WORLD = VectorWorld(CaptionFamily.from_captions([["a", "b"], ["b", "c"]]))
CONFIG = TrainConfig(batch_size=16, checkpoint_every=100)
# Every phase within 30 steps.
GROWING = grown(Budget(steps=30, dimension=6, warm_up=5))
_explore, _specialise, _settle, _refine = GROWING.phases
_open = replace(_explore, gates="open", noise=False)
ALIGNING = replace(
    GROWING,
    phases=(
        replace(_open, decorrelation=0.0, scale=4.0),
        replace(_settle, noise=False, alignment=0.0, decorrelation=0.0, isolate_every=None),
        _refine,
    ),
)
FOLLOWING = replace(
    GROWING,
    phases=(
        replace(_open, captions_learn=False),
        _open,
        replace(_specialise, least_scale=0.5, least_opening=0.4),
        replace(_settle, least_scale=0.5),
        _refine,
    ),
)
CLIP = clip(Budget(steps=24, dimension=6, warm_up=5))
PUBLISHED = published(Budget(steps=24, dimension=6, warm_up=5))


class Source(WorldSource):
    """In float64, where the order of sums does not show."""

    def batch(self, step, size, device):
        images, tokens = super().batch(step, size, device)
        return images.double(), tokens.double()


def priced(method, seed):
    """The method with prices of its own, where gates are drawn."""

    def change(phase):
        if phase.gates != "drawn":
            return phase
        return replace(phase, sparsity=0.3 * seed, budget=0.5 - 0.1 * seed)

    return replace(method, phases=tuple(map(change, method.phases)))


def fresh(config, **options):
    torch.manual_seed(config.seed)
    sizes = MLPConfig(width=8, depth=1)
    text = MLPTextTower(WORLD.text_dimension, 6, sizes, state_width=8)
    image = MLPImageTower(WORLD.image_dimension, 6, sizes)
    return SmartCLIP(image, text, width=text.width, dimension=6, heads=2, **options).double()


def together(methods, configs, *, models=None, **options):
    models = models or [fresh(config) for config in configs]
    sources = [Source(WORLD, seed=config.seed) for config in configs]
    return train_together(models, sources, methods, configs, **options)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (GROWING, {}),
        (GROWING, {"gate": "hard_concrete"}),
        (FOLLOWING, {}),
        (ALIGNING, {"budget": False}),
        (ALIGNING, {"gate": "straight_through"}),
        (CLIP, {"masks": False, "whiten": False}),
        (PUBLISHED, {"whiten": False, "budget": False, "gate": "straight_through"}),
    ],
    ids=[
        "growing",
        "hard concrete",
        "following",
        "aligning",
        "straight through",
        "clip",
        "published",
    ],
)
def test_runs_trained_together_equal_runs_trained_apart(method, options, tmp_path):
    configs = [replace(CONFIG, seed=seed) for seed in (0, 1, 2)]
    methods = [priced(method, config.seed) for config in configs]
    settings = OptimiserConfig(weight_decay=0.01)
    apart = [
        train(
            fresh(one, **options),
            Source(WORLD, seed=one.seed),
            own,
            one,
            tmp_path / str(one.seed),
            optimiser=settings,
            quiet=True,
        )
        for own, one in zip(methods, configs, strict=True)
    ]
    models = [fresh(one, **options) for one in configs]
    before = [model.image_tower.project.weight.detach().clone() for model in models]
    joint = together(methods, configs, models=models, optimiser=settings)
    images, tokens = Source(WORLD, seed=9).batch(0, 64, torch.device("cpu"))
    for one, other, start in zip(apart, joint, before, strict=True):
        assert not other.training
        assert (other.image_tower.project.weight - start).abs().max() > 1e-3
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-6, rtol=0)
        # The weights agree to 1e-6, and the code no better.
        close = {"atol": 1e-6, "rtol": 0}
        torch.testing.assert_close(other.encode_image(images), one.encode_image(images), **close)
        torch.testing.assert_close(other.encode_text(tokens), one.encode_text(tokens), **close)


def test_runs_that_do_not_fit_at_once_follow():
    configs, methods = [replace(CONFIG, seed=seed) for seed in range(3)], [GROWING] * 3
    all_at_once, in_parts = together(methods, configs), together(methods, configs, at_once=2)
    for one, other in zip(all_at_once, in_parts, strict=True):
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-6, rtol=0)


def test_what_cannot_be_trained_together_is_refused():
    both = [GROWING, GROWING]
    with pytest.raises(InputError, match="differ in more than their seeds"):
        together(both, [CONFIG, replace(CONFIG, learning_rate=1e-2)])
    with pytest.raises(InputError, match="differ in more than weights of their phases"):
        together([GROWING, GROWING.lasting(31)], [CONFIG, CONFIG])
    with pytest.raises(InputError, match="two captions an image"):
        together([long_clip(Budget(steps=9, dimension=6))] * 2, [CONFIG, CONFIG])
    with pytest.raises(InputError, match="1 models, 2 sources, 2 methods and 2 settings"):
        together(both, [CONFIG, CONFIG], models=[fresh(CONFIG)])
    models = [fresh(CONFIG), fresh(CONFIG, gate="hard_concrete")]
    with pytest.raises(InputError, match="different shapes or gates"):
        together(both, [CONFIG, CONFIG], models=models)
    with pytest.raises(InputError, match=r"clip_norm 1\.0"):
        together([GROWING], [CONFIG], optimiser=OptimiserConfig(clip_norm=1.0))


def test_a_run_that_diverges_is_named():
    configs = [replace(CONFIG, seed=seed, log_every=1) for seed in (3, 4)]
    models = [fresh(config) for config in configs]
    nn.init.constant_(models[1].text_tower.project.bias, torch.nan)
    with pytest.raises(InputError, match="seed 4 is nan at step 1"):
        together([GROWING, GROWING], configs, models=models)


@pytest.mark.gpu
def test_on_a_gpu_runs_end_where_they_do_on_a_cpu():
    # Settings without chance, since a GPU draws other numbers.
    options = {"whiten": False, "budget": False, "gate": "straight_through"}
    configs, methods = [replace(CONFIG, seed=seed) for seed in (0, 1)], [PUBLISHED] * 2
    here = together(methods, configs, models=[fresh(one, **options) for one in configs])
    there = together(methods, configs, models=[fresh(one, **options).cuda() for one in configs])
    for one, other in zip(here, there, strict=True):
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(
                other.state_dict()[name].cpu(), tensor, atol=1e-6, rtol=0, msg=name
            )


@pytest.mark.gpu
def test_on_a_gpu_32_seeds_cost_at_most_4_times_one():
    def seconds(count):
        configs = [replace(CONFIG, seed=seed, batch_size=512) for seed in range(count)]
        models = [fresh(config).float().cuda() for config in configs]
        sources = [_Held(WORLD, seed=config.seed) for config in configs]
        ensemble = Ensemble(models, sources, [GROWING] * count, configs, OptimiserConfig())
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

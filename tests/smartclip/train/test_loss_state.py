"""Options of the training, one flag each: what they change, and that a run resumes with them."""

from dataclasses import replace

import pytest
import torch

from simulators import VectorWorld
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.checkpoint import load_model
from smartclip.train.config import TrainConfig
from smartclip.train.ensemble import train_together
from smartclip.train.log import read_metrics
from smartclip.train.loop import CHECKPOINT, METRICS, train
from smartclip.train.loss_state import constraint_of, scale_as_number
from smartclip.train.method import Method, ModelOptions, Objective
from smartclip.train.phases import Phase, Ramp
from smartclip.train.source import WorldSource
from theory import CaptionFamily
from theory.errors import InputError

WORLD = VectorWorld(CaptionFamily.from_captions([["a", "b"], ["b", "c"], ["c"]]))
METHOD = Method(
    name="toy",
    title="toy",
    model=ModelOptions(),
    objective=Objective(),
    phases=(
        Phase(steps=2, scale=2.0, warm_up=2),
        Phase(steps=12, scale=2.0, budget=0.6, sparsity=0.06),
        Phase(steps=4, gates="held", scale=Ramp(2.0, 6.0), alignment=1.0),
    ),
)
CONFIG = TrainConfig(batch_size=16, log_every=1, checkpoint_every=5)
OPTIONS = {
    "own negatives": {"similarity": "own_likelihood_ratio"},
    "masked text": {"similarity": "masked_cosine"},
    "keep rate": {"keep_rate": 0.2},
    "learned scale": {"learned_scale": True},
}


def changed(**changes) -> Method:
    return replace(METHOD, objective=replace(METHOD.objective, **changes))


class Killed(Exception):
    """Stands for SIGKILL in the middle of a run."""


def fresh(**options):
    torch.manual_seed(0)
    sizes = MLPConfig(width=8, depth=1)
    text = MLPTextTower(WORLD.text_dimension, 6, sizes, state_width=8)
    image = MLPImageTower(WORLD.image_dimension, 6, sizes)
    return SmartCLIP(image, text, width=text.width, dimension=6, heads=2, **options)


def source(kill=None):
    class Dying(WorldSource):
        def batch(self, step, size, device):
            if step == kill:
                raise Killed
            return super().batch(step, size, device)

    return Dying(WORLD, seed=1, steps_at_once=3)


@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)
def test_an_option_trains_counts_and_resumes(changes, tmp_path):
    method = changed(**changes)
    whole = train(fresh(), source(), method, CONFIG, tmp_path / "whole", quiet=True)
    other = train(fresh(), source(), METHOD, CONFIG, tmp_path / "plain", quiet=True)
    assert not torch.equal(whole.text_tower.project.weight, other.text_tower.project.weight)
    with pytest.raises(Killed):
        train(fresh(), source(kill=12), method, CONFIG, tmp_path / "cut", quiet=True)
    resumed = train(fresh(), source(), method, CONFIG, tmp_path / "cut", quiet=True)
    expected, found = whole.state_dict(), resumed.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_price_of_the_keep_rate_rises_and_is_charged(tmp_path):
    method = changed(keep_rate=0.01)
    model = train(fresh(), source(), method, CONFIG, tmp_path, quiet=True)
    prices = [line["keep_price"] for line in read_metrics(tmp_path / METRICS)]
    assert prices[0] == 0
    assert prices[5] < prices[10] < prices[13]
    assert prices[13:] == 5 * [prices[13]]  # masks stand still while refining
    assert constraint_of(model).multiplier.item() == prices[-1]


def test_a_learned_scale_moves_and_a_fixed_one_does_not(tmp_path):
    method = changed(learned_scale=True)
    model = train(fresh(), source(), method, CONFIG, tmp_path / "learned", quiet=True)
    scales = [line["logit_scale"] for line in read_metrics(tmp_path / "learned" / METRICS)]
    assert abs(scales[-1] - 2.0) > 1e-3
    assert scale_as_number(model, 0.0) == scales[-1]
    assert scale_as_number(fresh(), 3.0) == 3.0


def test_weights_of_a_run_are_read_without_what_its_loss_carried(tmp_path):
    method = changed(keep_rate=0.2, learned_scale=True)
    model = train(fresh(), source(), method, CONFIG, tmp_path, quiet=True)
    loaded = fresh()
    load_model(tmp_path / CHECKPOINT, loaded)
    assert torch.equal(loaded.text_tower.project.weight, model.text_tower.project.weight)


@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)
def test_options_are_the_same_for_runs_trained_together(changes, tmp_path):
    class Double:
        def __init__(self, config):
            self.source = source()

        def batch(self, step, size, device):
            images, tokens = self.source.batch(step, size, device)
            return images.double(), tokens.double()

    configs, method = [replace(CONFIG, seed=seed) for seed in (0, 1)], changed(**changes)
    models, sources = [fresh().double() for _ in configs], list(map(Double, configs))
    joint = train_together(models, sources, [method] * 2, configs)
    for config, model in zip(configs, joint, strict=True):
        folder = tmp_path / str(config.seed)
        apart = train(fresh().double(), Double(config), method, config, folder, quiet=True)
        for name, tensor in apart.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], tensor, atol=1e-6, rtol=0)


class TwoCaptions:
    """Two captions of each image."""

    def batch(self, step, size, device):
        batch = WORLD.sample(2 * size, seed=2, start=2 * step * size, device=device)
        return batch.image[:size], batch.text.unflatten(0, (2, size)).transpose(0, 1)


def test_the_keep_rate_holds_for_two_captions_of_an_image_too(tmp_path):
    method = changed(keep_rate=0.01, captions=2)
    model = train(fresh(), TwoCaptions(), method, CONFIG, tmp_path, quiet=True)
    assert constraint_of(model).multiplier.item() > 0


def test_an_impossible_keep_rate_is_refused():
    with pytest.raises(InputError, match="keep_rate"):
        changed(keep_rate=0.0)

"""Training: exact resume, refusal of bad states, and the schedule."""

import json
from dataclasses import replace

import pytest
import torch

from simulators import VectorWorld
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.checkpoint import read_checkpoint
from smartclip.train.config import TrainConfig
from smartclip.train.cost import SPEEDS
from smartclip.train.log import read_metrics
from smartclip.train.loop import CHECKPOINT, METRICS, train
from smartclip.train.method import Method, ModelOptions, Objective
from smartclip.train.phases import Phase, Ramp
from smartclip.train.source import WorldSource
from theory import CaptionFamily
from theory.errors import InputError

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"]])
METHOD = Method(
    name="toy",
    title="toy",
    model=ModelOptions(),
    objective=Objective(),
    phases=(
        Phase(steps=3, scale=2.0, warm_up=3),
        Phase(steps=9, scale=2.0, budget=Ramp(0.0, 0.6), sparsity=0.06),
        Phase(steps=4, gates="held", scale=Ramp(2.0, 6.0), alignment=1.0, rate=Ramp(0.6, 0.0)),
    ),
)
CONFIG = TrainConfig(batch_size=16, log_every=4, checkpoint_every=5, seed=7)


class Killed(Exception):
    """Stands for SIGKILL in the middle of a run."""


class KilledAt(WorldSource):
    def __init__(self, *args, step, **options):
        super().__init__(*args, **options)
        self.step = step

    def batch(self, step, size, device):
        if step == self.step:
            raise Killed
        return super().batch(step, size, device)


def fresh():
    torch.manual_seed(0)
    world, config = VectorWorld(FAMILY), MLPConfig(width=8, depth=1)
    text = MLPTextTower(world.text_dimension, 6, config, state_width=8)
    image = MLPImageTower(world.image_dimension, 6, config)
    return SmartCLIP(image, text, width=text.width, dimension=6, heads=2)


def source(**options):
    return WorldSource(VectorWorld(FAMILY), seed=1, steps_at_once=3, **options)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("kill", [1, 6, 11, 14])
def test_a_killed_run_ends_with_the_same_weights(tmp_path, kill):
    whole = weights(train(fresh(), source(), METHOD, CONFIG, tmp_path / "whole", quiet=True))
    dying = KilledAt(VectorWorld(FAMILY), seed=1, steps_at_once=3, step=kill)
    with pytest.raises(Killed):
        train(fresh(), dying, METHOD, CONFIG, tmp_path / "killed", quiet=True)
    resumed = weights(train(fresh(), source(), METHOD, CONFIG, tmp_path / "killed", quiet=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    lines = [read_metrics(tmp_path / run / METRICS) for run in ("whole", "killed")]
    for line in lines[0] + lines[1]:
        for name in SPEEDS:
            del line[name]
    assert lines[0] == lines[1]
    assert [line["step"] for line in lines[0]] == [4, 8, 12, 16]


def test_masks_stand_still_while_refining(tmp_path):
    model = fresh()
    short = replace(METHOD, phases=METHOD.phases[:2])
    train(model, source(), short, CONFIG, tmp_path / "short", quiet=True)
    before = weights(model)
    long = weights(train(fresh(), source(), METHOD, CONFIG, tmp_path / "long", quiet=True))
    moved = {name for name in before if not torch.equal(before[name], long[name])}
    assert "shared_logits" not in moved
    assert not any(name.startswith("mask_network") for name in moved)
    assert any(name.startswith("image_tower") for name in moved)


def test_other_settings_are_refused(tmp_path):
    train(fresh(), source(), METHOD, CONFIG, tmp_path, quiet=True)
    first, *others = METHOD.phases
    other = replace(METHOD, phases=(replace(first, scale=3.0), *others))
    with pytest.raises(InputError, match="method"):
        train(fresh(), source(), other, CONFIG, tmp_path, quiet=True)
    with pytest.raises(InputError, match="learning_rate"):
        train(fresh(), source(), METHOD, replace(CONFIG, learning_rate=0.1), tmp_path, quiet=True)


def test_a_truncated_checkpoint_is_named(tmp_path):
    train(fresh(), source(), METHOD, CONFIG, tmp_path, quiet=True)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors cannot be read"):
        train(fresh(), source(), METHOD, CONFIG, tmp_path, quiet=True)


def test_a_checkpoint_of_another_model_lists_what_does_not_fit(tmp_path):
    train(fresh(), source(), METHOD, CONFIG, tmp_path, quiet=True)
    torch.manual_seed(0)
    world, config = VectorWorld(FAMILY), MLPConfig(width=8, depth=1)
    text = MLPTextTower(world.text_dimension, 7, config, state_width=8)
    image = MLPImageTower(world.image_dimension, 7, config)
    other = SmartCLIP(image, text, width=text.width, dimension=7, heads=2)
    with pytest.raises(InputError, match=r"does not fit this model: .*\(6,\) for \(7,\)"):
        train(other, source(), METHOD, CONFIG, tmp_path, quiet=True)


def test_nan_is_refused_and_the_last_checkpoint_kept(tmp_path):
    class Broken(WorldSource):
        def batch(self, step, size, device):
            images, tokens = super().batch(step, size, device)
            return (images * torch.nan if step >= 7 else images), tokens

    with pytest.raises(InputError, match="loss is nan at step 8"):
        train(fresh(), Broken(VectorWorld(FAMILY), seed=1), METHOD, CONFIG, tmp_path, quiet=True)
    header, tensors = read_checkpoint(tmp_path / CHECKPOINT)
    assert header["step"] == "5"
    assert all(torch.isfinite(tensor.double()).all() for tensor in tensors.values())


def test_a_log_line_cut_short_is_left_out(tmp_path):
    path = tmp_path / METRICS
    path.write_text(json.dumps({"step": 4}) + "\n" + '{"step": 8, "lo')
    assert read_metrics(path) == [{"step": 4}]


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"learning_rate": 0.0}, {"log_every": 0}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        replace(CONFIG, **change)


@pytest.mark.gpu
def test_training_runs_on_a_gpu(tmp_path):
    model = train(fresh().cuda(), source(), METHOD, CONFIG, tmp_path, quiet=True)
    assert next(model.parameters()).is_cuda

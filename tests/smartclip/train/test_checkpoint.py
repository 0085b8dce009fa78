"""What is kept, what is refused, and what a run remembers."""

import os
import signal

import pytest
import torch

from simulators import VectorWorld
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.checkpoint import Checkpoints, load_model, read_checkpoint
from smartclip.train.config import TrainConfig
from smartclip.train.execution import ExecutionConfig
from smartclip.train.log import read_metrics
from smartclip.train.loop import CHECKPOINT, VALIDATION, train
from smartclip.train.method import Method, ModelOptions, Objective
from smartclip.train.optimiser import OptimiserConfig
from smartclip.train.phases import Phase, Ramp
from smartclip.train.source import WorldSource
from smartclip.train.validate import Validation
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
CONFIG = TrainConfig(batch_size=16, log_every=4, checkpoint_every=3, seed=7)


def fresh():
    torch.manual_seed(0)
    world, config = VectorWorld(FAMILY), MLPConfig(width=8, depth=1)
    text = MLPTextTower(world.text_dimension, 6, config, state_width=8)
    image = MLPImageTower(world.image_dimension, 6, config)
    return SmartCLIP(image, text, width=text.width, dimension=6, heads=2)


def source(**options):
    return WorldSource(VectorWorld(FAMILY), seed=1, **options)


def names(folder, pattern):
    return sorted(path.name for path in folder.glob(pattern))


def test_the_last_and_the_best_are_kept(tmp_path):
    validation = Validation(source=WorldSource(VectorWorld(FAMILY), seed=5), size=64)
    execution = ExecutionConfig(keep_last=3)
    train(
        fresh(),
        source(),
        METHOD,
        CONFIG,
        tmp_path,
        execution=execution,
        validation=validation,
        quiet=True,
    )
    lines = read_metrics(tmp_path / VALIDATION)
    assert [line["step"] for line in lines] == [3, 6, 9, 12, 15, 16]
    kept = [f"checkpoint-{step:08d}.safetensors" for step in (12, 15, 16)]
    assert names(tmp_path, "*checkpoint*") == [*kept, CHECKPOINT]
    best = max(lines, key=lambda line: line["image_to_caption"] + line["caption_to_image"])
    assert names(tmp_path, "*best*") == [f"best-{best['step']:08d}.safetensors"]
    header, _ = read_checkpoint(next(tmp_path.glob("best-*")))
    assert header["step"] == str(best["step"])


def test_a_death_before_the_best_got_its_name_is_made_good(tmp_path):
    checkpoints = Checkpoints(tmp_path, {})
    model = train(fresh(), source(), METHOD, CONFIG, tmp_path / "run", quiet=True)
    state = _state(model)
    state.improves(0.5)
    checkpoints.save(state)
    next(tmp_path.glob("best-*")).unlink()
    (tmp_path / ".checkpoint.safetensors.cut").write_text("half")
    again = _state(fresh())
    assert checkpoints.resume(again)
    assert names(tmp_path, "best-*") == ["best-00000000.safetensors"]
    assert not (tmp_path / ".checkpoint.safetensors.cut").exists()
    assert again.best == (0.5, 0)
    assert not again.improves(0.5)
    assert again.improves(0.6)


def _state(model):
    from smartclip.train.checkpoint import TrainState
    from smartclip.train.optimiser import make_optimiser

    return TrainState(
        model=model,
        optimiser=make_optimiser(model, CONFIG, OptimiserConfig()),
        generator=torch.Generator().manual_seed(0),
    )


def test_dual_variables_are_part_of_the_state(tmp_path):
    """They are buffers of the model, like everything else that moves without a gradient."""
    checkpoints = Checkpoints(tmp_path, {})
    model, other = fresh(), fresh()
    for part in (model, other):
        part.register_buffer("dual", torch.zeros(()))
    model.dual += 0.25
    checkpoints.save(_state(model))
    checkpoints.resume(_state(other))
    assert other.dual == 0.25


def test_the_average_is_what_a_run_returns_and_what_is_loaded(tmp_path):
    settings = OptimiserConfig(ema_decay=0.9)
    model = train(fresh(), source(), METHOD, CONFIG, tmp_path, optimiser=settings, quiet=True)
    _, tensors = read_checkpoint(tmp_path / CHECKPOINT)
    loaded = fresh()
    load_model(tmp_path / CHECKPOINT, loaded)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, tensors[f"ema/{name}"])
        assert torch.equal(parameter, loaded.get_parameter(name))
    changed = [name for name in tensors if name.startswith("ema/image")]
    assert all(not torch.equal(tensors[n], tensors[n.replace("ema", "model")]) for n in changed)
    # A finished run returns it too.
    again = train(fresh(), source(), METHOD, CONFIG, tmp_path, optimiser=settings, quiet=True)
    assert all(map(torch.equal, again.parameters(), model.parameters()))


def test_a_run_of_another_optimiser_is_refused(tmp_path):
    train(fresh(), source(), METHOD, CONFIG, tmp_path, quiet=True)
    with pytest.raises(InputError, match=r"other settings \(weight_decay\)"):
        train(
            fresh(),
            source(),
            METHOD,
            CONFIG,
            tmp_path,
            optimiser=OptimiserConfig(weight_decay=0.1),
            quiet=True,
        )


def test_other_ways_to_carry_it_out_may_continue_a_run(tmp_path):
    train(fresh(), source(), METHOD, CONFIG, tmp_path / "whole", quiet=True)
    with pytest.raises(SystemExit):
        train(
            fresh(),
            Telling(VectorWorld(FAMILY), seed=1),
            METHOD,
            CONFIG,
            tmp_path / "run",
            quiet=True,
        )
    execution = ExecutionConfig(micro_batch=5, chunk_size=4, checkpoint_activations=True)
    train(fresh(), source(), METHOD, CONFIG, tmp_path / "run", execution=execution, quiet=True)
    lines = [read_metrics(tmp_path / run / "metrics.jsonl") for run in ("whole", "run")]
    for one, other in zip(*lines, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-4)


class Telling(WorldSource):
    """SIGTERM arrives while step 7 is at work."""

    def batch(self, step, size, device):
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(step, size, device)


def test_sigterm_saves_and_exits(tmp_path, capsys):
    before = signal.getsignal(signal.SIGTERM)
    whole = train(fresh(), source(), METHOD, CONFIG, tmp_path / "whole", quiet=True)
    with pytest.raises(SystemExit) as stopped:
        train(
            fresh(),
            Telling(VectorWorld(FAMILY), seed=1),
            METHOD,
            CONFIG,
            tmp_path / "run",
            quiet=True,
        )
    assert stopped.value.code == 143
    assert "stopped by SIGTERM after step 8" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
    assert read_checkpoint(tmp_path / "run" / CHECKPOINT)[0]["step"] == "8"
    model = train(fresh(), source(), METHOD, CONFIG, tmp_path / "run", quiet=True)
    assert all(map(torch.equal, model.parameters(), whole.parameters()))


def test_a_batch_nobody_can_share_out_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("smartclip.train.ranks.ranks", lambda: 3)
    with pytest.raises(InputError, match="16 rows over 3 processes"):
        train(fresh(), source(), METHOD, CONFIG, tmp_path, quiet=True)

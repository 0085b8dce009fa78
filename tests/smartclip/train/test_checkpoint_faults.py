"""Checkpoints that are not what was written, or not of this run: named, and never believed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from simulators import VectorWorld
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train import checkpoint as module
from smartclip.train.checkpoint import (
    CHECKPOINT,
    Checkpoints,
    TrainState,
    load_model,
    read_checkpoint,
    read_header,
)
from smartclip.train.optimiser import WeightAverage
from theory import CaptionFamily
from theory.errors import InputError

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"]])
MOMENT = "optimiser/image_tower.project.weight/exp_avg"


def fresh(seed: int = 0, *, average: bool = False) -> TrainState:
    torch.manual_seed(seed)
    world, config = VectorWorld(FAMILY), MLPConfig(width=4, depth=1)
    text = MLPTextTower(world.text_dimension, 6, config, state_width=4)
    image = MLPImageTower(world.image_dimension, 6, config)
    model = SmartCLIP(image, text, width=text.width, dimension=6, heads=2)
    return TrainState(
        model=model,
        optimiser=torch.optim.AdamW(model.parameters(), fused=True),
        generator=torch.Generator().manual_seed(seed),
        average=WeightAverage(model, 0.9) if average else None,
    )


def stepped(state: TrainState, steps: int = 1) -> TrainState:
    for _ in range(steps):
        for parameter in state.model.parameters():
            parameter.grad = torch.randn_like(parameter)
        state.optimiser.step()
        state.step += 1
    return state


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    Checkpoints(tmp_path, {"rate": 1.0}).save(stepped(fresh(), 3))
    return tmp_path / CHECKPOINT


def refused(folder: Path, match: str, state: TrainState | None = None) -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        Checkpoints(folder, {"rate": 1.0}).resume(state or fresh())
    return caught.value


def test_no_flipped_byte_resumes_with_another_state(saved: Path) -> None:
    content = saved.read_bytes()
    expected = read_checkpoint(saved)
    rng = np.random.default_rng(0)
    places = [*range(8, 200, 7), *rng.integers(0, len(content), 150).tolist()]
    silent = 0
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(changed)
        try:
            header, tensors = read_checkpoint(saved)
        except InputError:
            continue
        same = header == expected[0] and all(
            torch.equal(tensors[name], each) for name, each in expected[1].items()
        )
        silent += not same
    assert silent == 0


def test_a_flipped_weight_is_named(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-5] ^= 1
    saved.write_bytes(content)
    refused(
        saved.parent, r"checkpoint\.safetensors cannot be read as a checkpoint \(.* is not what"
    )
    with pytest.raises(InputError, match="is not what was written"):
        read_checkpoint(saved)


def changed(path: Path, header: dict[str, str], tensors: dict[str, torch.Tensor]) -> None:
    """A file whose digests are right for what it holds."""
    known = {key: header[key] for key in ("step", "best", "config")}
    module._save_whole(path, tensors, known)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (MOMENT, torch.zeros(3), r"exp_avg \(3,\) for"),
        (MOMENT, torch.zeros(5_000, 5), r"exp_avg \(5000, 5\) for"),
        (MOMENT, None, "only step, exp_avg_sq"),
        (MOMENT.replace("exp_avg", "step"), torch.zeros(2), r"step \(2,\) for \(\)"),
        ("generator", torch.zeros(5, dtype=torch.uint8), r"generator \(5,\) uint8"),
        ("generator", torch.zeros(5056), "generator"),
        ("generator", None, "no generator"),
        ("ema/x", torch.zeros(1), "ema/x of nothing here"),
        ("optimiser/x/exp_avg", torch.zeros(1), "optimiser/x/exp_avg of nothing here"),
        ("model/shared", torch.zeros(1), "does not fit this model: shared"),
        ("model/image_tower.project.weight", None, "does not fit"),
    ],
)
def test_what_is_not_of_this_run_never_reaches_the_optimiser(
    saved: Path, name: str, value: torch.Tensor | None, told: str
) -> None:
    header, tensors = read_checkpoint(saved)
    tensors = {key: each for key, each in tensors.items() if key != name}
    changed(saved, header, tensors | ({} if value is None else {name: value}))
    state = fresh(1)
    before = {key: each.clone() for key, each in state.model.state_dict().items()}
    refused(saved.parent, told, state)
    assert all(torch.equal(each, before[key]) for key, each in state.model.state_dict().items())
    stepped(state)  # the optimiser is as it was


def test_other_types_are_refused(saved: Path) -> None:
    header, tensors = read_checkpoint(saved)
    key = "model/image_tower.project.weight"
    changed(saved, header, tensors | {key: tensors[key].double()})
    refused(saved.parent, "float64 for")
    changed(saved, header, tensors | {MOMENT: tensors[MOMENT].bfloat16()})
    refused(saved.parent, "bfloat16 for")


def test_an_average_is_there_or_not_as_the_run_has_it(tmp_path: Path) -> None:
    Checkpoints(tmp_path, {"rate": 1.0}).save(stepped(fresh(average=True)))
    refused(tmp_path, "ema/.* of nothing here")
    Checkpoints(tmp_path, {"rate": 1.0}).save(stepped(fresh()))
    refused(tmp_path, "no ema/", fresh(average=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": str(10**30 - 1)},
        {"step": "-1"},
        {"step": "٣"},
        {"step": ""},
        {"best": "[1]"},
        {"best": '["high", 3]'},
        {"best": "[1.0, -2]"},
        {"best": "[" * 10_000},
        {"config": "[]"},
        {"config": "{"},
    ],
    ids=str,
)
def test_a_header_that_nobody_wrote_is_refused(saved: Path, wrong: dict[str, str]) -> None:
    header, tensors = read_checkpoint(saved)
    changed(saved, header | wrong, tensors)
    refused(saved.parent, "cannot be read as a checkpoint")


def test_a_header_without_a_seal_or_with_another(saved: Path) -> None:
    header, tensors = read_checkpoint(saved)
    for told in (
        {key: each for key, each in header.items() if key != "seal"},
        header | {"step": "2"},
    ):
        save_file(tensors, saved, metadata=told)
        refused(saved.parent, "cannot be read as a checkpoint")
    save_file(tensors, saved, metadata={"format": "pt"})
    with pytest.raises(InputError, match="no training state"):
        read_header(saved)


def test_the_previous_checkpoint_is_offered(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, {"rate": 1.0}, keep_last=3)
    state = fresh()
    for _ in range(3):
        checkpoints.save(stepped(state))
    newest = tmp_path / CHECKPOINT
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(content)  # the numbered name of the newest is a link to the same bytes
    error = refused(tmp_path, "is not what was written")
    assert "checkpoint-00000002.safetensors" in error.fix
    assert "from step 2" in error.fix
    shutil.copyfile(tmp_path / "checkpoint-00000002.safetensors", tmp_path / "copy")
    (tmp_path / "copy").replace(newest)
    again = fresh(1)
    assert checkpoints.resume(again)
    assert again.step == 2


def test_header_and_tensors_are_of_one_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process puts a new checkpoint there between the two."""
    other = fresh(5)
    Checkpoints(saved.parent / "other", {"rate": 1.0}).save(stepped(other, 9))
    expected = read_checkpoint(saved)
    read = module._Saved._read

    def replacing(self: module._Saved, name: str) -> torch.Tensor:
        if not saved.with_name("moved").exists():
            saved.rename(saved.with_name("moved"))
            shutil.copyfile(saved.parent / "other" / CHECKPOINT, saved)
        return read(self, name)

    monkeypatch.setattr(module._Saved, "_read", replacing)
    state = fresh(1)
    assert Checkpoints(saved.parent, {"rate": 1.0}).resume(state)
    assert state.step == 3
    for name, tensor in state.model.state_dict().items():
        assert torch.equal(tensor, expected[1][f"model/{name}"])


def test_weights_alone_are_checked_too(saved: Path) -> None:
    model = fresh(1).model
    load_model(saved, model)
    header, tensors = read_checkpoint(saved)
    key = "ema/image_tower.project.weight"
    changed(saved, header, tensors | {key: torch.zeros(7)})
    with pytest.raises(InputError, match=r"ema/.*\(7,\)"):
        load_model(saved, model)
    assert json.loads(header["digests"]).keys() == tensors.keys()

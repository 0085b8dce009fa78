"""A run that is killed and started again; what a verification says of itself."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.recipes.vectors import VectorRecipe
from experiments.verification import Verification, verify
from smartclip.towers.mlp import MLPConfig
from smartclip.train.checkpoint import read_checkpoint
from smartclip.train.config import TrainConfig
from theory import InputError
from theory.recovery import block_recovery

RECIPE = VectorRecipe(
    captions=(("a", "b"), ("b", "c")),
    sizes=(("b", 2),),
    tower=MLPConfig(width=16, depth=1),
    train=TrainConfig(
        steps=24, refine_steps=8, batch_size=32, log_every=4, checkpoint_every=5, seed=2
    ),
    samples=128,
)

# Trains the recipe given as text, and stands still at a step until it is killed.
DYING = """
import sys, time, torch
from pathlib import Path
import experiments.recipes.vectors as vectors
import experiments.verification as verification
from experiments.recipes.vectors import VectorRecipe
from smartclip.towers.mlp import MLPConfig
from smartclip.train.config import TrainConfig
from smartclip.train.source import WorldSource

class Standing(WorldSource):
    def batch(self, step, size, device):
        if step == 17:
            print("standing", flush=True)
            time.sleep(600)
        return super().batch(step, size, device)

vectors.WorldSource = Standing
recipe = eval(sys.argv[1])
verification.verify(recipe, Path(sys.argv[2]), device=torch.device("cpu"), quiet=True)
"""


def run(root: Path) -> Verification:
    return verify(RECIPE, root, device=torch.device("cpu"), quiet=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Verification:
    return run(tmp_path_factory.mktemp("whole"))


def test_a_killed_process_goes_on_to_the_same_weights(whole: Verification, tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", DYING, repr(RECIPE), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "standing\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode != 0
    (folder,) = tmp_path.iterdir()
    assert read_checkpoint(folder / "checkpoint.safetensors")[0]["step"] == "15"
    assert not (folder / "result.json").exists()

    again = run(tmp_path)
    assert again.folder.path == folder
    weights = [
        read_checkpoint(done.folder.path / "checkpoint.safetensors")[1] for done in (whole, again)
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    results = [(done.folder.path / "result.json").read_bytes() for done in (whole, again)]
    assert results[0] == results[1]


def test_another_seed_is_another_run(whole: Verification, tmp_path: Path):
    recipe = replace(RECIPE, train=replace(RECIPE.train, seed=3))
    other = verify(recipe, tmp_path, device=torch.device("cpu"), quiet=True)
    assert other.folder.path.name != whole.folder.path.name
    assert not torch.equal(other.code.image, whole.code.image)


def test_training_does_not_move_the_random_numbers_of_others(tmp_path: Path):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    run(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_section_tells_the_verdict(whole: Verification):
    section = whole.section()
    assert section.verdict == whole.recovery.verdict
    assert section.good is whole.recovery.as_predicted
    assert "{a, b}" in section.title
    assert all(picture.path.read_bytes().startswith(b"\x89PNG") for picture in section.pictures)
    assert set(section.tables[0][1]["block"]) >= {"a, b", "b, c", "b"}


def test_independent_latents_are_measured_where_concepts_depend(
    whole: Verification, tmp_path: Path
):
    assert whole.independent is None
    assert whole.independent_words == ""
    recipe = replace(RECIPE, dependence=0.6)
    done = verify(recipe, tmp_path, device=torch.device("cpu"), quiet=True)
    assert done.independent is not None
    assert max(row.completeness.floor for row in done.independent.blocks) < 0.1
    assert max(row.completeness.floor for row in done.recovery.blocks) > 0.1
    assert done.independent_words in done.section().steps
    assert done.fold_words in done.section().steps
    assert json.loads(json.dumps(done.to_dict()))["independent"] == done.independent.to_dict()


def test_luck_is_told_with_its_twin(whole: Verification):
    lucky = replace(whole, twins={"a": "b"})
    assert "a came out alone without a promise" in lucky.twin_words
    assert "mixes a with b" in lucky.twin_words
    assert lucky.twin_words in lucky.section().steps
    assert lucky.to_dict()["twins"] == [["a", "b"]]
    assert replace(whole, twins={}).twin_words == ""


def test_nan_in_the_latents_is_refused(whole: Verification):
    batch = RECIPE.world().sample(RECIPE.samples, seed=0)
    z = batch.latents.clone()
    z[5, 1] = torch.nan
    with pytest.raises(InputError, match="z") as caught:
        block_recovery(
            z,
            whole.code.image,
            family=whole.prediction.family,
            masks=whole.code.caption_masks,
        )
    assert "\n" not in str(caught.value)
    assert "NaN" in str(caught.value) or "finite" in str(caught.value)

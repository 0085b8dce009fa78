"""The measurement of blocks: what it says of itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.datasets.vectors import Vectors
from experiments.results.blocks import Blocks
from experiments.run import train_and_measure
from theory import InputError
from theory.recovery import block_recovery

CPU = torch.device("cpu")
OPTIONS = Vectors(debug=True, captions="a,b;b,c", sizes="b=2", samples=128)


def run(root: Path, options: Vectors, method: str = "ours") -> Blocks:
    done = train_and_measure(options, [method], root, seed=2, device=CPU, quiet=True)
    assert isinstance(done, Blocks)
    return done


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    return run(tmp_path_factory.mktemp("whole"), OPTIONS)


def test_the_section_tells_the_verdict(whole: Blocks):
    section = whole.section()
    assert section.verdict == whole.recovery.verdict
    assert section.good is whole.recovery.as_predicted
    assert "{a, b}" in section.title
    assert all(picture.path.read_bytes().startswith(b"\x89PNG") for picture in section.pictures)
    assert set(section.tables[0][1]["block"]) >= {"a, b", "b, c", "b"}


def test_independent_latents_are_measured_where_concepts_depend(whole: Blocks, tmp_path: Path):
    assert whole.independent is None
    assert whole.independent_words == ""
    done = run(tmp_path, replace(OPTIONS, dependence=0.6))
    assert done.independent is not None
    assert max(row.completeness.floor for row in done.independent.blocks) < 0.1
    assert max(row.completeness.floor for row in done.recovery.blocks) > 0.1
    assert done.independent_words in done.section().steps
    assert done.fold_words in done.section().steps
    assert json.loads(json.dumps(done.to_dict()))["independent"] == done.independent.to_dict()


def test_luck_is_told_with_its_twin(whole: Blocks):
    lucky = replace(whole, twins={"a": "b"})
    assert "a came out alone without a promise" in lucky.twin_words
    assert "mixes a with b" in lucky.twin_words
    assert lucky.twin_words in lucky.section().steps
    assert lucky.to_dict()["twins"] == [["a", "b"]]
    assert replace(whole, twins={}).twin_words == ""


def test_clip_opens_everything_and_separates_nothing(tmp_path: Path):
    done = run(tmp_path, OPTIONS, "clip")
    assert bool(done.code.caption_masks.all())
    assert done.code.agreement == 1
    assert not done.recovery.as_predicted


def test_nan_in_the_latents_is_refused(whole: Blocks):
    batch = OPTIONS.load().world.sample(128, seed=0)
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

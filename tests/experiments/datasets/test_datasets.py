"""A contract for every data set: every method trains on it, on the same towers and batches."""

from pathlib import Path

import pytest
import torch

from experiments.datasets import datasets
from experiments.datasets.dataset import Data, Dataset
from experiments.datasets.emoji import EmojiSet
from experiments.datasets.pairs import Pairs
from experiments.reading import Reading
from experiments.run import Run, trained
from smartclip.data.emoji import EmojiData
from smartclip.methods import METHODS
from smartclip.train.log import read_metrics

CPU = torch.device("cpu")
NAMES = tuple(datasets())


@pytest.fixture(scope="module")
def loaded(emoji_twin: EmojiData, pair_table: Path):
    """Each data set, loaded once: the twin of seconds, on data made here."""
    known: dict[str, Data] = {}

    def load(name: str) -> Data:
        if name not in known:
            kind = datasets()[name]
            options: Dataset = kind(debug=True)
            if kind is Pairs:
                options = Pairs(debug=True, held_out=4, reading=Reading(source=pair_table))
            known[name] = options.load()
        return known[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmojiData, "load", classmethod(lambda *_: emoji_twin))
        yield load


def test_the_data_sets_list_themselves():
    assert set(NAMES) >= {"vectors", "digits", "scenes", "emoji", "pairs"}
    assert all(one.name == name and one.__doc__ for name, one in datasets().items())
    assert EmojiSet().beside == ("clip",)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_every_method_trains_on_every_data_set(name: str, method: str, loaded, tmp_path: Path):
    data = loaded(name)
    run = Run.of(data, method, steps=4)
    fresh = run.model(data, CPU)
    done = trained(run, data, tmp_path, device=CPU, quiet=True)
    lines = read_metrics(done.folder.path / "metrics.jsonl")
    assert lines[-1]["step"] == 4
    assert all({"keep_rate", "used", "overlap"} <= line.keys() for line in lines)
    before = dict(fresh.text_tower.named_parameters())
    assert any(
        not torch.equal(before[key], value)
        for key, value in done.model.text_tower.named_parameters()
    )
    with data.source(seed=7, captions=1) as source:
        _, tokens = source.batch(0, run.config.batch_size, CPU)
    mask = done.model.encode_text(tokens)[1]
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    if method in ("clip", "long-clip"):
        assert done.model.mask_network is None
        assert mask.eq(1).all()
        assert all(line["keep_rate"] == 1 and line["loss"] == line["contrastive"] for line in lines)
    if method == "published":
        # Masks start all ones, and four steps close no gate.
        assert all(line["keep_rate"] == 1 and line["logit_scale"] == 100 for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_all_methods_start_from_the_same_towers(name: str, loaded):
    data = loaded(name)
    models = [Run.of(data, method, seed=3).model(data, CPU) for method in METHODS]
    first = models[0].image_tower.state_dict()
    for model in models[1:]:
        for key, tensor in model.image_tower.state_dict().items():
            torch.testing.assert_close(tensor, first[key])
    steps = {Run.of(data, method).method.steps for method in METHODS}
    assert len(steps) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_a_pure_function_of_seed_and_step(name: str, loaded):
    data = loaded(name)
    data.towers()  # pairs learn here how pictures are normalised
    for captions in (1, 2):
        with data.source(seed=5, captions=captions) as source:
            source.batch(0, 4, CPU)
            ours = source.batch(2, 4, CPU)
        with data.source(seed=5, captions=captions) as source:
            theirs = source.batch(2, 4, CPU)
        assert all(map(torch.equal, ours, theirs))
        assert len(ours[0]) == len(ours[1]) == 4
        assert ours[1].ndim == 1 + captions

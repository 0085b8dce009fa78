"""Pairs: the published settings, twins that differ in size only, and what a run depends on."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from experiments.datasets.pairs import RECIPES, PairData, Pairs, PairStream
from experiments.reading import Reading
from experiments.run import Run
from smartclip.data.stream import StreamSource
from smartclip.gates import hard_gate
from smartclip.text import CaptionReader
from smartclip.train.optimiser import make_optimiser
from smartclip.train.phases import moment
from smartclip.train.source import RowSource, reported
from theory.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def options(pair_table: Path) -> Pairs:
    return Pairs(debug=True, held_out=4, reading=Reading(source=pair_table))


def test_the_published_settings():
    for name, dimension, heads in (("vit-b-16", 512, 8), ("vit-l-14", 768, 12)):
        options = Pairs(recipe=name)
        method, training = options.method("published", 9_000), options.config(0)
        assert (options.dimension, options.settings.heads) == (dimension, heads)
        assert (training.learning_rate, training.mask_learning_rate) == (1e-6, 1e-3)
        assert training.batch_size == 1024
        assert options.optimiser().weight_decay == 1e-2
        assert (method.model.gate, options.policy) == ("straight_through", "prefix")
        (phase,) = method.phases
        assert (phase.scale, phase.budget, phase.warm_up) == (100.0, 0.0, 200)
        # 2 mean|m| + 10 (H + H), up to a factor, is (H + H) / 2 + sparsity |m|.
        assert phase.sparsity / 0.5 == pytest.approx((2 / dimension) / 10)


def test_rates_warm_up_and_fall_along_a_cosine():
    phases = Pairs(recipe="vit-b-16").method("published", 9_000).phases
    rates = [moment(phases, step).rate for step in range(9_000)]
    assert rates[:200] == pytest.approx([(step + 1) / 200 for step in range(200)])
    assert rates[200 + 4400] == pytest.approx(0.5)
    assert rates[-1] < 1e-6
    assert all(after < before for before, after in pairwise(rates[200:]))


@pytest.mark.parametrize("name", RECIPES)
def test_a_twin_differs_in_size_only(name: str):
    full, twin = Pairs(recipe=name), Pairs(recipe=name, debug=True)
    methods = [options.method("published", 40) for options in (full, twin)]
    changed = [
        replace(
            one, phases=tuple(replace(p, sparsity=0.0, warm_up=0, rate=1.0) for p in one.phases)
        )
        for one in methods
    ]
    assert changed[0] == changed[1]
    assert methods[0].phases[0].sparsity * full.dimension == pytest.approx(
        methods[1].phases[0].sparsity * twin.dimension
    )
    assert full.optimiser() == twin.optimiser()
    assert "not yet run" in full.settings.record.minutes


def test_training_starts_from_exactly_the_clip_of_the_weights(options: Pairs):
    data = options.load()
    run = Run.of(data, "published", seed=1)
    model, again = run.model(data, CPU), run.model(data, CPU)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[name])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        towers = data.towers()
    tokens = data.tokenizer.tokenise(["a bear", "a pen. a chair"])
    with torch.no_grad():
        text, mask = model.encode_text(tokens)
        torch.testing.assert_close(text, towers.text(tokens)[0])
    assert mask.all()
    assert hard_gate(model.mask_network.score.bias).all()


def test_decay_is_for_the_backbone_only(options: Pairs):
    data = options.load()
    run = Run.of(data, "published")
    model = run.model(data, CPU)
    optimiser = make_optimiser(model, run.config, options.optimiser())
    masks = {id(parameter) for parameter in model.mask_network.parameters()}
    for group in optimiser.param_groups:
        of_masks = {id(parameter) in masks for parameter in group["params"]}
        assert len(of_masks) == 1
        assert group["lr"] == (1e-3 if of_masks == {True} else 1e-6)
        if of_masks == {True}:
            assert group["weight_decay"] == 0
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.0, 1e-2}


def test_epochs_are_counted_on_the_data(options: Pairs, monkeypatch: pytest.MonkeyPatch):
    data = replace(options, batch_size=4, recipe="vit-b-16").load()
    assert data.steps is None  # a twin takes its own four steps
    monkeypatch.setattr(data, "options", replace(data.options, debug=False))
    assert data.steps == 3 * (10 // 4)


@pytest.mark.parametrize("held_out", [0, 1, 14, 20])
def test_too_many_or_too_few_held_out(options: Pairs, held_out: int):
    with pytest.raises(InputError, match="pictures held out"):
        replace(options, held_out=held_out).load()


def test_batches_too_large_are_refused(options: Pairs):
    data = replace(options, batch_size=11).load()
    with pytest.raises(InputError, match="10 pictures for batches of 11"):
        Run.of(data, "published")


def test_a_source_gives_a_rank_its_rows_only(options: Pairs):
    data = options.load()
    data.towers()
    with data.source(seed=0, captions=1) as source:
        assert isinstance(source, PairStream)
        assert isinstance(source, RowSource)
        images, tokens = source.batch(0, 4, CPU)
        assert images.shape == (4, 3, 32, 32)
        assert tokens.shape == (4, 248)
        with pytest.raises(InputError, match="rows 0 to 2 of 4"):
            source.rows(0, 4, slice(0, 2), CPU)
        assert set(reported(source)) == {"captions_cut", "pictures_left_out"}


def test_the_second_caption_is_the_first_sentence_of_the_first(options: Pairs):
    data = options.load()
    tokenise = data.tokenizer.tokenise
    with StreamSource(
        data.training, CaptionReader(data.tokenizer), seed=0, crop=data.crop,
        policy="all", split="published", short_captions=True,
    ) as stream:  # fmt: skip
        _, tokens = stream.batch(0, 6, CPU)
        said = stream.captions(0, 6)
    assert tokens.shape == (6, 2, 248)
    assert torch.equal(tokens[:, 0], tokenise(said, truncate=True))
    first = [caption.split(". ")[0] for caption in said]
    assert torch.equal(
        tokens[:, 1], tokenise([one if one.endswith(".") else f"{one}." for one in first])
    ) or torch.equal(tokens[:, 1], tokenise(first))


def test_a_run_is_known_by_the_content_of_its_weights(options: Pairs, tmp_path: Path):
    weights = tmp_path / "w.safetensors"
    found: list[dict[str, object]] = []
    for content in (b"one", b"other", b"one"):
        weights.write_bytes(content)
        found.append(replace(options, weights=str(weights)).load().identity())
    assert found[0] == found[2] != found[1]
    assert isinstance(options.load(), PairData)

"""A recipe's twin on a small data set, from the command line to the report."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from experiments.cli import main
from experiments.held_out import hold_out
from experiments.pairs import PairSource, train_pairs
from experiments.recipes.published import vit_b_16, vit_b_16_500_steps
from smartclip.data.crop import MEAN, STD
from smartclip.data.formats import read
from smartclip.data.pictures import PictureError
from smartclip.data.stream import StreamSource
from smartclip.text import CaptionReader, CLIPTokenizer
from smartclip.train.log import read_metrics
from smartclip.train.source import RowSource, reported
from theory.errors import InputError

CPU = torch.device("cpu")
COUNT = 14


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    rows = ["image,caption"]
    for row in range(COUNT):
        levels = rng.integers(0, 256, (40, 52, 3), dtype=np.uint8)
        Image.fromarray(levels).save(root / f"{row}.png")
        more = "More words come along. " * (90 if row % 2 else 1)
        rows.append(f'{row}.png,"A bear number {row}. {more}"')
        rows.append(f'{row}.png,"Another caption of number {row}."')
    (root / "captions.csv").write_text("\n".join(rows))
    return root / "captions.csv"


@pytest.fixture(scope="module")
def finished(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    run(table, root, "answer.json")
    return root


def run(table: Path, root: Path, answer: str, *flags: str) -> None:
    """`smartclip train pairs` on four held-out pictures."""
    fixed = ("--debug", "--held-out", "4", "--device", "cpu", "--out", str(root))
    main(["train", "pairs", str(table), *fixed, *flags, "--json", str(root / answer)])


def test_what_is_told_and_kept(finished: Path):
    (folder,) = finished.glob("vit-b-16-500-steps-debug-*")
    kept = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert {
        "config.json", "metrics.jsonl", "validation.jsonl", "checkpoint.safetensors",
        "cost.json", "result.json", "report.html", "figures/training.png",
    } <= kept  # fmt: skip
    answer = json.loads((finished / "answer.json").read_text())
    assert answer["weights"] == "random"
    assert answer["held_out"] == 4
    assert set(answer["after"]) == {"masked", "unmasked"}
    # Eight captions of four pictures, each asking for its own.
    assert answer["before"]["caption_to_image"]["queries"] == 8
    assert answer["before"]["caption_to_image"]["chance"]["1"] == pytest.approx(0.25)


def test_captions_that_are_cut_are_told_before_and_in_the_log(finished: Path):
    (folder,) = finished.glob("vit-b-16-500-steps-debug-*")
    captions = json.loads((finished / "answer.json").read_text())["captions"]
    assert captions["too_long"] == pytest.approx(5 / 20)
    assert captions["longest"] > 248 == captions["context"]
    lines = read_metrics(folder / "metrics.jsonl")
    assert all(0 <= line["captions_cut"] <= 1 for line in lines)
    assert all(line["pictures_left_out"] == 0 for line in lines)
    assert len(lines) == 4


def test_the_same_command_shows_the_same_result(finished: Path, table: Path, capsys):
    before = json.loads((finished / "answer.json").read_text())
    run(table, finished, "again.json", "--micro-batch", "2")
    assert json.loads((finished / "again.json").read_text()) == before
    told = " ".join(capsys.readouterr().out.split())
    assert "10 pictures to train on, 4 held out; 25.0% of 20 captions are longer than 248" in told
    assert len(list(finished.glob("vit-b-16-500-steps-debug-*"))) == 1


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(
    finished: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch = StreamSource.batch

    def stopped(self: StreamSource, step: int, size: int, device: torch.device):
        if step == 3:
            raise KeyboardInterrupt
        return batch(self, step, size, device)

    with monkeypatch.context() as patch:
        patch.setattr(StreamSource, "batch", stopped)
        with pytest.raises(SystemExit, match="130"):
            run(table, tmp_path, "answer.json")
    assert not (tmp_path / "answer.json").exists()
    run(table, tmp_path, "answer.json")
    first, second = (
        [
            {key: value for key, value in line.items() if key in ("step", "loss", "keep_rate")}
            for root in (finished, tmp_path)
            for folder in root.glob("vit-b-16-500-steps-debug-*")
            for line in read_metrics(folder / "metrics.jsonl")
        ][part]
        for part in (slice(0, 4), slice(4, 8))
    )
    assert len(first) == 4
    assert first == second


def test_weights_of_ones_own(table: Path, tmp_path: Path):
    recipe = vit_b_16_500_steps().debug()
    model, _ = recipe.make(CPU)
    towers = {
        **{f"visual.{k}": v for k, v in model.image_tower.transformer.state_dict().items()},
        **model.text_tower.transformer.state_dict(),
    }
    save_file({name: t.clone() for name, t in towers.items()}, tmp_path / "clip.safetensors")
    told = []
    size = {"quick_gelu": True, "vision_cfg": {}, "text_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": size}))
    start = replace(recipe, weights=str(tmp_path / "clip.safetensors"))
    result = train_pairs(
        start, read(table), tmp_path, device=CPU, held_out=4, say=told.append, quiet=True
    )
    assert result is not None
    assert result.weights == str(tmp_path / "clip.safetensors")
    assert any("clip.safetensors" in line for line in told)
    assert "before training" in result.verdict()


def test_a_picture_that_cannot_be_used(table: Path, tmp_path: Path):
    for number in range(COUNT):
        content = (table.parent / f"{number}.png").read_bytes()
        (tmp_path / f"{number}.png").write_bytes(b"broken" if number in (1, 9) else content)
    (tmp_path / "captions.csv").write_text(table.read_text())
    data = read(tmp_path / "captions.csv")
    recipe = vit_b_16().debug()
    with pytest.raises(PictureError, match=r"1\.png"):
        train_pairs(recipe, data, tmp_path, device=CPU, held_out=4, say=str, quiet=True)
    result = train_pairs(
        recipe, data, tmp_path, device=CPU, held_out=4, skip=True, say=str, quiet=True
    )
    assert result is not None
    assert result.pictures == 3
    assert result.left_out == 2


@pytest.mark.parametrize("held_out", [0, 1, 14, 20])
def test_too_many_or_too_few_held_out(table: Path, tmp_path: Path, held_out: int):
    with pytest.raises(InputError, match="pictures held out"):
        train_pairs(
            vit_b_16().debug(), read(table), tmp_path, device=CPU, held_out=held_out, say=str
        )


def test_batches_too_large_are_refused(table: Path, tmp_path: Path):
    recipe = vit_b_16().debug()
    large = replace(recipe, train=replace(recipe.train, batch_size=11))
    with pytest.raises(InputError, match="10 pictures for batches of 11"):
        train_pairs(large, read(table), tmp_path, device=CPU, held_out=4, say=str)


def test_a_source_gives_a_rank_its_rows_only(table: Path):
    recipe = vit_b_16().debug()
    reader = CaptionReader(recipe.tokenizer)
    with StreamSource(read(table), reader, seed=0, crop=recipe.crop) as stream:
        source = PairSource(stream, reader)
        assert isinstance(source, RowSource)
        images, tokens = source.batch(0, 4, CPU)
        assert images.shape == (4, 3, 32, 32)
        assert tokens.shape == (4, 248)
        with pytest.raises(InputError, match="rows 0 to 2 of 4"):
            source.rows(0, 4, slice(0, 2), CPU)
        assert set(reported(source)) == {"captions_cut", "pictures_left_out"}


def test_pictures_held_out_are_a_source_too(table: Path):
    recipe = vit_b_16().debug()
    reader = CaptionReader(CLIPTokenizer(context=248))
    held = hold_out(read(table), reader, recipe.crop, mean=MEAN, std=STD)
    images, tokens = held.batch(3, 5, CPU)
    some_images, some_tokens = held.rows(0, 5, slice(2, 4), CPU)
    assert torch.equal(images[2:4], some_images)
    assert torch.equal(tokens[2:4], some_tokens)
    # The first caption of each picture, its second being the next row.
    assert torch.equal(tokens, held.tokens[:10:2])
    assert held.relevant().sum() == len(held.tokens) == 2 * COUNT
    assert reader.captions == 2 * COUNT


@pytest.mark.gpu
def test_on_a_gpu_in_low_precision_it_starts_where_the_cpu_does(table: Path, tmp_path: Path):
    recipe = vit_b_16().debug()
    low = replace(recipe, execution=replace(recipe.execution, precision="bfloat16"))
    losses = []
    for number, (each, device) in enumerate(((recipe, CPU), (low, torch.device("cuda")))):
        result = train_pairs(
            each,
            read(table),
            tmp_path / str(number),
            device=device,
            held_out=4,
            say=str,
            quiet=True,
        )
        assert result is not None
        losses.append(read_metrics(result.folder.path / "metrics.jsonl")[0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.05)

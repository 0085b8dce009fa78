"""Fine-tuning on a small data set, from the command line to the report."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from experiments.cli import main
from experiments.datasets.pairs import Pairs
from experiments.reading import Reading
from experiments.results.fine_tuning import FineTuning
from experiments.run import Run, train_and_measure
from smartclip.data.pictures import PictureError
from smartclip.data.stream import StreamSource
from smartclip.train.log import read_metrics

CPU = torch.device("cpu")
COUNT = 14


@pytest.fixture(scope="module")
def finished(pair_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    run(pair_table, root, "answer.json")
    return root


def run(table: Path, root: Path, answer: str, *flags: str) -> None:
    """`smartclip train pairs` on four held-out pictures."""
    fixed = ("--debug", "--held-out", "4", "--device", "cpu", "--out", str(root))
    main(["train", "pairs", str(table), *fixed, *flags, "--json", str(root / answer)])


def tuned(options: Pairs, root: Path, device: torch.device = CPU) -> FineTuning:
    done = train_and_measure(options, ["published"], root, seed=0, device=device, quiet=True)
    assert isinstance(done, FineTuning)
    return done


def test_what_is_told_and_kept(finished: Path):
    (folder,) = finished.glob("pairs-published-*")
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
    (folder,) = finished.glob("pairs-published-*")
    captions = json.loads((finished / "answer.json").read_text())["captions"]
    assert captions["too_long"] == pytest.approx(5 / 20)
    assert captions["longest"] > 248 == captions["context"]
    lines = read_metrics(folder / "metrics.jsonl")
    assert all(0 <= line["captions_cut"] <= 1 for line in lines)
    assert all(line["pictures_left_out"] == 0 for line in lines)
    assert len(lines) == 4


def test_the_same_command_shows_the_same_result(finished: Path, pair_table: Path, capsys):
    before = json.loads((finished / "answer.json").read_text())
    run(pair_table, finished, "again.json", "--micro-batch", "2")
    assert json.loads((finished / "again.json").read_text()) == before
    told = " ".join(capsys.readouterr().out.split())
    assert "10 pictures to train on, 4 held out; 25.0% of 20 captions are longer than 248" in told
    assert len(list(finished.glob("pairs-published-*"))) == 1


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(
    finished: Path, pair_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch = StreamSource.batch

    def stopped(self: StreamSource, step: int, size: int, device: torch.device):
        if step == 3:
            raise KeyboardInterrupt
        return batch(self, step, size, device)

    with monkeypatch.context() as patch:
        patch.setattr(StreamSource, "batch", stopped)
        with pytest.raises(SystemExit, match="130"):
            run(pair_table, tmp_path, "answer.json")
    assert not (tmp_path / "answer.json").exists()
    run(pair_table, tmp_path, "answer.json")
    first, second = (
        [
            {key: value for key, value in line.items() if key in ("step", "loss", "keep_rate")}
            for root in (finished, tmp_path)
            for folder in root.glob("pairs-published-*")
            for line in read_metrics(folder / "metrics.jsonl")
        ][part]
        for part in (slice(0, 4), slice(4, 8))
    )
    assert len(first) == 4
    assert first == second


def test_weights_of_ones_own(pair_table: Path, tmp_path: Path):
    options = Pairs(debug=True, held_out=4, reading=Reading(source=pair_table))
    data = options.load()
    model = Run.of(data, "published").model(data, CPU)
    towers = {
        **{f"visual.{k}": v for k, v in model.image_tower.transformer.state_dict().items()},
        **model.text_tower.transformer.state_dict(),
    }
    weights = tmp_path / "clip.safetensors"
    save_file({name: t.clone() for name, t in towers.items()}, weights)
    size = {"quick_gelu": True, "vision_cfg": {}, "text_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": size}))
    own = replace(options, weights=str(weights))
    assert any("clip.safetensors" in line for line in own.load().about())
    result = tuned(own, tmp_path)
    assert result.weights == str(weights)
    assert "before training" in result.verdict()


def test_a_picture_that_cannot_be_used(pair_table: Path, tmp_path: Path):
    for number in range(COUNT):
        content = (pair_table.parent / f"{number}.png").read_bytes()
        (tmp_path / f"{number}.png").write_bytes(b"broken" if number in (1, 9) else content)
    (tmp_path / "captions.csv").write_text(pair_table.read_text())
    reading = Reading(source=tmp_path / "captions.csv")
    options = Pairs(debug=True, held_out=4, reading=reading)
    with pytest.raises(PictureError, match=r"1\.png"):
        tuned(options, tmp_path)
    result = tuned(replace(options, skip=True), tmp_path)
    assert result.pictures == 3
    assert result.left_out == 2


def test_clip_has_one_reading(pair_table: Path, tmp_path: Path):
    run(pair_table, tmp_path, "answer.json", "--method", "clip")
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert set(answer["after"]) == {"unmasked"}


@pytest.mark.gpu
def test_on_a_gpu_in_low_precision_it_starts_where_the_cpu_does(pair_table: Path, tmp_path: Path):
    options = Pairs(debug=True, held_out=4, reading=Reading(source=pair_table))
    low = replace(options, precision="bfloat16")
    losses = []
    for each, device in ((options, CPU), (low, torch.device("cuda"))):
        result = tuned(each, tmp_path, device)
        losses.append(read_metrics(result.folder.path / "metrics.jsonl")[0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.05)

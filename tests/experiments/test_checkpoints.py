"""Checkpoints of all origins as ready models."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from experiments.checkpoints import read_model, run_settings
from experiments.cli import main
from smartclip.ready import read_clip
from theory.errors import InputError


@pytest.fixture(scope="module")
def run(pair_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on pairs."""
    root = tmp_path_factory.mktemp("runs")
    fixed = ("--debug", "--held-out", "4", "--device", "cpu", "--out", str(root))
    main(["train", "pairs", str(pair_table), *fixed])
    (folder,) = root.glob("pairs-published-*")
    return folder


@torch.no_grad()
def test_a_run_is_read_with_its_masks(run: Path):
    ready = read_model(str(run))
    again = read_model(str(run / "checkpoint.safetensors"))
    assert ready.masked
    assert (ready.tokenizer.context, ready.logit_scale, ready.start) == (248, 100.0, "random")
    assert ready.method == "SmartCLIP, published"
    assert run_settings(ready)["training"]["batch_size"] == 4
    saved = load_file(run / "checkpoint.safetensors")
    for name, tensor in ready.model.state_dict().items():
        assert torch.equal(tensor, saved[f"model/{name}"])
        assert torch.equal(tensor, again.model.state_dict()[name])
    assert not ready.model.training


def test_a_run_keeps_its_context(run: Path):
    with pytest.raises(InputError, match="trained with"):
        read_model(str(run), context=77)


def test_a_run_on_other_data_is_told(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"data": "scenes", "training": {}}))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="a run on scenes"):
        read_model(str(tmp_path / "checkpoint.safetensors"))


def test_nothing_there():
    with pytest.raises(InputError, match="the checkpoint 'nothing'"):
        read_model("nothing")


def test_exports_of_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("transformers")
    answer = tmp_path / "answer.json"
    kinds = ("open-clip", "hugging-face", "stable-diffusion")
    words = ["export", str(run), "--to", *kinds, "--out", str(tmp_path / "made")]
    main([*words, "--licence", "apache-2.0", "--json", str(answer)])
    told = json.loads(answer.read_text())
    assert told["kinds"] == list(kinds)
    assert all(Path(file).is_file() for file in told["files"])
    card = Path(told["card"]).read_text()
    assert "license: apache-2.0" in card
    assert "batch: 4" in card
    assert "R@1, caption to image, masked, among 4 held out" in card
    ours = read_model(str(run))
    tokens = ours.tokenizer.tokenise(["a bear with a pen"])
    for kind in ("open-clip", "hugging-face"):
        again = read_clip(str(tmp_path / "made" / kind))
        assert again.architecture == ours.architecture
        with torch.no_grad():
            torch.testing.assert_close(
                again.model.encode_text(tokens)[0], ours.model.encode_text(tokens)[0]
            )


def test_sdxl_needs_its_pipeline(run: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(run), "--to", "sdxl"])
    assert stopped.value.code == 2
    assert "text_encoder_2" in capsys.readouterr().err


def test_evaluate_tells_scores_protocol_and_gains(run: Path, pair_table: Path, tmp_path: Path):
    answer = tmp_path / "answer.json"
    main([
        "evaluate", str(run), "--tasks", f"retrieval={pair_table}", "--beside", str(run),
        "--out", str(tmp_path / "runs"), "--device", "cpu", "--json", str(answer),
    ])  # fmt: skip
    told = json.loads(answer.read_text())
    found = told["retrieval"]
    assert found["model"]["scores"] == found["beside"]["scores"]
    gains = found["gains"].values()
    assert {(each["mean"], each["decided"]) for each in gains} == {(0.0, False)}
    protocol = found["model"]["protocol"]
    assert protocol["pictures"] == "14 of 14"
    assert protocol["captions cut"] == "7 of 28"
    assert protocol["context"] == 248
    scores = found["model"]["scores"]
    assert {"R@10, image to text, masked", "R@1, text to image, unmasked"} <= set(scores)
    assert "R@1, text to image, masked, first sentence dropped" in scores
    assert Path(told["report"]).is_file()
    figures = Path(told["report"]).parent / "figures"
    assert {each.name for each in figures.iterdir()} == {"retrieval.png", "retrieval-length.png"}


@pytest.mark.parametrize("task", ["retrieval", "walking=.", "retrieval=nothing"])
def test_tasks_that_cannot_be_asked(run: Path, task: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", str(run), "--tasks", task])
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@torch.no_grad()
def test_long_clips_two_tables_of_positions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Long-CLIP's layout: 20 rows of one table, the others of the second."""
    from smartclip.export.open_clip import write_open_clip
    from smartclip.towers.open_clip import load_open_clip

    config = {
        "embed_dim": 12, "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {
            "context_length": 248, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1
        },
    }  # fmt: skip
    monkeypatch.setitem(load_open_clip().factory._MODEL_CONFIGS, "long", config)
    ready = read_clip("long/random")
    write_open_clip(ready, tmp_path)
    tensors = load_file(tmp_path / "open_clip_model.safetensors")
    whole = tensors["positional_embedding"]
    first, later = torch.randn(2, *whole.shape)
    first[:20], later[20:] = whole[:20], whole[20:]
    tensors |= {"positional_embedding": first, "positional_embedding_res": later}
    path = tmp_path / "longclip.safetensors"
    save_file(tensors, path)
    found = read_clip(str(path))
    assert found.architecture == ready.architecture
    tokens = ready.tokenizer.tokenise(["a bear " * 100])
    torch.testing.assert_close(
        found.model.encode_text(tokens)[0], ready.model.encode_text(tokens)[0]
    )
    tensors["positional_embedding_res"] = later[:100].contiguous()
    save_file(tensors, path)
    with pytest.raises(InputError, match="one shape"):
        read_clip(str(path))

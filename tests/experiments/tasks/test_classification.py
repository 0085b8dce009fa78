"""Zero-shot classes of folders, by hand and as open_clip's own classifier has them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.tasks.classification import Classification, class_names, templates_of_clip
from experiments.tasks.task import Place
from smartclip.evaluate.embedder import Embedder
from smartclip.export.open_clip import write_open_clip
from smartclip.ready import read_clip
from smartclip.towers.open_clip import load_open_clip
from theory.errors import InputError


def test_classes_by_hand(tmp_path: Path, paint, embedder):
    for name, shown in (
        ("red", ("red", "red", "green")),
        ("green", ("green",)),
        ("dark_blue", ("blue", "red")),
    ):
        for number, colour in enumerate(shown):
            paint(tmp_path / name / f"{number}.png", colour)
    found = Classification().measure(embedder(), Place(path=tmp_path))
    # Classes in the order of their folders: dark_blue, green, red.
    assert found.scores["accuracy, unmasked"].values.tolist() == [1, 0, 1, 1, 1, 0]
    assert found.scores["accuracy, names of several words, unmasked"].values.tolist() == [1, 0]
    assert found.scores["accuracy, names of one word, unmasked"].values.tolist() == [1, 1, 1, 0]
    assert found.protocol["accuracy of each class, unmasked"] == {
        "dark blue": 0.5,
        "green": 1.0,
        "red": pytest.approx(2 / 3),
    }
    mean = found.numbers["mean accuracy of a class, unmasked"]
    assert mean == pytest.approx((0.5 + 1 + 2 / 3) / 3)


@torch.no_grad()
def test_as_open_clip_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same weights, pictures, names and templates give the same scores."""
    monkeypatch.setitem(
        load_open_clip().factory._MODEL_CONFIGS,
        "small",
        {
            "embed_dim": 12,
            "vision_cfg": {
                "image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 16
            },
            "text_cfg": {
                "context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2
            },
        },
    )  # fmt: skip
    ready = read_clip("small/random")
    folder = write_open_clip(ready, tmp_path / "exported")
    open_clip = load_open_clip()
    theirs, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    theirs.eval()
    rng = np.random.default_rng(0)
    names = ["hot dog", "bear", "pen"]
    from PIL import Image

    for name in names:
        for number in range(4):
            path = tmp_path / "data" / name.replace(" ", "_") / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    ordered = ["bear", "hot dog", "pen"]
    files = sorted((tmp_path / "data").rglob("*.png"))
    images = torch.stack([prepare(Image.open(file)) for file in files])
    classifier = open_clip.build_zero_shot_classifier(
        theirs,
        open_clip.SimpleTokenizer(context_length=77),
        ordered,
        templates_of_clip(),
    )
    expected = (theirs.encode_image(images, normalize=True) @ classifier).argmax(1)
    answer = torch.arange(3).repeat_interleave(4)
    found = Classification().measure(Embedder(ready), Place(path=tmp_path / "data"))
    values = found.scores["accuracy, unmasked"].values
    assert values.tolist() == (expected == answer).double().tolist()
    assert 0 < values.mean() < 1

    from smartclip.evaluate.zero_shot import class_scores

    prompts = [template(name) for name in ordered for template in templates_of_clip()]
    text = Embedder(ready).captions(prompts)[0].unflatten(0, (3, -1))
    ours = class_scores(ready.model.encode_image(images), text, None)
    torch.testing.assert_close(
        ours, theirs.encode_image(images, normalize=True) @ classifier, atol=1e-5, rtol=0
    )


def test_names_of_wordnet_come_all_or_not():
    names = class_names([f"n{number:08d}" for number in range(1000)])
    assert names[:2] == ["tench", "goldfish"]
    with pytest.raises(InputError, match="1000 classes of ImageNet"):
        class_names(["n01440764", "n01443537"])


def test_no_folders(tmp_path: Path, embedder):
    with pytest.raises(InputError, match="0 folders"):
        Classification().measure(embedder(), Place(path=tmp_path))

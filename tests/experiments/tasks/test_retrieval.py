"""Retrieval on a folder of three pictures, with scores counted by hand."""

import json
from pathlib import Path

import pytest
import torch

from experiments.tasks.retrieval import RetrievalTask
from experiments.tasks.task import Place
from smartclip.data.pictures import PictureError
from smartclip.text import CLIPTokenizer, moved


@pytest.fixture
def data(tmp_path: Path, paint) -> Path:
    """Two captions each: a right one, and one that says the colour only in its second sentence."""
    rows = []
    for colour in ("red", "green", "blue"):
        paint(tmp_path / f"{colour}.png", colour)
        others = {"red": "blue", "green": "green", "blue": "red"}
        rows.append({"image": f"{colour}.png", "caption": f"a {colour} wall"})
        rows.append(
            {"image": f"{colour}.png", "caption": f"{others[colour]} words. a {colour} wall."}
        )
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(rows))
    return path


def test_both_directions_by_hand(data: Path, embedder):
    found = RetrievalTask().measure(embedder(), Place(path=data))
    # "blue words. a red wall." is 2 blue and 1 red: its picture comes second; so for blue. Of red
    # and blue one caption in two is first, of green both.
    score = found.scores["R@1, text to image, unmasked"]
    assert score.values.tolist() == [1, 0, 1, 1, 1, 0]
    assert list(score.groups) == [0, 0, 1, 1, 2, 2]
    assert score.chance == pytest.approx(1 / 3)
    assert found.scores["R@5, text to image, unmasked"].values.mean() == 1
    assert found.scores["R@1, image to text, unmasked"].values.tolist() == [1, 1, 1]
    assert found.numbers["median rank, text to image, unmasked"] == 1
    # Green's two captions score 1 alike: among two equal right ones the better is first.
    assert found.numbers["median rank, image to text, unmasked"] == 1
    protocol = found.protocol
    assert (protocol["pictures"], protocol["captions"]) == ("3 of 3", 6)
    assert protocol["captions of a picture"] == "2"
    assert protocol["crop"] == "centre, 8 pixels, bicubic"
    assert not [name for name in found.scores if "masked" in name and "unmasked" not in name]


def test_which_sentences_are_kept_by_hand(data: Path, embedder):
    found = RetrievalTask().measure(embedder(), Place(path=data))
    values = {
        name.rpartition(", ")[2]: score.values.tolist()
        for name, score in found.scores.items()
        if name.startswith("R@1, text to image") and name.count(",") == 3
    }
    assert values == {
        "all sentences": [0, 1, 0],
        "first sentence dropped": [1, 1, 1],
        # "a red wall. blue words.": one red and one blue, so that either is first.
        "sentences shuffled": [0.5, 1, 0.5],
        # Moved away from the start, the first word counts as any other.
        "padded in front": [0.5, 1, 0.5],
    }
    assert found.protocol["captions of several sentences"] == 3


def test_fewer_tokens_by_hand(data: Path, embedder):
    curve = RetrievalTask().measure(embedder(), Place(path=data)).curves["length"]
    # start, blue, words, ., a, red, wall, ., end
    assert curve.at == [8.0, 9.0]
    assert curve.lines["text to image, unmasked"] == pytest.approx([4 / 6, 4 / 6])


def test_controls_of_the_masks_by_hand(data: Path, embedder, monkeypatch: pytest.MonkeyPatch):
    """A mask that opens the colours that a caption says, and the masks of others."""
    asked = embedder()
    assert not {name for name in _found(asked, data) if name.endswith(("masked", "masks"))} - {
        f"R@{k}, {way}, unmasked" for k in (1, 5, 10) for way in ("text to image", "image to text")
    }
    said: list[torch.Tensor] = []

    def read(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            said.append(asked.ready.model.encode_text(tokens)[0])
        return said[-1], (said[-1] > 0).float()

    monkeypatch.setattr(asked, "tokens", read)
    monkeypatch.setattr(type(asked.ready), "masked", property(lambda _: True))
    found = _found(asked, data)
    assert found["R@1, text to image, masked"] == pytest.approx(4 / 6)
    # Mean mask: red and blue 3/6, green 2/6, which leaves every order here as it was.
    assert found["R@1, text to image, mean mask"] == pytest.approx(4 / 6)
    text = said[0]
    other = (text > 0)[torch.randperm(6, generator=torch.Generator().manual_seed(0))]
    right = 0.0
    for caption, (codes, opened) in enumerate(zip(text.tolist(), other.tolist(), strict=True)):
        # A picture of one colour scores what the caption says of it, if the mask lets it be seen.
        red, green, blue = (code * seen for code, seen in zip(codes, opened, strict=True))
        scores = [red, green, blue]
        own = scores[caption // 2]
        right += (own == max(scores)) / scores.count(own)
    assert right < 4
    assert found["R@1, text to image, masks of other captions"] == pytest.approx(right / 6)


def _found(embedder, data: Path) -> dict[str, float]:
    scores = RetrievalTask().measure(embedder, Place(path=data)).scores
    return {name: float(score.values.mean()) for name, score in scores.items()}


def test_moved_captions_keep_their_pieces():
    tokenizer = CLIPTokenizer(context=12)
    tokens = tokenizer.tokenise(["a bear", "a bear with a pen and a chair by it"])
    found = moved(tokens, 1.0)
    for before, after in zip(tokens, found, strict=True):
        assert after[0] == before[0]
        assert after[-1] == tokenizer.end
        assert after[after > 0].tolist() == before[before > 0].tolist()
    assert torch.equal(found[1], tokens[1])


def test_a_missing_picture_is_an_error_or_counted(data: Path, embedder):
    (data.parent / "green.png").unlink()
    with pytest.raises(PictureError, match=r"green\.png"):
        RetrievalTask().measure(embedder(), Place(path=data))
    found = RetrievalTask().measure(embedder(skip=True), Place(path=data))
    assert found.protocol["pictures"] == "2 of 3"
    assert found.scores["R@1, text to image, unmasked"].values.tolist() == [1, 0, 1, 0]


def test_embeddings_are_kept_by_content(data: Path, embedder, tmp_path: Path, paint, monkeypatch):
    cache = tmp_path / "cache"
    first = RetrievalTask().measure(embedder(cache=cache), Place(path=data))
    assert len(list(cache.iterdir())) == 1
    with monkeypatch.context() as patched:
        patched.setattr("smartclip.evaluate.embedder._opened", lambda *_: pytest.fail("opened"))
        again = RetrievalTask().measure(embedder(cache=cache), Place(path=data))
    assert first.to_dict() == again.to_dict()
    paint(data.parent / "green.png", "red")  # the same name with another content
    other = RetrievalTask().measure(embedder(cache=cache), Place(path=data))
    assert len(list(cache.iterdir())) == 2
    assert other.to_dict() != first.to_dict()

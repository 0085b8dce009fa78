"""The emoji study from end to end at toy size; the study itself takes an hour."""

import re

import pytest
import torch

from experiments.recipes import emoji_methods
from experiments.studies import emoji
from experiments.studies.emoji_page import MASKED, READINGS
from smartclip.data.emoji import EmojiData


def few(candidates):
    """One candidate of two methods, two of the third."""
    return lambda *steps: candidates(*steps)[1:5:2] + candidates(*steps)[4:6]


@pytest.fixture(scope="module")
def written(emoji_twin, tmp_path_factory):
    root = tmp_path_factory.mktemp("emoji")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmojiData, "load", lambda: emoji_twin)
        patch.setattr(emoji_methods, "BATCH", 16)
        patch.setattr(emoji, "candidates", few(emoji.candidates))
        emoji.study(
            seeds=(0,), steps=3, choice_steps=2, runs=root / "runs", out=root / "page.md",
            device="cpu",
        )  # fmt: skip
    return root


def test_one_run_for_each_method_and_seed_and_one_for_each_candidate(written):
    runs = sorted(folder.name.rpartition("-")[0] for folder in (written / "runs").iterdir())
    assert runs == ["", "clip-0", "long-clip-0", "smartclip-0"], "without their hashes"
    assert len(list((written / "runs" / "choice").iterdir())) == 4


def test_the_page_holds_every_question_reading_and_difference(written):
    text = (written / "page.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| unseen")]
    assert len(rows) == 14, "seven questions in two tables"
    assert all(reading in text for reading in READINGS)
    assert len(re.findall(r"\| yes \|", text)) == 3, "one setting of each method is chosen"
    assert f"**{MASKED}** is" in text
    for name in ("emoji_comparison", "emoji_overlap"):
        assert f"pictures/{name}.png" in text
        assert (written / "pictures" / f"{name}.png").stat().st_size > 10_000


def test_settings_are_chosen_without_looking_at_what_is_asked_at_the_end(
    emoji_twin, monkeypatch, tmp_path
):
    shown = []

    class Blank(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def encode_image(self, images):
            shown.append(len(images))
            return torch.ones(len(images), 4)

        def encode_text(self, tokens):
            return torch.ones(len(tokens), 4), torch.ones(len(tokens), 4)

    given = []

    def trained(self, data, tokenizer, root, *, device):
        given.append({one.split for one in data.emoji})
        return Blank(), tmp_path / str(len(given))

    monkeypatch.setattr(emoji_methods.Method, "trained", trained)
    from smartclip.text import Tokenizer

    rows = range(len(emoji_twin))
    tokenizer = Tokenizer.fit(c.text for row in rows for c in emoji_twin.captions_of(row))
    table = emoji.choose(emoji_twin, tokenizer, tmp_path, torch.device("cpu"), 2)
    assert given == [{"train"}] * len(emoji.candidates())
    seen = len(emoji.parts(emoji_twin, "train", "validation"))
    assert sum(shown) == seen * len(given)
    assert len(table) == len(given)

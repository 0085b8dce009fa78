import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smartclip.text import (
    PADDING,
    START,
    UNSEEN,
    CaptionReader,
    CLIPTokenizer,
    Tokenizer,
    caption_lengths,
)
from smartclip.towers.open_clip import TextConfig, TextTower, load_open_clip
from theory.errors import InputError

CORPUS = ["a bear", "a bear with a pen", "woman firefighter: dark skin tone", "café, 8 o’clock"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.fit(CORPUS)


def test_rows_are_those_of_open_clip_renumbered(tokenizer: Tokenizer) -> None:
    load_open_clip()
    from open_clip.tokenizer import SimpleTokenizer

    theirs = SimpleTokenizer(context_length=tokenizer.context)(CORPUS)
    ours = tokenizer.tokenise(CORPUS)
    assert ours.dtype == torch.int64
    back = torch.tensor([0, 49406, -1, *tokenizer.pieces, 49407])
    torch.testing.assert_close(back[ours], theirs)


def test_the_end_has_the_largest_id_and_no_id_is_wasted(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.tokenise(CORPUS)
    assert (tokens.max(1).values == tokenizer.end).all()
    assert ((tokens == tokenizer.end).sum(1) == 1).all()
    assert set(tokens.unique().tolist()) == set(range(tokenizer.size)) - {UNSEEN}


def test_the_context_is_that_of_the_longest_caption(tokenizer: Tokenizer) -> None:
    lengths = tokenizer.lengths(CORPUS)
    assert tokenizer.context == lengths.max()
    assert (tokenizer.tokenise(CORPUS) != PADDING).sum(1).tolist() == lengths.tolist()


def test_unseen_pieces_share_one_id(tokenizer: Tokenizer) -> None:
    [row] = tokenizer.tokenise(["a zebra"]).tolist()
    assert row[0] == START
    assert row[2] == UNSEEN
    assert tokenizer.unseen(["a zebra"]) == 0.5
    assert tokenizer.unseen(CORPUS) == 0
    assert tokenizer.unseen([""]) == 0


def test_nothing_is_cut_off_unasked(tokenizer: Tokenizer) -> None:
    short = Tokenizer(pieces=tokenizer.pieces, context=5)
    captions = ["a bear", "a bear with a pen", "a pen with a bear"]
    assert short.too_long(captions) == [1, 2]
    with pytest.raises(InputError, match="2 of 3 captions too long, the first being number 1"):
        short.tokenise(captions)
    cut = short.tokenise(captions, truncate=True)
    assert torch.equal(cut[0], short.tokenise(["a bear"])[0])
    assert cut[1].tolist() == [*tokenizer.tokenise(["a bear with"])[0, :4].tolist(), short.end]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_text_becomes_a_well_formed_row(captions: list[str]) -> None:
    tokenizer = Tokenizer.fit([*CORPUS, *captions])
    tokens = tokenizer.tokenise(captions)
    assert tokens.shape == (len(captions), tokenizer.context)
    ends = tokens.argmax(1)
    for row, end in zip(tokens, ends, strict=True):
        assert row[0] == START
        assert row[end] == tokenizer.end
        assert (row[end + 1 :] == PADDING).all()
        assert (row[1:end] > UNSEEN).all()


def test_numbering_does_not_depend_on_the_order_of_the_corpus(tokenizer: Tokenizer) -> None:
    assert Tokenizer.fit(CORPUS[::-1] * 2) == tokenizer


def test_saved_and_loaded_it_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again == tokenizer
    assert torch.equal(again.tokenise(CORPUS), tokenizer.tokenise(CORPUS))


@pytest.mark.parametrize(
    "written",
    [
        "",
        "[]",
        "{}",
        json.dumps({"format": "smartclip tokenizer 1", "context": 7, "pieces": ["a"]}),
        json.dumps({"format": "smartclip tokenizer 1", "context": 7, "pieces": [5, 4]}),
        json.dumps({"format": "smartclip tokenizer 1", "context": 7, "pieces": [-1]}),
        json.dumps({"format": "smartclip tokenizer 1", "context": 1, "pieces": [4]}),
        json.dumps({"format": "another", "context": 7, "pieces": [4]}),
    ],
)
def test_a_wrong_file_is_refused(written: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(written)
    with pytest.raises(InputError):
        Tokenizer.load(path)


def test_other_wrong_inputs_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without captions"):
        Tokenizer.fit([])
    with pytest.raises(InputError, match="single string"):
        tokenizer.tokenise("a bear")
    with pytest.raises(InputError, match="missing"):
        Tokenizer.load(tmp_path / "missing.json")


def test_a_tower_of_its_size_reads_its_rows(tokenizer: Tokenizer) -> None:
    config = TextConfig(vocabulary=tokenizer.size, context=tokenizer.context, layers=1)
    code, states = TextTower(config, 3)(tokenizer.tokenise(CORPUS))
    assert code.shape == (len(CORPUS), 3)
    assert states.shape == (len(CORPUS), tokenizer.context, config.width)
    assert np.isfinite(code.detach().numpy()).all()


LONG = ["a bear", " ".join(["a bear with a pen"] * 30), "a pen. " * 100]


@pytest.mark.parametrize("context", [5, 77, 248])
def test_clips_ids_are_those_of_open_clip(context: int) -> None:
    load_open_clip()
    from open_clip.tokenizer import SimpleTokenizer

    ours, theirs = CLIPTokenizer(context=context), SimpleTokenizer(context_length=context)
    captions = [*CORPUS, *LONG]
    cut = ours.tokenise(captions, truncate=True)
    # open_clip cuts in silence and puts the end in the last place, as we do when asked.
    torch.testing.assert_close(cut, theirs(captions))
    assert (cut.max(1).values == ours.end).all()
    assert ours.size == theirs.vocab_size


def test_clips_tokenizer_cuts_nothing_unasked() -> None:
    tokenizer = CLIPTokenizer(context=77)
    assert tokenizer.too_long(LONG) == [1, 2]
    with pytest.raises(InputError, match="2 of 3 captions too long, the first being number 1"):
        tokenizer.tokenise(LONG)
    with pytest.raises(InputError, match="single string"):
        tokenizer.tokenise("a bear")
    with pytest.raises(InputError, match="a context of 1"):
        CLIPTokenizer(context=1)
    assert tokenizer.tokenise([]).shape == (0, 77)


def test_lengths_of_a_data_set_are_told() -> None:
    found = caption_lengths(LONG, CLIPTokenizer(context=152))
    assert (found.captions, found.cut, found.longest) == (3, 1, 302)
    assert found.share == pytest.approx(1 / 3)
    assert "33.3% of 3 captions are longer than 152 tokens" in str(found)
    sample = caption_lengths(["a"] * 50 + LONG[:1] * 50, CLIPTokenizer(), most=10)
    assert (sample.captions, sample.of, sample.cut) == (10, 100, 0)
    assert "looking at 10" in str(sample)
    assert caption_lengths([], CLIPTokenizer()).share == 0


def test_a_reader_counts_what_it_cuts() -> None:
    reader = CaptionReader(CLIPTokenizer(context=77))
    assert reader.share == 0
    torch.testing.assert_close(reader(LONG), reader.tokenizer.tokenise(LONG, truncate=True))
    reader(CORPUS)
    assert (reader.captions, reader.cut) == (7, 2)


@pytest.mark.parametrize("mark", ["<end_of_text>", "<start_of_text>", "&lt;end_of_text&gt;"])
def test_a_caption_that_names_a_token_is_read_to_its_end(mark: str) -> None:
    told = CLIPTokenizer(context=20).tokenise([f"a {mark} bear"])[0].tolist()
    plain = CLIPTokenizer(context=20).tokenise(["a bear"])[0].tolist()
    end = told.index(CLIPTokenizer.end)
    assert told[end - 1] == plain[2]
    assert told.count(CLIPTokenizer.start) == told.count(CLIPTokenizer.end) == 1
